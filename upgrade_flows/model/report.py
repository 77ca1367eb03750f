"""What was found, what happened and what stays behind."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any


class Severity(enum.StrEnum):
    """How much a finding matters; ``refused`` stops the subject, ``error`` the run."""

    INFO = "info"
    WARNING = "warning"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One thing that a check saw.

    :param id: stable, ``UF-<area>-<number>``, so that it can be looked up and waived.
    :param remedy: what to do about it, a command where there is one.
    """

    id: str
    subject: str
    severity: str
    message: str
    remedy: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Residue:
    """What an undo could not undo, and the call that would.

    :param step: the name of the step that left it.
    :param call: what was tried, in the words of the cloud API.
    :param why: the cloud's answer.
    """

    step: str
    call: str
    why: str


class State(enum.StrEnum):
    """Where a subject stands.

    ::

        pending → changing → changed → settling → settled
                      │          └──→ undoing → undone
                      └──→ failed (undone)  │
                      └──→ parked           └──→ residue

    ``held``: its change failed, and was left as it was at that moment, because undoing it is an
    operator's decision: ``resume`` tries again, ``rollback`` goes back, ``skip`` lets the run go
    on without it, which is ``skipped``.

    ``quarantined``: work on it ended again and again without getting on, so that it is left
    alone until somebody has looked; ``resume`` goes on with it, ``rollback`` goes back.
    """

    PENDING = "pending"
    CHANGING = "changing"
    PARKED = "parked"
    CHANGED = "changed"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    RESIDUE = "residue"
    SETTLING = "settling"
    SETTLED = "settled"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    HELD = "held"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StepRecord:
    """One step of one subject, from the journal: its state, times (epoch seconds) and failure."""

    step: str
    state: str
    started: float | None = None
    ended: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class Outcome:
    """What happened to one subject.

    ``identity_difference`` maps a field to ``[before, after]``; ``undeclared`` are those that
    the plan did not announce.  Times are epoch seconds, downtimes seconds: measured by what Nova
    says, and probed by what the guest answered.  ``predicted`` is what the schedule said of a
    host: ``start``, ``drained`` and ``end`` in seconds since the first one begins, and of each
    of its ``instances`` ``move_s`` and ``pause_s``.
    """

    subject: str
    name: str
    state: str
    strategy: str = ""
    error: str = ""
    started: float | None = None
    ended: float | None = None
    predicted_downtime_s: float | None = None
    measured_downtime_s: float | None = None
    probed_downtime_s: float | None = None
    predicted: dict[str, Any] = field(default_factory=dict)
    identity_difference: dict[str, Any] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    residue: tuple[Residue, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """One run: its plan, its outcomes and what stays behind."""

    run_id: str
    plan_id: str
    cloud_id: str
    capability: str
    state: str
    started: float | None = None
    ended: float | None = None
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def residue(self) -> tuple[Residue, ...]:
        """Everything left behind, over all subjects."""
        return tuple(item for outcome in self.outcomes for item in outcome.residue)
