"""Asks the schedule of a rolling run, on what the journal says has happened, what may begin now."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from upgrade_flows.engine import schema
from upgrade_flows.engine.course import Log, Told, briefs, facts_of
from upgrade_flows.engine.scheduler import Advice, Place, Work
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.planning import hosts
from upgrade_flows.planning.host_groups import mark_of
from upgrade_flows.planning.rolling import Begin, Ground, Run
from upgrade_flows.planning.rolling.state import Status
from upgrade_flows.plugins import registry

_s = schema.subjects.c
_SUBJECTS = sa.select(
    _s.subject, _s.wave, _s.position, _s.state, _s.work, _s.error, _s.started, _s.ended
).where(_s.run_id == sa.bindparam("b_run_id"))


@dataclass
class Course:
    """What this process knows of one run: the ground of its schedule, and its last advice."""

    ground: Ground
    log: Log = field(default_factory=Log)
    seen: tuple[Any, ...] = ()
    until: float = 0.0
    advice: Advice = field(default_factory=Advice)
    lock: threading.Lock = field(default_factory=threading.Lock)


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
        with course.lock:
            return self._ask(conn, run_id, course, at)

    def _ask(self, conn: sa.Connection, run_id: str, course: Course, at: float) -> Advice:
        names = {"b_run_id": run_id}
        rows = conn.execute(_SUBJECTS, names).all()
        seen = (
            course.log.read(conn, run_id),
            tuple((row.state, row.work, row.ended) for row in rows),
        )
        if seen != course.seen or at >= course.until:
            told = briefs(conn, run_id)
            course.advice = _advise(course.ground, rows, course.log.told, told, at)
            course.seen = seen
            course.until = at + 60.0 if course.advice.wake is None else course.advice.wake
        return course.advice


def _ground(conn: sa.Connection, run_id: str) -> Ground:
    query = sa.select(schema.runs.c.plan).where(schema.runs.c.id == run_id)
    plan = Plan.from_json(conn.execute(query).scalar_one())
    return hosts.ground_of(plan.schedule, registry.load())


def _advise(
    ground: Ground, rows: Any, told: list[Told], briefs: dict[str, dict[str, Any]], at: float
) -> Advice:
    began = [row.started for row in rows if row.started is not None]
    base = min(began, default=at)

    def seconds(moment: float) -> int:
        return max(0, int(moment - base))

    run = Run(ground, facts_of(ground, rows, told, briefs, seconds), seconds(at))
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
    group = mark_of(ground.hosts[ground.number[host]])
    upgraded, others = [], []
    for number, known in enumerate(ground.hosts):
        if known.excluded or known.name == host or mark_of(known) != group:
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
