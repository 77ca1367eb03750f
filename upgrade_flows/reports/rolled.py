"""What a run did to hosts, beside what its plan predicted: drains, upgrades, moves of instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from upgrade_flows.model.report import Outcome, Report
from upgrade_flows.reports import tables, words

#: moves that are listed as text, and in HTML; all of them are in the JSON report
MOVES = 20

Pair = tuple[float | None, float | None]


@dataclass(frozen=True)
class Host:
    """A host; pairs hold predicted and measured seconds, None where they are not known."""

    name: str
    state: str
    drain: Pair
    out: Pair
    total: Pair
    moves: int
    stayed: int
    rebooted: str
    canary: str
    error: str


@dataclass(frozen=True)
class Move:
    """An instance that was moved off a host."""

    instance: str
    name: str
    source: str
    target: str
    how: str
    attempts: int
    took_s: float | None
    pause_s: float | None
    predicted_s: float | None
    predicted_pause_s: float | None


@dataclass(frozen=True)
class Stayed:
    """An instance that was not moved off a host."""

    name: str
    host: str
    why: str


@dataclass(frozen=True)
class Rolled:
    """All hosts in the plan's order; the moves that took longest first; who stayed."""

    hosts: tuple[Host, ...]
    moves: tuple[Move, ...]
    stayed: tuple[Stayed, ...]


def of(report: Report) -> Rolled | None:
    """Return what a run did to hosts; None where its subjects are no hosts."""
    if words.noun(report.capability) != "host":
        return None
    moves = sorted(
        (move for outcome in report.outcomes for move in _moves(outcome)),
        key=lambda move: (-(move.took_s or 0.0), move.name, move.source),
    )
    return Rolled(
        hosts=tuple(_host(outcome) for outcome in report.outcomes),
        moves=tuple(moves),
        stayed=tuple(
            Stayed(str(one.get("name") or one.get("instance", "")), outcome.subject,
                   str(one.get("why", "")))
            for outcome in report.outcomes
            for one in outcome.result.get("stayed") or ()
        ),
    )  # fmt: skip


def table(rolled: Rolled, colour: Any) -> RenderableType:
    """Return the table of hosts: times as ``predicted / measured``."""
    numbers = ("Drain", "Out", "Total", "Moves")
    result = tables.table(("Host", "State", *numbers, "Rebooted", "Canary"), right=numbers)
    for host in rolled.hosts:
        result.add_row(
            words.safe(host.name),
            host.state,
            *(_pair(pair) for pair in (host.drain, host.out, host.total)),
            str(host.moves),
            host.rebooted,
            words.safe(host.canary),
            style=colour(host.state),
        )
    return result


def parts(rolled: Rolled) -> Iterator[RenderableType]:
    """Yield what is printed of the instances: the slowest moves, and who stayed."""
    if rolled.moves:
        slow = f", the {MOVES} slowest" if len(rolled.moves) > MOVES else ""
        yield ""
        yield f"Moves: {len(rolled.moves)}{slow} (predicted / measured)"
        yield ""
        numbers = ("Attempts", "Took", "Pause")
        result = tables.table(("Instance", "From", "To", "How", *numbers), right=numbers)
        for move in rolled.moves[:MOVES]:
            result.add_row(
                words.safe(move.name),
                words.safe(move.source),
                words.safe(move.target),
                words.safe(move.how),
                str(move.attempts),
                _pair((move.predicted_s, move.took_s)),
                " / ".join(map(words.seconds, (move.predicted_pause_s, move.pause_s))),
            )
        yield result
    if rolled.stayed:
        yield ""
        yield "Stayed where they were:"
        for one in rolled.stayed[:MOVES]:
            yield f"  {words.safe(one.name)} on {words.safe(one.host)}: {words.safe(one.why)}"
        if len(rolled.stayed) > MOVES:
            yield f"  and {len(rolled.stayed) - MOVES} more"


def _pair(pair: Pair) -> str:
    return f"{words.minutes(pair[0])} / {words.minutes(pair[1])}"


def _host(outcome: Outcome) -> Host:
    result, planned = outcome.result, outcome.predicted
    start, drained, end = (planned.get(name) for name in ("start", "drained", "end"))
    rebooted = result.get("rebooted")
    took = None
    if outcome.started is not None and outcome.ended is not None:
        took = max(0.0, outcome.ended - outcome.started)
    return Host(
        name=outcome.name or outcome.subject,
        state=outcome.state,
        drain=(_between(start, drained), _number(result.get("drain_s"))),
        out=(_between(drained, end), _number(result.get("out_s"))),
        total=(_between(start, end), took),
        moves=len(result.get("moves") or ()),
        stayed=len(result.get("stayed") or ()),
        rebooted="" if rebooted is None else "yes" if rebooted else "no",
        canary=str(result.get("canary") or ""),
        error=outcome.error,
    )


def _moves(outcome: Outcome) -> Iterator[Move]:
    foreseen = outcome.predicted.get("instances") or {}
    for one in outcome.result.get("moves") or ():
        instance = str(one.get("instance", ""))
        predicted = foreseen.get(instance) or {}
        yield Move(
            instance=instance,
            name=str(one.get("name") or instance),
            source=str(one.get("source") or outcome.subject),
            target=str(one.get("target", "")),
            how=str(one.get("how", "")),
            attempts=int(one.get("attempts") or 1),
            took_s=_number(one.get("seconds")),
            pause_s=_number(one.get("pause_s")),
            predicted_s=_number(predicted.get("move_s")),
            predicted_pause_s=_number(predicted.get("pause_s")),
        )


def _between(start: Any, end: Any) -> float | None:
    return None if start is None or end is None else float(end) - float(start)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
