"""``upgrade-flows status``, ``report`` and ``purge``: what the journal knows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import Any

from upgrade_flows.cli import base, execution, files, following
from upgrade_flows.errors import RequestError
from upgrade_flows.reports import build, html, text, words
from upgrade_flows.reports import json as json_report

DAY = 86400.0


class Status(base.Lister):
    """Show where each server or host of a run stands, or all runs with --all

    The owner is the process that has it in work.  The error of a quarantined one is why it
    was set aside; 'resume' tries it again, 'rollback' takes it back.
    """

    examples = (
        "upgrade-flows status",
        "upgrade-flows status 20251120-3f -f json",
        "upgrade-flows status --all",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run."""
        base.add_run(parser)
        parser.add_argument("--all", action="store_true", help="List all runs instead.")

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Read the journal, and show one row for each server or run."""
        journal = self.journal()
        if parsed_args.all:
            return self._runs(journal)
        run = base.find_run(journal, parsed_args.run)
        for line in following.headline(journal, run):
            self.say(line)
        holders = journal.holders(run.id)
        rows = []
        for subject, record in journal.subjects(run.id).items():
            action = run.plan.action(subject)
            step = following.current(journal.steps(run.id, subject))
            owner = following.owner(holders, subject)
            rows.append(
                (subject, action.name, action.strategy, str(record.state), step, owner,
                 record.error)
            )  # fmt: skip
        noun = words.noun(run.capability).capitalize()
        return (noun, "Name", "Strategy", "State", "Step", "Owner", "Error"), rows

    def _runs(self, journal: Any) -> tuple[Sequence[str], Iterable[Any]]:
        columns = (
            "Run", "State", "Paused", "Submitted", "Capability", "Subjects", "Started", "Ended",
            "Cloud",
        )  # fmt: skip
        return columns, [
            (
                run.id,
                str(run.state),
                following.paused(run),
                run.submitted,
                run.capability,
                run.size,
                words.moment(run.created),
                words.moment(run.ended),
                run.plan.cloud_id,
            )
            for run in journal.runs()
        ]


class Report(base.Command):
    """Report a run: what was done, downtimes, differences, what is left behind"""

    examples = (
        "upgrade-flows report",
        "upgrade-flows report 20251120-3f --format html -o report.html",
        "upgrade-flows report --format json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run and the format."""
        base.add_run(parser)
        parser.add_argument(
            "--format",
            choices=("text", "json", "html"),
            default="text",
            help="What to write (default: text).",
        )
        parser.add_argument("-o", "--output", metavar="FILE", help="File to write it to.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read the journal and render."""
        journal = self.journal()
        report = build.build(journal, base.find_run(journal, parsed_args.run).id)
        if parsed_args.format == "text" and not parsed_args.output:
            execution.show(self, report)
            return 0
        render = {"text": text.text, "json": json_report.text, "html": html.page}
        rendered = render[parsed_args.format](report)
        if parsed_args.output:
            files.write_private(parsed_args.output, rendered)
        else:
            self.app.stdout.write(rendered)
        return 0


class Purge(base.Command):
    """Forget runs that ended long ago and that nobody can go on with or roll back

    Runs that could still be resumed, rolled back or committed stay.
    """

    examples = ("upgrade-flows purge --older-than 90",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the age."""
        parser.add_argument(
            "--older-than",
            metavar="DAYS",
            type=float,
            default=30.0,
            help="Days since the end of the run (0...; default: 30).",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Purge, and say what is gone."""
        if parsed_args.older_than < 0:
            raise RequestError(f"--older-than is {parsed_args.older_than}; it must be 0 or more")
        gone = self.journal().purge(time.time() - parsed_args.older_than * DAY)
        for run_id in gone:
            self.app.stdout.write(f"{run_id}\n")
        self.say(f"{words.count(len(gone), 'run')} forgotten")
        return 0
