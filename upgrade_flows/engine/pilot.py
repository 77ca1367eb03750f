"""Asks the schedule of a rolling run, on what the journal says has happened, what may begin now."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from upgrade_flows.engine import schema
from upgrade_flows.engine.scheduler import Advice, Place, Work
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.planning import hosts
from upgrade_flows.planning.rolling import Begin, Facts, Ground, Move, Run, Window
from upgrade_flows.planning.rolling.result import NO_ROOM, UPGRADED, Running
from upgrade_flows.planning.rolling.state import Status
from upgrade_flows.plugins import registry

#: states in which a host is out of service because its upgrade did not come to its end
_STUCK = (State.HELD, State.QUARANTINED, State.RESIDUE)

#: states that an operator wanted: they count as no failure
_DECIDED = (State.SKIPPED, State.UNDONE)

#: what a drain tells of its instances, and what else counts
_TOLD = ("moving", "moved", "unmoved")

_s, _e = schema.subjects.c, schema.events.c
_SUBJECTS = sa.select(
    _s.subject, _s.wave, _s.position, _s.state, _s.work, _s.error, _s.started, _s.ended, _s.brief
).where(_s.run_id == sa.bindparam("b_run_id"))
_LAST = sa.select(sa.func.max(_e.id)).where(_e.run_id == sa.bindparam("b_run_id"))
_EVENTS = (
    sa.select(_e.time, _e.subject, _e.what, _e.detail)
    .where(
        _e.run_id == sa.bindparam("b_run_id"),
        sa.or_(_e.what.in_(_TOLD), sa.and_(_e.what == "finished", _e.step.like("prove-empty:%"))),
    )
    .order_by(_e.id)
)


@dataclass
class Course:
    """What this process knows of one run: the ground of its schedule, and its last advice."""

    ground: Ground
    seen: tuple[Any, ...] = ()
    until: float = 0.0
    advice: Advice = field(default_factory=Advice)


class Pilot:
    """Gives advice on the rolling runs of one journal.

    The advice is worked out anew from the facts whenever something has happened, so that every
    process that asks gets the same.
    """

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}

    def advise(self, conn: sa.Connection, run_id: str, at: float) -> Advice:
        """Return what may begin in a run.

        :param at: now, by the clock that the events are noted with, in epoch seconds.
        """
        course = self._courses.get(run_id)
        if course is None:
            if len(self._courses) > 20:
                self._courses.clear()
            course = self._courses[run_id] = Course(_ground(conn, run_id))
        names = {"b_run_id": run_id}
        rows = conn.execute(_SUBJECTS, names).all()
        last = conn.execute(_LAST, names).scalar()
        seen = (last, tuple((row.state, row.work, row.ended) for row in rows))
        if seen != course.seen or at >= course.until:
            told = conn.execute(_EVENTS, names).all() if last is not None else []
            course.advice = _advise(course.ground, rows, told, at)
            course.seen = seen
            course.until = at + 60.0 if course.advice.wake is None else course.advice.wake
        return course.advice


def _ground(conn: sa.Connection, run_id: str) -> Ground:
    query = sa.select(schema.runs.c.plan).where(schema.runs.c.id == run_id)
    plan = Plan.from_json(conn.execute(query).scalar_one())
    return hosts.ground_of(plan.schedule, registry.load())


def _advise(ground: Ground, rows: Any, told: Any, at: float) -> Advice:
    began = [row.started for row in rows if row.started is not None]
    base = min(began, default=at)

    def seconds(moment: float) -> int:
        return max(0, int(moment - base))

    run = Run(ground, facts_of(ground, rows, told, seconds), seconds(at))
    chosen = [order.host for order in run.decide(seconds(at)) if isinstance(order, Begin)]
    pending = {
        row.subject: Place(row.subject, row.wave, row.position, State.PENDING, "change")
        for row in rows
        if row.state == State.PENDING and row.work == Work.CHANGE  # of a run not withdrawn
    }
    begin = tuple(pending[name] for name in chosen if name in pending)
    halted = run.halted or None
    wake = None if run.wake is None else base + run.wake
    if pending and not begin and not halted and wake is None and not _busy(rows):
        run.finish()
        left = run.roll().left
        halted = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:5]) or None
    return Advice(
        begin, {place.subject: _brief(run, place.subject) for place in begin}, halted, wake
    )


def facts_of(ground: Ground, rows: Any, told: Any, seconds: Callable[[float], int]) -> Facts:
    """Return what the journal knows, in the planner's words."""
    known = ground.number_of
    states = {row.subject: State(row.state) for row in rows}
    upgraded = {
        row.subject: row.ended for row in rows if State(row.state) in (State.CHANGED, State.SETTLED)
    }
    drained: dict[str, float] = {}
    moving: dict[str, tuple[dict[str, Any], float]] = {}
    moves: list[Move] = []
    arrived: dict[str, str] = {}
    for event in told:
        if event.what == "finished":
            drained[event.subject] = event.time
            continue
        said = json.loads(event.detail)
        instance = said["instance"]
        if instance not in known or said["target"] not in ground.number:
            continue
        if event.what == "moving":
            moving[instance] = (said, event.time)
        elif event.what == "unmoved":
            moving.pop(instance, None)
        elif said["source"] in ground.number:
            if arrived.get(instance) == said["target"] and instance not in moving:
                continue  # told once more, by a process that took over
            arrived[instance] = said["target"]
            start = moving.pop(instance, (said, event.time))[1]
            good = upgraded.get(said["target"], at_the_end) <= event.time
            moves.append(
                Move(
                    instance, said["source"], said["target"], seconds(start),
                    seconds(event.time), UPGRADED if good else NO_ROOM,
                )
            )  # fmt: skip
    draining = {
        row.subject
        for row in rows
        if State(row.state) in (State.CHANGING, State.PARKED) and row.subject not in drained
    }
    running = {
        name: Running(said["target"], seconds(start), UPGRADED)
        for name, (said, start) in moving.items()
        if said["source"] in draining
    }
    gone = {move.instance for move in moves} | running.keys()
    meant = {
        name: Running(target, 0, UPGRADED)
        for row in rows
        if row.subject in draining
        for name, target in json.loads(row.brief).get("targets", {}).items()
        if name in known and name not in gone and target in ground.number
    }
    windows = [
        _window(row, states[row.subject], drained, seconds)
        for row in sorted(
            (row for row in rows if row.started is not None or states[row.subject] in _DECIDED),
            key=lambda row: row.started or 0.0,
        )
        if row.subject in ground.number
    ]
    return Facts(
        windows=tuple(window for window in windows if window is not None),
        moves=tuple(moves),
        running=running,
        meant=meant,
    )


at_the_end = float("inf")


def _window(
    row: Any, state: State, drained: dict[str, float], seconds: Callable[[float], int]
) -> Window | None:
    if row.started is None:
        return Window(row.subject, 0, None, 0, "halted: skipped")
    start = seconds(row.started)
    empty = seconds(drained[row.subject]) if row.subject in drained else None
    window = Window(row.subject, start, empty)
    if state in (State.CHANGED, State.SETTLED, State.SETTLING):
        end = seconds((row.ended or row.started) + 1)  # what bakes does so for its whole time
        return replace(window, drained=empty or start, end=end)
    if state in _STUCK:
        return replace(window, failed=row.error or str(state))
    if state in _DECIDED:
        return replace(window, end=seconds(row.ended or row.started), failed=f"halted: {state}")
    if state in (State.FAILED, State.REFUSED):
        why = row.error or str(state)
        return replace(window, end=seconds(row.ended or row.started), failed=why)
    return window


def _busy(rows: Any) -> bool:
    return any(
        State(row.state) in (State.CHANGING, State.PARKED, State.UNDOING, State.SETTLING)
        for row in rows
    )


def _brief(run: Run, host: str) -> dict[str, Any]:
    """Return what the drain of a host is told: where its instances are to go, and where else."""
    ground, state = run.ground, run.state
    facts = run.facts()
    aims = {**facts.meant, **facts.running}
    here = state.resident[ground.number[host]]
    names = [ground.instances[n].id for n in here]
    upgraded, others = [], []
    for number, known in enumerate(ground.hosts):
        if known.excluded or known.name == host:
            continue
        status = state.status[number]
        if status is Status.UPGRADED:
            upgraded.append(known.name)
        elif status is Status.PENDING:
            others.append(known.name)
    return {
        "targets": {name: aims[name].target for name in names if name in aims},
        "hosts": [*upgraded, *others],
    }
