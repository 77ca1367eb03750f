"""``upgrade-flows plan live-update``: work out how instances get a new kernel while they serve."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from upgrade_flows.cli import base, files, plan, probing
from upgrade_flows.errors import RequestError
from upgrade_flows.model import codec
from upgrade_flows.model.request import Scope, UpgradeRequest

CAPABILITY = "live_update"

#: options of the command that are options of the request, by the names they have there
TARGET = ("image", "update", "workload", "elsewhere", "make_room", "health_network", "grace_s",
          "room_s", "ready_s", "answer_s")  # fmt: skip


class LiveUpdate(base.Command):
    """Plan to give instances a new image, kernel or package level without a reboot of theirs

    Beside each instance a second one boots with the update. When that is ready, the workload, the
    data volumes and the ports with their addresses move over, and the original is kept, frozen,
    until 'commit'; until then 'rollback' brings it back. The plan says where the second instance
    goes, who makes room for it, and what cannot be carried. It is shown, and written with -o;
    nothing is changed. Options win over the request file.
    Exit code 3: everything in scope was refused, or the token does not last as long as the run.
    """

    examples = (
        "upgrade-flows plan live-update --server web-1 --image debian-13 --probe tcp:80"
        " -o plan.json",
        "upgrade-flows plan live-update --server db-1 --update --workload hooks"
        " --settings hooks.yaml --probe 'ssh:systemctl is-active postgresql' -o plan.json",
        "upgrade-flows plan live-update --project 5a1b7c0e --image captured --workload criu"
        " --settings criu.yaml --probe http:8080/health --canaries 1 --at-a-time 3"
        " --max-failures 1 -o plan.json",
        "upgrade-flows plan live-update --request live_update.yaml --same-host-only -o plan.json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the scope, the update, the workload, where to, and the pace."""
        base.add_scope(parser)
        parser.add_argument("--request", metavar="FILE", help="Request file (YAML).")
        parser.add_argument("-o", "--output", metavar="FILE", help="File to write the plan to.")
        self._add_update(parser)
        self._add_place(parser)
        self._add_pace(parser)

    def _add_update(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("update", "What is new, and how the workload moves.")
        what = group.add_mutually_exclusive_group()
        what.add_argument(
            "--image", metavar="IMAGE", help="Name or id of the image that is booted from now on."
        )
        what.add_argument(
            "--update",
            action="store_true",
            default=None,
            help="Update a clone of the boot volume instead, as the workload plugin does it.",
        )
        group.add_argument(
            "--workload",
            metavar="NAME",
            help="Workload plugin: stateless, hooks, criu... (default: stateless).",
        )
        group.add_argument("--settings", metavar="FILE", help="Settings of the plugin (YAML).")
        group.add_argument(
            "--probe", metavar="PROBE", action="append",
            help="What must answer when the workload has moved, and before where that is possible:"
            f" {probing.FORMS}; may be repeated.",
        )  # fmt: skip

    def _add_place(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("place", "Where the second instance may go.")
        group.add_argument("--policy", metavar="NAME", help="Placement policy that picks its host.")
        group.add_argument(
            "--to-host", metavar="HOST", nargs="+", action="extend",
            help="Host that it may go to (default: its original's and those of its host group).",
        )  # fmt: skip
        group.add_argument(
            "--host-groups", metavar="AGGREGATE", nargs="+", action="extend",
            help="Aggregates that instances stay in; 'metadata' (default): those that say so"
            " themselves; 'none'.",
        )  # fmt: skip
        group.add_argument(
            "--same-host-only",
            action="store_const",
            const=False,
            dest="elsewhere",
            help="On the host of its original only.",
        )
        group.add_argument(
            "--no-moves",
            action="store_const",
            const=False,
            dest="make_room",
            help="Migrate no other instances to make room.",
        )
        group.add_argument(
            "--health-network",
            metavar="NETWORK",
            help="Id of the network in which it is asked before it has the original's ports"
            " (default: that of the first port).",
        )

    def _add_pace(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("pace", "How many, how long.")
        for option, name, metavar, what in (
            ("--at-a-time", "at_a_time", "N", "Instances updated at the same time (1...)."),
            ("--max-failures", "max_failures", "N", "Failures before the run stops (0...)."),
            ("--canaries", "canaries", "N", "Instances that are updated first (0...)."),
            ("--room", "room_s", "SECONDS", "How long it is waited for room (default: 3600)."),
            ("--ready", "ready_s", "SECONDS",
             "How long the new instance may take until it is ready (default: 600)."),
            ("--answer", "answer_s", "SECONDS",
             "How long the workload may take, once moved, until it answers; then it goes back"
             " (default: 60)."),
            ("--grace", "grace_s", "SECONDS",
             "How long the old disk is kept after 'commit' (default: 86400)."),
        ):  # fmt: skip
            group.add_argument(option, dest=name, metavar=metavar, type=int, help=what)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Collect, plan, show and write."""
        return plan.work_out(self, self.request(parsed_args), parsed_args.output)

    def request(self, parsed: argparse.Namespace) -> UpgradeRequest:
        """Put the request together from its file, the options and the configuration.

        :raises RequestError: a file cannot be read, it is another capability's, or it does not
            say what is new.
        """
        plain: dict[str, Any] = files.read_request(parsed.request) if parsed.request else {}
        if plain.setdefault("capability", CAPABILITY) != CAPABILITY:
            raise RequestError(f"{parsed.request} is a request of {plain['capability']}")
        scope = base.scope_of(parsed)
        if not base.is_empty(scope):
            plain["scope"] = codec.to_plain(scope)
        plain.setdefault("scope", codec.to_plain(Scope()))
        rollout = {
            "at_a_time": self.settings.at_a_time,
            "max_failures": self.settings.max_failures,
        }
        plan.merge(plain, "rollout", rollout, parsed, ("at_a_time", "max_failures", "canaries"))
        request = UpgradeRequest.from_plain(plain)
        target = dataclasses.replace(
            request.target,
            hosts=tuple(parsed.to_host or request.target.hosts),
            options=_options(dict(request.target.options), parsed),
        )
        return dataclasses.replace(request, target=target)


def _options(options: dict[str, Any], parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the request: those of the command line win."""
    for name, other in (("image", "update"), ("update", "image")):
        if getattr(parsed, name):
            options.pop(other, None)  # the file may say the other one
    for name in TARGET:
        if getattr(parsed, name) is not None:
            options[name] = getattr(parsed, name)
    if parsed.policy is not None:
        options["placement"] = parsed.policy
    if parsed.settings:
        options["settings"] = files.read_mapping(parsed.settings)
    if parsed.probe:
        options["probes"] = [probing.read(said) for said in parsed.probe]
    if parsed.host_groups is not None:
        said = parsed.host_groups
        options["host_groups"] = said[0] if said in (["metadata"], ["none"]) else said
    if not options.get("image") and not options.get("update"):
        raise RequestError("say what is new: --image IMAGE, or --update")
    return options
