"""``upgrade-flows gc``: left-overs of runs, found by their marks, also without the journal."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from upgrade_flows import errors, gc
from upgrade_flows.cli import base, execution
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.errors import RequestError
from upgrade_flows.gc.things import short_tag
from upgrade_flows.model.report import State
from upgrade_flows.reports import follow, tables, words

COLUMNS = ("Kind", "Id", "Name", "Run", "Until", "Fate", "Why")

#: states in which nothing that was made for a subject is needed any more
OVER = (State.SETTLED, State.UNDONE, State.FAILED, State.REFUSED)


class Gc(base.Lister):
    """List what runs have left behind in the cloud; with --delete, remove it

    It is found by the marks that it bears: names, tags and properties; the journal is asked which
    runs are not over, and what belongs to those is never touched. So is nothing that somebody
    uses. What bears the mark of a run that the journal does not know is listed, and removed only
    with --run or --older-than: the journal may be on another machine. Copies of old disks that
    were kept for a while are removed when that is over.
    Exit codes: 0 done, 2 not wanted, 5 something could not be removed.
    """

    examples = (
        "upgrade-flows gc",
        "upgrade-flows gc --delete",
        "upgrade-flows gc --delete --run 20251120-3fa9c1 --yes",
        "upgrade-flows gc --older-than 604800 -f json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what is meant, and whether it is removed."""
        parser.add_argument("--delete", action="store_true", help="Remove what is left over.")
        parser.add_argument(
            "--run",
            metavar="RUN",
            help="Only things of this run (its whole id), also if the journal does not know it.",
        )
        parser.add_argument(
            "--older-than",
            metavar="SECONDS",
            type=float,
            help="Also things of unknown runs, if they are older. For most, the day of the run is"
            " all that is known.",
        )
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    #: how many things could not be removed
    failed = 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; what could not be removed makes it fail after it was listed."""
        self.failed = 0
        code = super().run(parsed_args)
        if self.failed:
            raise errors.ResidueLeft(
                f"{words.count(self.failed, 'thing')} could not be removed; see why above"
            )
        return code

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Find, sort, ask, remove; show one row for each thing."""
        older = parsed_args.older_than
        if older is not None and not older >= 0:
            raise RequestError(f"--older-than is {older}; it must be 0 or more")
        cloud = self.connect()
        journal = self.journal()
        named = [parsed_args.run] if parsed_args.run else []
        found = gc.find(cloud, [*(run.id for run in journal.runs()), *named])
        # once more: what has begun in between must not look like the work of nobody
        runs = {run.id: run for run in journal.runs() if run.cloud_id == cloud.id}
        known = gc.Known(
            runs={run_id: standing(journal, run) for run_id, run in runs.items()},
            marks=marks(journal, runs, {thing.mark for thing in found} - {""}),
        )
        verdicts = gc.sort(found, known, cloud.clock.time(), parsed_args.run or "", older)
        left = [verdict for verdict in verdicts if verdict.delete]
        fates = {verdict: "left over" if verdict.delete else "kept" for verdict in verdicts}
        if parsed_args.delete and left:
            fates |= self._remove(cloud, left, parsed_args.yes)
        return COLUMNS, [row(verdict, fate) for verdict, fate in fates.items()]

    def _remove(self, cloud: Cloud, left: list[gc.Verdict], yes: bool) -> dict[gc.Verdict, str]:
        """Show what is to be removed, ask, and remove it; return what became of each."""
        table = tables.table(COLUMNS)
        for verdict in left:
            table.add_row(*row(verdict, "left over"))
        tables.console(self.application.stderr).print(table)
        execution.confirm(self, f"Remove {words.count(len(left), 'thing')}?", yes)
        by_thing = {verdict.thing: verdict for verdict in left}
        fates = {}
        for thing, why_not in gc.remove(cloud, by_thing):
            fates[by_thing[thing]] = f"not removed: {why_not}" if why_not else "removed"
            self.failed += bool(why_not)
        return fates


def standing(journal: Any, run: Any) -> gc.Standing:
    """Return where a run stands, by its subjects."""
    counts = {state for state, number in journal.counts(run.id).items() if number}
    over = set(OVER) | (set() if run.state in follow.OPEN else {State.PENDING})
    if counts - over:
        return gc.Standing.OPEN
    return gc.Standing.SETTLED if State.SETTLED in counts else gc.Standing.OVER


def marks(journal: Any, runs: Iterable[str], wanted: set[str]) -> dict[str, str]:
    """Return the runs of short tags, as far as a step that the journal knows explains them."""
    found: dict[str, str] = {}
    for run_id in runs:
        if set(found) >= wanted:
            break
        for subject in journal.subjects(run_id):
            for step in journal.steps(run_id, subject):
                mark = short_tag(run_id, step.step)
                if mark in wanted:
                    found[mark] = run_id
    return found


def row(verdict: gc.Verdict, fate: str) -> tuple[str, ...]:
    """Return what is shown of a thing."""
    thing = verdict.thing
    return (
        str(thing.kind),
        thing.id,
        words.safe(thing.name),
        thing.run or "-",
        words.moment(thing.until),
        words.safe(fate),
        words.safe(verdict.why),
    )
