"""A plan that upgrades hosts one after the other as text: the order, its price, how good it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.planning.hosts import roll_of
from upgrade_flows.planning.rolling import Bound, Roll, Window
from upgrade_flows.reports import tables, words

#: what becomes of instances, as columns
HOWS = {
    "live": "Live",
    "cold": "Cold",
    "wait": "Wait",
    "offload": "Offload",
    "stay": "Stay",
    "poweroff": "Off",
}

#: how many instances are listed that move twice, and that pause longest
TWICE = 20
PAUSES = 5

#: which of the bounds holds, and what it says
BOUNDS = {
    "work": "the hosts' time out of service, shared by as many as may be out",
    "capacity": "free capacity, against what the hosts have while they are out",
    "bandwidth": "all migrations, shared by as many as may run",
    "critical path": "the longest host, after canaries and bake time",
}


@dataclass(frozen=True)
class Instance:
    """An instance of a host of the plan, and what becomes of it."""

    id: str
    name: str
    host: str
    how: str
    why: str
    move_s: float
    pause_s: float


def parts(plan: Plan) -> Iterator[RenderableType]:
    """Yield what is printed of a plan's schedule, from top to bottom."""
    roll = roll_of(plan.schedule)
    for wave in plan.waves:
        pace = f"{wave.at_a_time} out of service at a time"
        failures = wave.gate.max_failures
        gate = f"more than {words.count(failures, 'failure')}" if failures else "the first failure"
        yield ""
        yield f"Hosts: {pace}, nothing more begins after {gate}"
        yield ""
        yield _hosts(plan, roll)
    twice = list(twice_lines(plan, roll))
    if twice:
        yield ""
        yield "Moved twice:"
        yield from (f"  {line}" for line in twice)


def summary(plan: Plan) -> Iterator[str]:
    """Yield what the schedule costs, and how far it is from the shortest possible."""
    roll = roll_of(plan.schedule)
    yield (
        f"In all: {words.subjects(len(plan.actions), plan.request.capability)}, predicted to take"
        f" {words.seconds(float(roll.makespan))}."
    )
    yield f"{bound_text(roll.bound)}; the gap is {gap_text(roll)}."
    moves = roll.moved.total()
    yield (
        f"{words.count(moves, 'move')} of {words.count(len(roll.moved), 'instance')},"
        f" {roll.moves_per_instance:.2f} each; {len(roll.twice)} move more than once."
    )
    longest = list(pauses(plan, roll))[:PAUSES]
    if longest:
        said = ", ".join(
            f"{words.safe(one.name)} {words.seconds(seconds)}" for one, seconds in longest
        )
        yield f"Longest pauses: {said}."


def bound_text(bound: Bound) -> str:
    """Return the lower bound, and what it comes from, as a sentence without its full stop."""
    why = BOUNDS.get(bound.by, bound.by)
    where = f" in {words.safe(bound.where)}" if bound.where else ""
    length = words.seconds(float(bound.seconds))
    return f"No order takes less than {length}: {bound.by}{where} ({why})"


def gap_text(roll: Roll) -> str:
    """Return by how much the makespan exceeds the bound."""
    return f"{roll.gap:.1%}".replace("%", " %")


def rows(plan: Plan, roll: Roll) -> Iterator[tuple[Action, Window | None]]:
    """Yield the hosts of a plan in order, each with its predicted window; None: none is found."""
    windows = {window.host: window for window in roll.windows}
    for action in plan.actions:
        window = windows.get(action.subject)
        yield action, window if window is not None and window.end is not None else None


def instances(action: Action) -> Iterator[Instance]:
    """Yield the instances of a host, and what becomes of them."""
    for id_, one in action.details.get("instances", {}).items():
        yield Instance(
            id_,
            str(one.get("name") or id_),
            action.subject,
            str(one.get("how", "")),
            str(one.get("why", "")),
            float(one.get("move_s", 0)),
            float(one.get("pause_s", 0)),
        )


def hows(plan: Plan) -> list[str]:
    """Return what becomes of instances in this plan, in the order of the columns."""
    found = {one.how for action in plan.actions for one in instances(action)}
    return [how for how in HOWS if how in found]


def pauses(plan: Plan, roll: Roll) -> Iterator[tuple[Instance, float]]:
    """Yield the instances whose guests stand still, the longest first, with the seconds."""
    found = [
        (one, seconds)
        for action in plan.actions
        for one in instances(action)
        if one.how not in ("stay", "offload") and (seconds := roll.pauses.get(one.id, 0.0)) > 0
    ]
    yield from sorted(found, key=lambda pair: (-pair[1], pair[0].name, pair[0].id))


def twice_lines(plan: Plan, roll: Roll) -> Iterator[str]:
    """Yield who moves more than once and why, the first ones of them."""
    names = {one.id: one.name for action in plan.actions for one in instances(action)}
    for id_, why in list(roll.twice.items())[:TWICE]:
        yield f"{words.safe(names.get(id_, id_))}: {words.safe(why)}"
    if len(roll.twice) > TWICE:
        yield f"and {len(roll.twice) - TWICE} more"


def cells(action: Action, window: Window | None, roll: Roll, columns: list[str]) -> list[str]:
    """Return the numbers of a host: its window, its instances by what becomes of them, pause."""
    there = list(instances(action))
    counts: list[Any] = [sum(one.how == how for one in there) or "" for how in columns]
    longest = max(
        (roll.pauses.get(one.id, 0.0) for one in there if one.how not in ("stay", "offload")),
        default=0.0,
    )
    return [
        words.clock(float(window.start)) if window else "-",
        words.clock(float(window.end or 0)) if window else "-",
        *(str(count) for count in counts),
        words.seconds(longest) if longest else "",
    ]


def _hosts(plan: Plan, roll: Roll) -> RenderableType:
    columns = hows(plan)
    numbers = ("#", "Start", "End", *(HOWS[how] for how in columns), "Pause")
    result = tables.table(
        ("#", "Host", "Start", "End", *(HOWS[how] for how in columns), "Pause", "What is missing"),
        right=numbers,
    )
    for number, (action, window) in enumerate(rows(plan, roll), 1):
        missing = "; ".join(str(one) for one in action.details.get("missing", ()))
        result.add_row(
            str(number),
            words.safe(action.name or action.subject),
            *cells(action, window, roll, columns),
            words.safe(missing or "; ".join(action.because)),
        )
    return result
