"""``upgrade-flows plan hosts``: work out a rolling upgrade of compute hosts."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from upgrade_flows.cli import base, files, plan
from upgrade_flows.errors import RequestError
from upgrade_flows.model import codec
from upgrade_flows.model.request import Scope, UpgradeRequest

#: options of the command that are options of the request, by the names they have there
TARGET = (
    "plugin", "reboot", "prefer", "bake_s", "default", "suspended", "unmovable",
)  # fmt: skip
FLAGS = ("may_pause", "may_cold", "bring_back")
LIMITS = ("migrations_per_host", "migrations_total", "out_per_az", "out_per_domain", "spare",
          "attempts")  # fmt: skip


class Hosts(base.Command):
    """Plan a rolling upgrade of compute hosts: kernel, packages, anything that needs an empty host

    Every host is drained, upgraded, checked and given back, as many at a time as you allow.  The
    plan says in which order, where the instances go, how long it takes, and how far that is from
    the shortest time possible.  It is shown, and written with -o; nothing is changed.  Options win
    over the request file.  Exit code 3: every host that needs something was refused.
    """

    examples = (
        "upgrade-flows plan hosts --host compute-1 compute-2 --plugin ssh"
        " --settings kernel.yaml -o plan.json",
        "upgrade-flows plan hosts --hosts-file rack-7.txt --request hosts.yaml --at-a-time 4"
        " --canaries 1 --bake 3600 --spare 0.1 -o plan.json",
        "upgrade-flows plan hosts --request hosts.yaml --target spare-1 spare-2"
        " --policy packing -o plan.json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the hosts, what is done to them, the pace, and what may be done to instances."""
        parser.add_argument("--request", metavar="FILE", help="Request file (YAML).")
        parser.add_argument("-o", "--output", metavar="FILE", help="File to write the plan to.")
        self._add_hosts(parser)
        self._add_pace(parser)
        self._add_instances(parser)

    def _add_hosts(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("hosts", "Which hosts, and what is done to them.")
        group.add_argument(
            "--host", metavar="HOST", nargs="+", action="extend", default=[],
            help="Compute host to upgrade, as Nova names it; several may be given.",
        )  # fmt: skip
        group.add_argument(
            "--hosts-file", metavar="FILE", help="File with a host on each line; # is a comment."
        )
        group.add_argument("--all", action="store_true", help="All compute hosts of the cloud.")
        group.add_argument(
            "--target", metavar="HOST", nargs="+", action="extend",
            help="Host outside the plan that may take instances. Without any only the hosts of"
            " the plan, and those that need nothing, take them.",
        )  # fmt: skip
        group.add_argument("--plugin", metavar="NAME", help="Host plugin: ssh, ansible, command...")
        group.add_argument("--settings", metavar="FILE", help="Settings of the plugin (YAML).")
        group.add_argument(
            "--reboot", choices=("needed", "always", "never"),
            help="When hosts are rebooted (default: needed, as the plugin says).",
        )  # fmt: skip

    def _add_pace(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("pace", "What must not be exceeded at any moment.")
        for option, metavar, kind, what in (
            ("--at-a-time", "N", int, "Hosts out of service at a time (1...; default: 1)."),
            ("--out-per-az", "N", int, "The same, in each availability zone."),
            ("--out-per-domain", "N", int, "The same, in each failure domain of the request."),
            ("--spare", "SHARE", float, "Share of the capacity that stays free (0 to 1)."),
            ("--migrations-per-host", "N", int, "Migrations from and to a host (default: 2)."),
            ("--migrations-total", "N", int, "Migrations in the cloud (default: 100)."),
            ("--attempts", "N", int, "Tries to migrate an instance (default: 3)."),
            ("--max-failures", "N", int, "Hosts that may fail before nothing more begins (0...)."),
            ("--canaries", "N", int, "Hosts that go first in each availability zone (0...)."),
        ):
            group.add_argument(option, metavar=metavar, type=kind, help=what)
        group.add_argument(
            "--canary-host", metavar="HOST", nargs="+", action="extend",
            help="Host that goes first in its availability zone, instead of the emptiest one.",
        )  # fmt: skip
        group.add_argument(
            "--bake", metavar="SECONDS", type=int, dest="bake_s",
            help="How long canaries are watched before others begin (default: 0).",
        )  # fmt: skip
        group.add_argument(
            "--prefer", choices=("time", "moves"),
            help="The shortest time (default), or the fewest instances that move twice.",
        )  # fmt: skip

    def _add_instances(self, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group(
            "instances", "Where they go, and what may be done to them."
        )
        group.add_argument("--policy", metavar="NAME", help="Placement policy that picks targets.")
        group.add_argument(
            "--host-groups", metavar="AGGREGATE", nargs="+", action="extend",
            help="Aggregates that instances stay in; 'metadata' (default): those that say so"
            " themselves; 'none'.",
        )  # fmt: skip
        group.add_argument(
            "--running", choices=("live", "cold", "poweroff"), dest="default",
            help="What is done to running instances whose owners said nothing (default: live).",
        )  # fmt: skip
        group.add_argument(
            "--suspended", choices=("stay", "refuse"),
            help="What is done to suspended instances (default: stay).",
        )  # fmt: skip
        group.add_argument(
            "--unmovable", choices=("refuse", "poweroff"),
            help="What is done about an instance that cannot be moved: its host is left out"
            " (default), or it is stopped while its host is out of service.",
        )  # fmt: skip
        for option, what in (
            ("--may-pause", "Stand a guest still to end a live migration that does not converge."),
            ("--may-cold", "Restart an instance elsewhere if it cannot be migrated live."),
            ("--bring-back", "Bring instances back to their host when it is upgraded."),
        ):
            group.add_argument(
                option, action=argparse.BooleanOptionalAction, default=None, help=what
            )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Collect, look at the hosts, plan, show and write."""
        return plan.work_out(self, self.request(parsed_args), parsed_args.output)

    def request(self, parsed: argparse.Namespace) -> UpgradeRequest:
        """Put the request together from its file, the options and the configuration.

        :raises RequestError: a file cannot be read, or it is another capability's.
        """
        plain: dict[str, Any] = files.read_request(parsed.request) if parsed.request else {}
        if plain.setdefault("capability", "host_upgrade") != "host_upgrade":
            raise RequestError(f"{parsed.request} is a request of {plain['capability']}")
        hosts = [*parsed.host, *(files.read_lines(parsed.hosts_file) if parsed.hosts_file else ())]
        if hosts or parsed.all:
            scope = Scope(hosts=tuple(dict.fromkeys(hosts)), everything=parsed.all)
            plain["scope"] = codec.to_plain(scope)
        plain.setdefault("scope", codec.to_plain(Scope()))
        rollout = {"max_failures": self.settings.max_failures}
        plan.merge(plain, "rollout", rollout, parsed, ("at_a_time", "max_failures", "canaries"))
        request = UpgradeRequest.from_plain(plain)
        target = dataclasses.replace(
            request.target, options=_options(dict(request.target.options), parsed)
        )
        return dataclasses.replace(request, target=target)


def _options(options: dict[str, Any], parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the request: those of the command line win."""
    for name in (*TARGET, *FLAGS):
        if getattr(parsed, name) is not None:
            options[name] = getattr(parsed, name)
    for name, value in (
        ("placement", parsed.policy),
        ("targets", parsed.target),
        ("canary_hosts", parsed.canary_host),
        ("settings", files.read_mapping(parsed.settings) if parsed.settings else None),
    ):
        if value is not None:
            options[name] = value
    if parsed.host_groups is not None:
        said = parsed.host_groups
        options["host_groups"] = said[0] if said in (["metadata"], ["none"]) else said
    limits = {name: getattr(parsed, name) for name in LIMITS}
    chosen = {name: value for name, value in limits.items() if value is not None}
    if chosen:
        options["limits"] = {**dict(options.get("limits") or {}), **chosen}
    if not options.get("plugin"):
        raise RequestError("say with --plugin how hosts are upgraded (ssh, ansible, command...)")
    return options
