"""``upgrade-flows capture``: an image of an instance, proven to boot."""

from __future__ import annotations

import argparse
from typing import Any

from upgrade_flows.cli import base, credentials, execution, plan, probing
from upgrade_flows.errors import NotReady
from upgrade_flows.model.request import Scope, Target, UpgradeRequest


class Capture(base.Command):
    """Make an image of an instance, with the disk that it boots from and the volumes you choose

    What is to be done is planned and shown, you are asked, and it is done and reported. The image
    is booted once, as a temporary instance that nothing reaches, before it gets its name. If
    anything fails, nothing stays behind. 'rollback' deletes the image and its snapshots again,
    until 'commit'.
    Exit codes: 0 done, 2 not wanted, 3 refused, 4 failed and undone, 5 something is left behind,
    130 parked.
    """

    examples = (
        "upgrade-flows capture web-1 --name web-2026-11",
        "upgrade-flows capture db-1 --volume db-1-data --stop --network 7f0e4a52 --yes",
        "upgrade-flows capture web-1 --no-verify -o plan.json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the instance, what becomes part of the image, and how it is tried."""
        parser.add_argument("server", metavar="SERVER", help="Name or id of the instance.")
        parser.add_argument(
            "--name",
            metavar="NAME",
            help="Name of the image (default: the instance's, and the day).",
        )
        parser.add_argument(
            "--volume", metavar="VOL", nargs="+", action="extend", default=[],
            help="Data volume (name or id) that becomes part of the image; several may be given.",
        )  # fmt: skip
        parser.add_argument(
            "--stop",
            action="store_true",
            help="Stop the instance while its disks are copied, so that they are consistent.",
        )
        parser.add_argument(
            "--no-verify", action="store_false", dest="verify", help="Do not boot the image."
        )
        parser.add_argument(
            "--flavor", metavar="FLAVOR", help="Flavor to boot it with (default: the instance's)."
        )
        parser.add_argument(
            "--network",
            metavar="NETWORK",
            help="Id of the network to boot it in (default: that of the first port).",
        )
        parser.add_argument(
            "--probe", metavar="PROBE", action="append", default=[],
            help="What must answer in what is booted: tcp:PORT, http:PORT/PATH, console:REGEX or"
            " cloud-init; may be repeated. Its port is then as open as that of the instance.",
        )  # fmt: skip
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="Write the plan to this file, and do no more."
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Plan, show, ask, run, report; with a file to write, only the first of it."""
        request = self.request(parsed_args)
        if parsed_args.output:
            return plan.work_out(self, request, parsed_args.output)
        cloud = self.connect()
        inventory = self.wiring.collect(cloud, request, self.reading)
        made = self.wiring.make_plan(request, inventory, self.reading)
        plan.show(self, made)
        if not made.actions:
            raise NotReady("nothing can be captured: see what is refused above")
        credentials.check(cloud, made)
        execution.confirm(self, "Capture it as shown?", parsed_args.yes)

        def work(engine: Any) -> str:
            run_id: str = engine.start(made)
            self.app.stdout.write(f"Run {run_id}\n")
            engine.run(run_id)
            return run_id

        return execution.execute(self, self.journal(), cloud, made, work)

    def request(self, parsed: argparse.Namespace) -> UpgradeRequest:
        """Put the request together from the options.

        :raises RequestError: one makes no sense.
        """
        options: dict[str, Any] = {"verify": parsed.verify, "stop": parsed.stop}
        given = {
            "name": parsed.name,
            "volumes": parsed.volume,
            "flavor": parsed.flavor,
            "network": parsed.network,
            "probes": [probing.read(said) for said in parsed.probe],
        }
        options |= {key: value for key, value in given.items() if value}
        return UpgradeRequest("capture", Scope(servers=(parsed.server,)), Target(options=options))
