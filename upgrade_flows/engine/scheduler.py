"""What to do next, worked out from a run's outline and from where its subjects stand.

Nothing here depends on the size of the run: the journal hands over the few subjects that are in
progress, that failed, and that are next in line.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.plan import Plan
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


class Moves(enum.StrEnum):
    """What may be done in a run: all that is wanted, all but changes, or nothing (paused)."""

    ALL = "all"
    BACK = "back"
    NONE = "none"


@dataclass(frozen=True)
class WaveOutline:
    """What the scheduler has to know of a wave."""

    name: str
    size: int
    at_a_time: int
    max_failures: int
    canary: bool


@dataclass(frozen=True)
class Outline:
    """What the scheduler has to know of a plan.

    :param rolling: its plan has a schedule, which says on the facts what may begin (``pilot``).
    """

    waves: tuple[WaveOutline, ...]
    max_failures: int
    rolling: bool = False

    @property
    def width(self) -> int:
        """The most subjects that are ever in progress together."""
        return max((wave.at_a_time for wave in self.waves), default=1)


@dataclass(frozen=True)
class Place:
    """Where one subject stands; ``work`` is what is wanted of it, or empty."""

    subject: str
    wave: int
    position: int
    state: State
    work: str


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    :param busy: the subjects in progress (``IN_PROGRESS``).
    :param waiting: those that are next in line, for each kind of work in its own order.
    :param failed: those that failed, were refused, or are quarantined.
    """

    busy: tuple[Place, ...] = ()
    waiting: tuple[Place, ...] = ()
    failed: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Advice:
    """What the schedule of a rolling run says about changes that have not begun.

    :param begin: what may begin now, the most urgent first.
    :param briefs: what each of these is told when it begins.
    :param halted: why nothing more begins, or None.
    :param wake: when to ask again even if nothing happens, in epoch seconds, or None.
    """

    begin: tuple[Place, ...] = ()
    briefs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    halted: str | None = None
    wake: float | None = None


@dataclass(frozen=True)
class Job:
    """One thing to do to one subject."""

    subject: str
    work: Work


@dataclass(frozen=True)
class Decision:
    """What should be in progress now.

    :param jobs: including those that are in progress already.
    :param new: those of the jobs that are not in progress.
    :param halted: why nothing more may begin, or None.
    :param finished: nothing is in progress, and nothing more will begin.
    :param wake: nothing is in progress, but something may begin at this time (epoch seconds).
    :param briefs: what subjects are told that begin.
    """

    jobs: tuple[Job, ...] = ()
    new: tuple[Job, ...] = ()
    halted: str | None = None
    finished: bool = False
    wake: float | None = None
    briefs: Mapping[str, dict[str, Any]] = field(default_factory=dict)


#: what an unfinished subject needs, wherever its process left it
IN_PROGRESS = {
    State.CHANGING: Work.CHANGE,
    State.PARKED: Work.CHANGE,
    State.UNDOING: Work.UNDO,
    State.SETTLING: Work.SETTLE,
}

#: the works that each kind of moves allows
ALLOWED = {
    Moves.ALL: (Work.UNDO, Work.SETTLE, Work.CHANGE),
    Moves.BACK: (Work.UNDO, Work.SETTLE),
    Moves.NONE: (),
}

#: states that count as failures; a canary that was refused has proven nothing either
FAILURES = (State.FAILED, State.RESIDUE, State.QUARANTINED, State.HELD)


def outline_of(plan: Plan) -> Outline:
    """Return the outline of a plan."""
    return Outline(
        tuple(
            WaveOutline(w.name, len(w.actions), w.at_a_time, w.gate.max_failures, w.canary)
            for w in plan.waves
        ),
        plan.request.rollout.max_failures,
        rolling=bool(plan.schedule),
    )


def next_jobs(
    outline: Outline,
    standing: Standing,
    works: Iterable[Work] = ALLOWED[Moves.ALL],
    without: Container[str] = (),
    advice: Advice | None = None,
) -> Decision:
    """Decide what should be in progress.

    Waves go one after the other, ``at_a_time`` subjects of a wave together, whatever is done to
    them; unfinished subjects come before waiting ones, and undoing before changing.  Undoing
    goes through the waves backwards.  No change begins as soon as a wave's gate, or the failures
    that the whole rollout may have, are exceeded; what is unfinished is finished even then.

    :param works: the kinds of work to look at.
    :param without: subjects that are left as they are; a change among them keeps its place in
        the window, because its subject may be out of service.  So does one that is held.
    :param advice: which changes may begin, where a schedule says it; otherwise those that wait
        do, in their order.
    """
    halted = reason_to_halt(outline, standing.failed)
    if advice is not None:
        halted = halted or advice.halted
    jobs: list[Job] = []
    queues: list[tuple[Work, int, list[Place]]] = []
    for work in works:
        back = work is Work.UNDO
        unfinished = [place for place in standing.busy if place.work == work]
        waiting = [place for place in standing.waiting if place.work == work]
        if work is Work.CHANGE and advice is not None:
            waiting = list(advice.begin)
        if work is not Work.CHANGE:
            unfinished = [place for place in unfinished if place.subject not in without]
        elif halted:
            waiting = []
        if not unfinished and not waiting:
            continue
        wave = (max if back else min)(place.wave for place in (*unfinished, *waiting))
        unfinished.sort(key=lambda place: place.position, reverse=back)
        begun = [Job(place.subject, work) for place in unfinished if place.wave == wave]
        jobs += begun[: outline.waves[wave].at_a_time]
        queues.append((work, wave, [place for place in waiting if place.wave == wave]))
    new: list[Job] = []
    for work, wave, waiting in queues:
        held = sum(p.state is State.HELD and p.wave == wave for p in standing.failed)
        room = max(0, outline.waves[wave].at_a_time - len(jobs) - len(new) - held)
        new += [Job(place.subject, work) for place in waiting[:room]]
    idle = not jobs and not new
    wake = advice.wake if advice is not None and idle and not halted else None
    briefs = advice.briefs if advice is not None else {}
    finished = idle and wake is None
    return Decision((*jobs, *new), tuple(new), halted, finished, wake, briefs)


def run_state(
    outline: Outline,
    found: Mapping[State, int],
    failed: Iterable[Place],
    withdrawn: bool,
    ordered: bool = False,
) -> RunState:
    """Say where a run stands in which nothing is being done.

    :param found: how many subjects are in each state.
    :param ordered: whether there are subjects that are to be undone or settled.
    """
    states = {state for state, count in found.items() if count}
    if withdrawn:
        states.discard(State.PENDING)
    if ordered or states & {*IN_PROGRESS, State.QUARANTINED, State.HELD}:
        return RunState.PARKED
    if State.RESIDUE in states:
        return RunState.RESIDUE
    if State.PENDING in states:
        return RunState.HALTED if reason_to_halt(outline, failed) else RunState.PARKED
    if State.CHANGED in states and not states & {State.FAILED, State.REFUSED}:
        return RunState.CHANGED
    if states & {State.FAILED, State.REFUSED} and not withdrawn:
        return RunState.FAILED
    if State.SETTLED in states:
        return RunState.SETTLED
    return RunState.UNDONE if states or withdrawn else RunState.CHANGED


def reason_to_halt(outline: Outline, failed: Iterable[Place]) -> str | None:
    """Return which budget of failures is exceeded, or None."""
    total = 0
    places = sorted(failed, key=lambda place: place.position)
    for index, wave in enumerate(outline.waves):
        counted = (*FAILURES, State.REFUSED) if wave.canary else FAILURES
        names = [p.subject for p in places if p.wave == index and p.state in counted]
        total += len(names)
        if len(names) > wave.max_failures:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            return (
                f"wave {wave.name}: {len(names)} failed ({shown}),"
                f" its gate allows {wave.max_failures}"
            )
    if total > outline.max_failures:
        return f"{total} subjects failed in all, the rollout allows {outline.max_failures}"
    return None
