"""What a journal holds of a run, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.report import Outcome, Report, Residue, State, StepRecord


class Run(Protocol):
    """What we read of a run."""

    @property
    def id(self) -> str: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def state(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def ended(self) -> float | None: ...


class Subject(Protocol):
    """What we read of a subject of a run."""

    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def started(self) -> float | None: ...
    @property
    def ended(self) -> float | None: ...
    @property
    def result(self) -> dict[str, Any]: ...
    @property
    def residue(self) -> tuple[Residue, ...]: ...


class Journal(Protocol):
    """What we read of a journal."""

    def run(self, run_id: str) -> Run:
        """Return one run."""

    def subjects(self, run_id: str) -> Mapping[str, Subject]:
        """Return the subjects of a run, in the plan's order."""

    def steps(self, run_id: str, subject: str) -> Sequence[StepRecord]:
        """Return the steps of a subject, those that have begun first."""


def build(journal: Journal, run_id: str) -> Report:
    """Put the report of a run together."""
    run = journal.run(run_id)
    plan = run.plan
    subjects = journal.subjects(run_id)
    windows = {one["host"]: one for one in plan.schedule.get("roll", {}).get("windows", ())}
    actions = {action.subject: action for action in plan.actions}
    return Report(
        run_id=run.id,
        plan_id=plan.id,
        cloud_id=plan.cloud_id,
        capability=plan.request.capability,
        state=str(run.state),
        started=run.created,
        ended=run.ended,
        outcomes=tuple(
            _outcome(
                actions[name],
                subject,
                tuple(journal.steps(run_id, name)),
                predicted(actions[name], windows.get(name)),
            )
            for name, subject in subjects.items()
        ),
        findings=plan.findings,
        unchanged=plan.unchanged,
    )


def predicted(action: Action, window: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a plan's schedule says of a host; empty for subjects without a window."""
    if window is None:
        return {}
    return {
        **{name: window[name] for name in ("start", "drained", "end") if name in window},
        "instances": {
            key: {name: one[name] for name in ("move_s", "pause_s") if name in one}
            for key, one in action.details.get("instances", {}).items()
        },
    }


def _outcome(
    action: Action,
    subject: Subject,
    steps: tuple[StepRecord, ...],
    foreseen: dict[str, Any],
) -> Outcome:
    result = dict(subject.result)
    difference = result.pop("identity_difference", None) or {}
    undeclared = tuple(result.pop("undeclared", None) or ())
    if subject.state == State.UNDONE:  # what the change had made of it is no longer so
        difference, undeclared = {}, ()
    return Outcome(
        subject=action.subject,
        name=action.name,
        state=str(subject.state),
        strategy=action.strategy,
        error=subject.error,
        started=subject.started,
        ended=subject.ended,
        predicted_downtime_s=action.prediction.downtime_s,
        measured_downtime_s=result.pop("measured_downtime_s", None),
        probed_downtime_s=result.pop("probed_downtime_s", None),
        predicted=foreseen,
        identity_difference=difference,
        undeclared=undeclared,
        residue=tuple(subject.residue),
        steps=steps,
        result=result,
    )
