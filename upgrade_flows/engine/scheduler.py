"""What to do next, worked out from the plan and from where its subjects stand."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from upgrade_flows.model.plan import Plan, Wave
from upgrade_flows.model.report import State


class RunState(enum.StrEnum):
    """Where a run stands.

    ``parked``: it was stopped, or something in it is unfinished, and ``resume`` goes on.
    ``halted``: too many subjects failed for the remaining ones to begin.  ``failed``: it came
    to its end, but some subjects were undone or refused.  ``residue``: an undo was refused.
    """

    PENDING = "pending"
    RUNNING = "running"
    PARKED = "parked"
    HALTED = "halted"
    CHANGED = "changed"
    FAILED = "failed"
    RESIDUE = "residue"
    UNDONE = "undone"
    SETTLED = "settled"


class Work(enum.StrEnum):
    """What can be done to a subject."""

    CHANGE = "change"
    UNDO = "undo"
    SETTLE = "settle"


@dataclass(frozen=True)
class Job:
    """One thing to do to one subject."""

    subject: str
    work: Work


@dataclass(frozen=True)
class Decision:
    """What should be in progress now.

    :param jobs: including those that are in progress already.
    :param halted: why nothing more may begin, or None.
    :param finished: nothing is in progress, and nothing more will begin.
    """

    jobs: tuple[Job, ...] = ()
    halted: str | None = None
    finished: bool = False


#: what an unfinished subject needs, wherever its process left it
IN_PROGRESS = {
    State.CHANGING: Work.CHANGE,
    State.PARKED: Work.CHANGE,
    State.UNDOING: Work.UNDO,
    State.SETTLING: Work.SETTLE,
}

_FAILURES = (State.FAILED, State.RESIDUE)


def next_jobs(plan: Plan, states: Mapping[str, State]) -> Decision:
    """Decide what should be in progress, from the states alone.

    Waves go one after the other, ``at_a_time`` subjects of a wave together; unfinished
    subjects come before pending ones.  Nothing new begins as soon as a wave's gate, or the
    failures that the whole rollout may have, are exceeded; what is unfinished is finished
    even then.
    """
    halted = _reason_to_halt(plan, states)
    for wave in plan.waves:
        unfinished = [
            Job(action.subject, IN_PROGRESS[state])
            for action in wave.actions
            if (state := _state(states, action.subject)) in IN_PROGRESS
        ]
        pending = [
            Job(action.subject, Work.CHANGE)
            for action in wave.actions
            if _state(states, action.subject) is State.PENDING
        ]
        jobs = unfinished if halted else unfinished + pending
        if jobs:
            return Decision(tuple(jobs[: wave.at_a_time]), halted)
    return Decision((), halted, finished=True)


def run_state(plan: Plan, states: Mapping[str, State], withdrawn: bool) -> RunState:
    """Say where a run stands in which nothing is being done."""
    found = {_state(states, action.subject) for action in plan.actions}
    if withdrawn:
        found.discard(State.PENDING)
    if found & set(IN_PROGRESS):
        return RunState.PARKED
    if State.RESIDUE in found:
        return RunState.RESIDUE
    if State.PENDING in found:
        return RunState.HALTED if _reason_to_halt(plan, states) else RunState.PARKED
    if State.CHANGED in found and not found & {State.FAILED, State.REFUSED}:
        return RunState.CHANGED
    if found & {State.FAILED, State.REFUSED} and not withdrawn:
        return RunState.FAILED
    if State.SETTLED in found:
        return RunState.SETTLED
    return RunState.UNDONE if found or withdrawn else RunState.CHANGED


def _reason_to_halt(plan: Plan, states: Mapping[str, State]) -> str | None:
    total = 0
    for wave in plan.waves:
        failed = _failures(wave, states)
        total += len(failed)
        if len(failed) > wave.gate.max_failures:
            return (
                f"wave {wave.name}: {len(failed)} failed ({', '.join(failed)}),"
                f" its gate allows {wave.gate.max_failures}"
            )
    allowed = plan.request.rollout.max_failures
    if total > allowed:
        return f"{total} subjects failed in all, the rollout allows {allowed}"
    return None


def _failures(wave: Wave, states: Mapping[str, State]) -> list[str]:
    """Return the subjects that failed; a canary that was refused has proven nothing either."""
    counted = (*_FAILURES, State.REFUSED) if wave.canary else _FAILURES
    return [a.subject for a in wave.actions if _state(states, a.subject) in counted]


def _state(states: Mapping[str, State], subject: str) -> State:
    return states.get(subject, State.PENDING)
