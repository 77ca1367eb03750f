"""Which of the things that bear our marks are left-overs, and which are to be deleted."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from upgrade_flows.gc.things import Kind, Thing


class Standing(enum.StrEnum):
    """Where a run stands that the journal knows.

    ``open``: something in it can still be finished, taken back or committed.  ``settled``: it is
    over, and something of it was committed, so that what it made may have been handed over.
    """

    OPEN = "open"
    OVER = "over"
    SETTLED = "settled"


@dataclass(frozen=True)
class Known:
    """What the journal knows: its runs, and whose the short tags are, as far as it can tell."""

    runs: Mapping[str, Standing] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a thing, and why."""

    thing: Thing
    delete: bool
    why: str


def sort(
    found: Iterable[Thing],
    known: Known,
    now: float,
    run: str = "",
    older_than_s: float | None = None,
) -> tuple[Verdict, ...]:
    """Return a verdict on each thing, in the order in which they would be removed.

    :param now: epoch seconds.
    :param run: only things of this run, which are left-overs also if the journal knows it not.
    :param older_than_s: things of unknown runs are left-overs if they are older.
    """
    named = [_named(thing, known) for thing in found]
    chosen = [thing for thing in named if not run or thing.run == run]
    order = list(Kind)
    chosen.sort(key=lambda thing: (order.index(thing.kind), thing.run, thing.name, thing.id))
    return tuple(_verdicts(chosen, known, now, run, older_than_s))


def _named(thing: Thing, known: Known) -> Thing:
    """Return a thing with the run that the journal knows its mark of."""
    run = known.marks.get(thing.mark, "") if thing.mark else ""
    return dataclasses.replace(thing, run=run) if run else thing


def _verdicts(
    chosen: Iterable[Thing], known: Known, now: float, run: str, older_than_s: float | None
) -> Iterator[Verdict]:
    going: set[str] = set()
    for thing in chosen:  # servers come first
        verdict = _verdict(thing, known, now, run, older_than_s)
        if verdict.delete and thing.held_by and thing.held_by not in going:
            verdict = Verdict(thing, False, f"held by server {thing.held_by}, which is kept")
        if verdict.delete and thing.kind is Kind.SERVER:
            going.add(thing.id)
        yield verdict


def _verdict(
    thing: Thing, known: Known, now: float, run: str, older_than_s: float | None
) -> Verdict:
    standing = known.runs.get(thing.run) if thing.run else None
    if keep := _reason_to_keep(thing, standing, now, run):
        return Verdict(thing, False, keep)
    if thing.until is not None and thing.until <= now:
        return Verdict(thing, True, "it was kept for a while, which is over")
    if standing is not None:
        return Verdict(thing, True, "its run is over")
    if run:
        return Verdict(thing, True, "its run is not in the journal, and was named")
    return _of_unknown(thing, now, older_than_s)


def _reason_to_keep(thing: Thing, standing: Standing | None, now: float, run: str) -> str:
    """Return why a thing must not be touched, or an empty string.

    What is held of a host's room is held for somebody who is at work; a copy of an old disk is
    kept whoever has gone.
    """
    if standing is Standing.OPEN:
        return "its run is not over"
    if thing.used:
        return f"in use by {thing.used}"
    gone = thing.kind is Kind.HOLD and (run or standing is not None)
    if thing.until is not None and thing.until > now and not gone:
        return "kept for a while"
    if standing is Standing.SETTLED and thing.kind is Kind.VOLUME and thing.until is None:
        return "its run was committed: it may have been given to an instance"
    return ""


def _of_unknown(thing: Thing, now: float, older_than_s: float | None) -> Verdict:
    whose = "its run is not in the journal" if thing.run else "nobody knows whose it is"
    if older_than_s is None:
        return Verdict(thing, False, f"{whose}: say --run or --older-than")
    if thing.created is None:
        return Verdict(thing, False, f"{whose}, nor how old it is: say --run")
    age = now - thing.created
    if age < older_than_s:
        return Verdict(thing, False, f"{whose}, and it is too young")
    return Verdict(thing, True, f"{whose}, and it is old enough")
