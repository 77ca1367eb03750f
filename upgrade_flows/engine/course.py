"""What the journal knows of a rolling run, in the planner's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from upgrade_flows.engine import schema
from upgrade_flows.model.report import State
from upgrade_flows.planning.rolling import Facts, Ground, Move, Window
from upgrade_flows.planning.rolling.result import NO_ROOM, UPGRADED, Running

#: states in which a host is out of service because its upgrade did not come to its end
_STUCK = (State.HELD, State.QUARANTINED, State.RESIDUE)

#: states that an operator wanted: they count as no failure
_DECIDED = (State.SKIPPED, State.UNDONE)

#: what a drain tells of its instances
_TOLD = ("moving", "moved", "unmoved")

#: events that may become visible after later ones: another transaction took longer
_LATE = 1000

_NEVER = float("inf")

_e, _s = schema.events.c, schema.subjects.c
_LAST = sa.select(sa.func.max(_e.id)).where(_e.run_id == sa.bindparam("b_run_id"))
_EVENTS = sa.select(_e.id, _e.time, _e.subject, _e.what, _e.detail).where(
    _e.run_id == sa.bindparam("b_run_id"),
    _e.id > sa.bindparam("b_after"),
    sa.or_(_e.what.in_(_TOLD), sa.and_(_e.what == "finished", _e.step.like("prove-empty:%"))),
)
_BRIEFS = sa.select(_s.subject, _s.brief).where(
    _s.run_id == sa.bindparam("b_run_id"),
    _s.state.in_([str(State.CHANGING), str(State.PARKED)]),
)


@dataclass(frozen=True)
class Told:
    """One event that counts: of an instance on its way (``said``), or a host that is empty."""

    time: float
    subject: str
    what: str
    said: dict[str, Any]


@dataclass
class Log:
    """The events of one run that count, read once each; ``last`` is the latest id of any."""

    last: int = 0
    _known: dict[int, Told] = field(default_factory=dict)

    def read(self, conn: sa.Connection, run_id: str) -> int:
        """Read what is new, and return the id of the latest event, 0 where there is none."""
        names = {"b_run_id": run_id}
        last = conn.execute(_LAST, names).scalar() or 0
        if last != self.last:
            after = self.last - _LATE
            for row in conn.execute(_EVENTS, {**names, "b_after": after}):
                if row.id not in self._known:
                    said = {} if row.what == "finished" else json.loads(row.detail)
                    self._known[row.id] = Told(row.time, row.subject, row.what, said)
            self.last = last
        return last

    @property
    def told(self) -> list[Told]:
        """The events, in their order."""
        return [self._known[key] for key in sorted(self._known)]


def briefs(conn: sa.Connection, run_id: str) -> dict[str, dict[str, Any]]:
    """Return what the subjects were told that are in work, by their names."""
    rows = conn.execute(_BRIEFS, {"b_run_id": run_id})
    return {row.subject: json.loads(row.brief) for row in rows}


def facts_of(
    ground: Ground,
    rows: Any,
    told: Iterable[Told],
    briefs: Mapping[str, dict[str, Any]],
    seconds: Callable[[float], int],
) -> Facts:
    """Return what the journal knows, in the planner's words.

    :param rows: where the subjects stand; ``briefs``: what those were told that are in work.
    """
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
        said = event.said
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
            good = upgraded.get(said["target"], _NEVER) <= event.time
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
    at = {move.instance: move.target for move in moves}

    def here(name: str, host: str) -> bool:
        home = ground.hosts[ground.home[known[name]]].name
        return at.get(name, home) == host and name not in running

    meant = {
        name: Running(target, 0, UPGRADED)
        for host in sorted(draining)
        for name, target in briefs.get(host, {}).get("targets", {}).items()
        if name in known and target in ground.number and here(name, host)
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
