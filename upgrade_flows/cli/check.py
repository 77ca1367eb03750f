"""``upgrade-flows check``: what stands in the way of an upgrade, and what needs a change."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from upgrade_flows.cli import base, files
from upgrade_flows.errors import RequestError
from upgrade_flows.model.check import CheckReport, CheckResult, CheckState
from upgrade_flows.reports import tables, words
from upgrade_flows.reports.checks import json, junit, sarif, text

FORMATS = ("table", "json", "junit", "sarif")

COLUMNS = ("Server", "Name", "Host", "Port", "Bound", "Wanted", "Needs change", "Why")


class Check(base.Command):
    """Look for what stands in the way of an upgrade, by area; nothing is changed

    Without an area everything is looked at. A check that fails is reported and hides nothing of
    what the others find. What a check needs and is not there (a database that is not configured)
    makes it skipped, and that is said, too. The report goes to stdout.
    Exit codes: 0 nothing found, 1 warnings, 2 something is in the way (also: the command was not
    understood, with a line on stderr), 255 a check failed or there was nothing to look at.
    """

    examples = (
        "upgrade-flows check",
        "upgrade-flows check database --target 2025.1",
        "upgrade-flows check cloud versions -f sarif -o findings.sarif",
        "upgrade-flows check --explain UF-UP-002",
        "upgrade-flows check --list",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what is looked at, and how it is shown."""
        parser.add_argument(
            "area", metavar="AREA", nargs="*", help="What to look at (default: everything)."
        )
        parser.add_argument(
            "-f", "--format", choices=FORMATS, default="table", help="How the report looks."
        )
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="File for the report, instead of stdout."
        )
        parser.add_argument(
            "--all-checks", action="store_true", help="In the table, a line for every check."
        )
        parser.add_argument(
            "--waivers",
            metavar="FILE",
            type=Path,
            help="Findings that somebody answers for (default: [checks] waivers).",
        )
        parser.add_argument(
            "--target",
            metavar="RELEASE",
            help="Release to upgrade to, as in 2025.1 (default: [checks] target).",
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--explain", metavar="ID", help="Say all about a finding's id.")
        which.add_argument("--list", action="store_true", help="List all that is looked for.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Explain, list, or check and report."""
        stdout = self.application.stdout
        if (parsed_args.explain or parsed_args.list) and parsed_args.area:
            raise RequestError("--explain and --list go without an area")
        if parsed_args.explain:
            stdout.write(text.explain(self.wiring.checks, parsed_args.explain) + "\n")
            return 0
        if parsed_args.list:
            tables.console(stdout).print(text.known(self.wiring.checks))
            return 0
        settings = self.settings.checks
        settings = dataclasses.replace(
            settings,
            waivers=parsed_args.waivers or settings.waivers,
            target=parsed_args.target or settings.target,
        )
        report = self.wiring.check(self.connect, settings, parsed_args.area, self._ended)
        shown = self._shown(report, parsed_args.format, parsed_args.all_checks)
        if parsed_args.output:
            files.write_private(parsed_args.output, shown)
        else:
            stdout.write(shown)
        return report.exit_code

    def _shown(self, report: CheckReport, how: str, verbose: bool) -> str:
        if how == "json":
            return json.text(report)
        if how == "junit":
            return junit.text(report, self.wiring.checks)
        if how == "sarif":
            return sarif.text(report, self.wiring.checks)
        return tables.to_text(text.parts(report, verbose))

    def _ended(self, result: CheckResult, number: int, of: int) -> None:
        what = (
            words.count(len(result.findings), "finding")
            if result.state == CheckState.DONE
            else f"{result.state}: {words.safe(result.why)}"
        )
        seconds = words.seconds(result.seconds)
        self.say(f"[{number}/{of}] {result.area}, {result.name}: {what} ({seconds})")


class VifMode(base.Lister):
    """Show for each port the VIF mode it is bound in, and the mode its host would bind it in now

    Nothing is changed.
    """

    examples = (
        "upgrade-flows check vif-mode --host compute-1",
        "upgrade-flows check vif-mode --all -f csv",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the scope."""
        base.add_scope(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Collect, and show one row for each port."""
        scope = base.scope_of(parsed_args)
        scope.check()
        inventory = self.wiring.collect(self.connect(), scope, self.reading)
        servers = self.wiring.select(inventory, scope)
        return COLUMNS, [
            (
                row.server_id,
                row.server_name,
                row.host,
                row.port_id,
                str(row.bound),
                str(row.wanted),
                row.needs_change,
                row.why,
            )
            for row in self.wiring.vif_rows(inventory, servers)
        ]
