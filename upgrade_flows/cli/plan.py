"""``upgrade-flows plan``: work out what would be done, and look at it."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from upgrade_flows.cli import base, credentials, files
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.errors import NotReady
from upgrade_flows.model import codec
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Severity
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning import runbook
from upgrade_flows.reports import diff, html, tables
from upgrade_flows.reports import plan as plan_text

STRATEGIES = (
    "auto",
    "rebind",
    "cold-migrate",
    "shelve",
    "recreate",
    "snapshot",
    "live-migrate",
)


class Recreate(base.Command):
    """Plan to give servers what a restart does not give them, with the least disruption

    The plan is shown, and written with -o; nothing is changed.  Options win over the request
    file.  Exit code 3: everything in scope was refused.
    """

    examples = (
        "upgrade-flows plan recreate --server web-1 web-2 -o plan.json",
        "upgrade-flows plan recreate --host compute-1 --strategy cold-migrate"
        " --to-host compute-3 -o plan.json",
        "upgrade-flows plan recreate --request recreate.yaml -o plan.json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add scope, target and pace."""
        base.add_scope(parser)
        parser.add_argument(
            "--strategy",
            choices=STRATEGIES,
            help="What to do to each server (default: auto, the least disruptive that works).",
        )
        parser.add_argument(
            "--to-host",
            metavar="HOST",
            nargs="+",
            action="extend",
            help="Host that servers may be moved to; several may be given.",
        )
        parser.add_argument("--request", metavar="FILE", help="Request file (YAML).")
        parser.add_argument(
            "--at-a-time", metavar="N", type=int, help="Servers changed at the same time (1...)."
        )
        parser.add_argument(
            "--max-failures", metavar="N", type=int, help="Failures before the run stops (0...)."
        )
        parser.add_argument(
            "--canaries", metavar="N", type=int, help="Servers that are changed first (0...)."
        )
        parser.add_argument(
            "--probe",
            metavar="tcp:PORT",
            help="Ask the guests at this port while they are changed, and report for how long they"
            " did not answer. Guests that this machine does not reach are not measured.",
        )
        parser.add_argument("-o", "--output", metavar="FILE", help="File to write the plan to.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Collect, plan, show and write."""
        return work_out(self, self.request(parsed_args), parsed_args.output)

    def request(self, parsed: argparse.Namespace) -> UpgradeRequest:
        """Put the request together from its file, the options and the configuration."""
        plain: dict[str, Any] = files.read_request(parsed.request) if parsed.request else {}
        plain.setdefault("capability", "recreate")
        scope = base.scope_of(parsed)
        if not base.is_empty(scope):
            plain["scope"] = codec.to_plain(scope)
        plain.setdefault("scope", codec.to_plain(Scope()))
        rollout = {
            "at_a_time": self.settings.at_a_time,
            "max_failures": self.settings.max_failures,
        }
        merge(plain, "rollout", rollout, parsed, ("at_a_time", "max_failures", "canaries"))
        merge(plain, "target", {}, parsed, ("strategy",))
        request = UpgradeRequest.from_plain(plain)
        if parsed.to_host:
            target: Target = dataclasses.replace(request.target, hosts=tuple(parsed.to_host))
            request = dataclasses.replace(request, target=target)
        if parsed.probe:
            options = {**request.target.options, "probe": parsed.probe}
            target = dataclasses.replace(request.target, options=options)
            request = dataclasses.replace(request, target=target)
        return request


class Show(base.Command):
    """Show a plan"""

    examples = (
        "upgrade-flows plan show plan.json",
        "upgrade-flows plan show plan.json --format html -o plan.html",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the plan and the format."""
        parser.add_argument("plan", metavar="PLAN", help="File that the plan was written to.")
        parser.add_argument(
            "--format",
            choices=("text", "html"),
            default="text",
            help="What to write (default: text).",
        )
        parser.add_argument("-o", "--output", metavar="FILE", help="File to write it to.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read and show."""
        plan = files.read_plan(parsed_args.plan)
        render = html.plan_page if parsed_args.format == "html" else plan_text.text
        if parsed_args.output:
            files.write_private(parsed_args.output, render(plan))
        elif parsed_args.format == "html":
            self.app.stdout.write(render(plan))
        else:
            show(self, plan)
        return 0


class Diff(base.Command):
    """Show what differs between two plans"""

    examples = ("upgrade-flows plan diff monday.json today.json",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the two plans."""
        parser.add_argument("before", metavar="BEFORE", help="File of the one plan.")
        parser.add_argument("after", metavar="AFTER", help="File of the other plan.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read both and compare."""
        before, after = files.read_plan(parsed_args.before), files.read_plan(parsed_args.after)
        self.app.stdout.write(diff.text(before, after))
        return 0


class Runbook(base.Command):
    """Print a plan as a runbook (Markdown) that can be followed by hand with 'openstack'"""

    examples = ("upgrade-flows plan runbook plan.json > runbook.md",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the plan."""
        parser.add_argument("plan", metavar="PLAN", help="File that the plan was written to.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read and render."""
        self.app.stdout.write(runbook.markdown(files.read_plan(parsed_args.plan)))
        return 0


def work_out(command: base.Command, request: UpgradeRequest, output: str | None) -> int:
    """Collect, plan, show and write; return the exit code.

    :raises NotReady: everything that needs a change is refused, or our token ends too early.
    """
    cloud = command.connect()
    inventory = command.wiring.collect(cloud, request, command.reading)
    plan = command.wiring.make_plan(request, inventory, command.reading)
    show(command, plan)
    credentials.check(cloud, plan)
    if output:
        files.write_private(output, plan.to_json())
        if plan.actions:
            command.app.stdout.write(f"Run it with 'upgrade-flows run {output}'.\n")
    refused = [item for item in plan.findings if item.severity in plan_text.REFUSALS]
    if refused and not plan.actions:
        raise NotReady("nothing can be done: everything that needs a change is refused above")
    return 0


def show(command: base.Command, plan: Plan) -> None:
    """Print a plan to where the command prints."""
    tables.show(tables.console(command.application.stdout), plan_text.parts(plan))


def ready(command: base.Command, path: str) -> tuple[Plan, Cloud]:
    """Read a plan, see that it can run, and show it; return it with its cloud.

    :raises PlanChanged: it was edited, or is for another cloud.
    :raises NotReady: it has findings that forbid to run it, or our token ends too early.
    """
    plan = files.read_plan(path)
    cloud = command.connect()
    plan.check_for(cloud.id)
    show(command, plan)
    credentials.check(cloud, plan)
    errors = [item for item in plan.findings if item.severity == Severity.ERROR]
    if errors:
        raise NotReady(f"plan {plan.id} cannot run; see what is refused", errors)
    return plan, cloud


def merge(
    plain: dict[str, Any],
    key: str,
    defaults: dict[str, Any],
    parsed: argparse.Namespace,
    names: tuple[str, ...],
) -> None:
    """Fill ``plain[key]``: an option wins over the file, the file over the defaults."""
    given = {name: getattr(parsed, name) for name in names}
    held = plain.get(key)
    if held is None:
        held = {}
    if isinstance(held, dict):  # anything else is refused with the request
        chosen = {name: value for name, value in given.items() if value is not None}
        plain[key] = {**defaults, **held, **chosen}
