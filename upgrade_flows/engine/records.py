"""What the journal hands out: runs, subjects, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Residue, State


@dataclass(frozen=True)
class RunRecord:
    """One run; ``state`` is a ``scheduler.RunState``, times are epoch seconds.

    ``withdrawn``: the whole run was rolled back, so nothing of it may begin any more.
    """

    id: str
    plan: Plan
    state: str
    created: float
    ended: float | None = None
    withdrawn: bool = False


@dataclass(frozen=True)
class SubjectRecord:
    """One subject of a run: where it stands, and the flows that brought it there."""

    subject: str
    state: State
    error: str = ""
    started: float | None = None
    ended: float | None = None
    flow_uuid: str = ""
    settle_uuid: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    residue: tuple[Residue, ...] = ()


@dataclass(frozen=True)
class Event:
    """One moment of a run's timeline.

    ``what`` is ``started``, ``finished``, ``failed``, ``reverting``, ``reverted`` or ``residue``
    of a ``step``; without a step, it is the state that the subject has reached.
    """

    time: float
    subject: str
    step: str
    what: str
    detail: str = ""
