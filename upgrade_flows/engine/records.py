"""What the journal hands out: runs, subjects, events."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.engine.scheduler import Outline
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Residue, State


@dataclass(frozen=True)
class RunRecord:
    """One run; ``state`` is a ``scheduler.RunState``, times are epoch seconds.

    ``size`` is the number of its subjects.  ``moves`` is a ``scheduler.Moves``: what may be done
    in it now.  ``submitted``: conductors carry it out, rather than the process that began it.
    ``withdrawn``: the whole run was rolled back, so nothing of it may begin any more.
    """

    id: str
    plan_id: str
    cloud_id: str
    capability: str
    size: int
    state: str
    created: float
    ended: float | None
    moves: str
    submitted: bool
    withdrawn: bool
    outline: Outline
    read_plan: Callable[[], Plan] = field(repr=False, compare=False)

    @functools.cached_property
    def plan(self) -> Plan:
        """The plan, read from the journal when it is asked for: it may be long."""
        return self.read_plan()


@dataclass(frozen=True)
class SubjectRecord:
    """One subject of a run: where it stands, and what is wanted of it (``scheduler.Work``)."""

    subject: str
    state: State
    work: str = ""
    error: str = ""
    started: float | None = None
    ended: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    residue: tuple[Residue, ...] = ()


@dataclass(frozen=True)
class Event:
    """One moment of a run's timeline.

    ``what`` is ``started``, ``finished``, ``failed``, ``reverting``, ``reverted`` or ``residue``
    of a ``step``; without a step, it is the state that the subject has reached.  The drain of a
    host tells of each instance as well: ``moving``, ``forced``, ``aborted``, ``moved`` or
    ``unmoved`` of ``move-server:<id>``, with a JSON object as ``detail``.  ``owner`` is the
    process that did it.
    """

    time: float
    subject: str
    step: str
    what: str
    detail: str = ""
    owner: str = ""
