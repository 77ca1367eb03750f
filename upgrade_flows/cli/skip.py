"""The command that lets a run go on without some of its subjects."""

from __future__ import annotations

import argparse

from upgrade_flows.cli import base, execution
from upgrade_flows.cli.run import subjects_of
from upgrade_flows.reports import words


class Skip(base.Command):
    """Let a run go on without servers or hosts that are held, quarantined or not begun

    Nothing is done to them: a host that is out of service stays so, with the reason that names the
    run, until somebody puts it back (openstack compute service set --enable) or rolls it back.
    The place that it kept among those out of service is free for another one; 'resume' goes on.
    """

    examples = (
        "upgrade-flows skip 20251120-3f --host compute-7",
        "upgrade-flows skip 20251120-3f --host compute-7 --host compute-9 --yes",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run and the subjects."""
        base.add_run(parser)
        parser.add_argument(
            "--server",
            "--host",
            dest="subject",
            metavar="SUBJECT",
            action="append",
            required=True,
            help="Server (name or id) or host of the run to go on without; may be repeated.",
        )
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find the run, ask, and skip."""
        journal = self.journal()
        run = base.find_run(journal, parsed_args.run)
        chosen = subjects_of(run.plan, parsed_args.subject) or ()
        names = words.subjects(len(chosen), run.capability)
        execution.confirm(self, f"Go on without {names}, left as they are?", parsed_args.yes)
        self.wiring.dispatcher(journal, run.cloud_id, None).skip(run.id, chosen)
        state = journal.run(run.id).state
        self.app.stdout.write(f"Skipped {', '.join(chosen)}; run {run.id} is {state}.\n")
        return 0
