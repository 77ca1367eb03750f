"""Reading where a run stands, in one question whatever its size."""

from __future__ import annotations

import functools
from typing import Any

import sqlalchemy as sa

from upgrade_flows.engine import schema
from upgrade_flows.engine.scheduler import (
    FAILURES,
    IN_PROGRESS,
    Outline,
    Place,
    Standing,
    Work,
)
from upgrade_flows.model.report import State

_s = schema.subjects.c
_COLUMNS = (_s.subject, _s.wave, _s.position, _s.state, _s.work)
_RUN = _s.run_id == sa.bindparam("run_id")
_LOOKED_AT = [str(state) for state in (*IN_PROGRESS, *FAILURES)]
_NOT_WAITING = [str(state) for state in (*IN_PROGRESS, State.QUARANTINED, State.HELD)]


def _waiting(work: Work) -> Any:
    """Select those that are next in line for a kind of work."""
    order = _s.position.desc() if work is Work.UNDO else _s.position.asc()
    wanted = sa.select(*_COLUMNS, sa.literal(1).label("waits")).where(
        _RUN, _s.work == str(work), _s.state.not_in(_NOT_WAITING)
    )
    return sa.select(wanted.order_by(order).limit(sa.bindparam("most")).subquery())


_BUSY_OR_FAILED = sa.select(*_COLUMNS, sa.literal(0).label("waits")).where(
    _RUN, _s.state.in_(_LOOKED_AT)
)
_REFUSED_CANARIES = sa.select(*_COLUMNS, sa.literal(0).label("waits")).where(
    _RUN, _s.state == str(State.REFUSED), _s.wave.in_(sa.bindparam("canaries", expanding=True))
)
_WAITING = {work: _waiting(work) for work in Work}


@functools.cache
def _question(canaries: bool, ordered: bool) -> Any:
    """Build the question, without what needs not be asked: planning it costs the server most."""
    works = Work if ordered else (Work.CHANGE,)
    parts = [_BUSY_OR_FAILED, *([_REFUSED_CANARIES] if canaries else [])]
    return sa.union_all(*parts, *(_WAITING[work] for work in works))


def read(conn: sa.Connection, run_id: str, outline: Outline, ordered: bool = True) -> Standing:
    """Return the subjects in progress, those that failed, and those that are next in line.

    :param ordered: whether any subject of the run was ever to be undone or settled.
    """
    canaries = [index for index, wave in enumerate(outline.waves) if wave.canary]
    names: dict[str, Any] = {"run_id": run_id, "most": outline.width}
    if canaries:
        names["canaries"] = canaries
    busy, waiting, failed = [], [], []
    for row in conn.execute(_question(bool(canaries), ordered), names):
        place = Place(row.subject, row.wave, row.position, State(row.state), row.work)
        if row.waits:
            waiting.append(place)
        elif place.state in IN_PROGRESS:
            busy.append(place)
        else:
            failed.append(place)
    waiting.sort(key=lambda place: place.position)
    backwards = [place for place in reversed(waiting) if place.work == Work.UNDO]
    onwards = [place for place in waiting if place.work != Work.UNDO]
    return Standing(tuple(busy), (*backwards, *onwards), tuple(failed))
