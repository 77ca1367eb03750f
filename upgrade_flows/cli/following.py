"""A run that others carry out, under the eyes of an operator: who is at work, and what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cli import base, execution, progress
from upgrade_flows.engine.scheduler import IN_PROGRESS, Moves
from upgrade_flows.model.report import State, StepRecord
from upgrade_flows.reports import follow, words

HINT = "Ctrl-C ends watching, the run goes on"

#: after how many times a conductor's time to live it is said that nobody works on a run
TTLS = 2.0


def watch(
    command: base.Command,
    journal: Any,
    run_id: str,
    after: int,
    blame: tuple[State, ...] = (State.FAILED, State.REFUSED),
    here: str = "",
) -> int:
    """Show what happens in a run until it ends or is parked, then report as ``run`` does.

    :param after: the number of the last event that is not to be shown.
    :param here: the command that carries the run out in its own process.
    :returns: 0, or 130 if the operator did not want to watch any longer.
    :raises RunFailed: also if the process that began the run is gone.
    """
    run, stdout = journal.run(run_id), command.application.stdout
    stdout.write(f"{_standing(journal, run)}\n")
    shown = progress.Progress(run.plan, stdout, HINT)
    shown.begin_from(*_so_far(journal, run_id))
    attention = _Attention(
        command, journal, here or f"upgrade-flows resume {run_id} --here", shown.say
    )
    try:
        with shown:
            for look in follow.looks(journal, run_id, after):
                for event in look.events:
                    shown(event)
                attention.pay(look)
    except KeyboardInterrupt:
        stdout.write(
            f"No longer watching; run {run_id} goes on. 'upgrade-flows watch {run_id}' shows it"
            f" again, 'upgrade-flows pause {run_id}' stops it.\n"
        )
        return execution.PARKED
    return execution.finish(command, journal, run_id, blame)


def headline(journal: Any, run: Any) -> Iterator[str]:
    """Yield where a run as a whole stands, and who could work on it."""
    how = ", submitted" if run.submitted else ""
    pause = ", paused" if paused(run) else ""
    yield f"run {run.id}: {run.state}{pause}{how}, started {words.moment(run.created)}"
    if run.submitted:
        found = journal.conductors()
        names = ": " + ", ".join(map(words.process, found)) if found else ""
        yield f"{words.count(len(found), 'conductor')} alive{names}"


def paused(run: Any) -> bool:
    """Whether nothing may begin in a run until ``resume``."""
    return bool(run.moves == Moves.NONE)


def owner(holders: Mapping[str, tuple[str, bool]], subject: str) -> str:
    """Return who has a subject in work, in short; empty where nobody has."""
    if subject not in holders:
        return ""
    name, alive = holders[subject]
    return words.process(name) + ("" if alive else " (gone)")


def current(steps: Sequence[StepRecord]) -> str:
    """Return the verb of the last step that has begun."""
    begun = [step for step in steps if step.started is not None]
    return begun[-1].step.partition(":")[0] if begun else ""


def in_work(journal: Any, run: Any) -> Iterator[str]:
    """Yield a line for each subject that somebody has in work: what is done, and by whom."""
    holders = journal.holders(run.id)
    subjects = journal.subjects(run.id) if holders else {}
    for subject in subjects:
        if subject in holders:
            step = current(journal.steps(run.id, subject)) or "at its first step"
            name = words.safe(run.plan.action(subject).name or subject)
            who = owner(holders, subject)
            yield f"{name}: {subjects[subject].state}, {words.safe(step)}, by {who}"


def nobody(journal: Any) -> str:
    """Return what is to be said where no conductor is alive, or an empty string."""
    if journal.conductors():
        return ""
    return "No conductor is alive at the moment: start one with upgrade-flows-conductor"


class _Attention:
    """Notices that nobody works on a run."""

    def __init__(self, command: base.Command, journal: Any, here: str, say: Any) -> None:
        self._journal, self._here, self._say = journal, here, say
        self._patience_s = TTLS * command.settings.ttl_s
        self._since, self._said = time.monotonic(), False

    def pay(self, look: follow.Look) -> None:
        """Say once that nobody is at work on a submitted run.

        :raises RunFailed: nobody is, and nobody will be: it was not submitted.
        """
        now, run = time.monotonic(), look.run
        if look.events:
            self._since = now
        if run.state not in follow.OPEN or self._said or now - self._since < self._patience_s:
            return
        if any(alive for _, alive in self._journal.holders(run.id).values()):
            self._since = now
            return
        if not run.submitted:
            raise errors.RunFailed(
                f"nobody is at work on run {run.id} any more, the process that carried it out is"
                f" gone; 'upgrade-flows resume {run.id}' goes on"
            )
        found = self._journal.conductors()
        why = nobody(self._journal) or (
            f"{words.count(len(found), 'conductor')} alive, but busy elsewhere, or they do not"
            " reach the cloud: see their logs"
        )
        self._say(
            f"Nobody has worked on run {run.id} for {words.seconds(self._patience_s)}. {why}; or"
            f" carry it out here with '{self._here}'."
        )
        self._said = True


def _standing(journal: Any, run: Any) -> str:
    counts = journal.counts(run.id)
    said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()) if number)
    pause = " (paused)" if paused(run) else ""
    size = words.subjects(run.size, run.capability)
    return f"Run {run.id} is {run.state}{pause}: {size}, {said}"


def _so_far(journal: Any, run_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return where the subjects stand that have begun, and the steps of those in work."""
    states = {
        subject: str(record.state)
        for subject, record in journal.subjects(run_id).items()
        if record.state != State.PENDING
    }
    return states, {
        subject: words.safe(current(journal.steps(run_id, subject)))
        for subject, state in states.items()
        if state in IN_PROGRESS
    }
