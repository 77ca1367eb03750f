"""An engine at work under the eyes of an operator: progress, Ctrl-C, report, exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cli import base, interrupt, progress
from upgrade_flows.engine.scheduler import RunState
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Report, State
from upgrade_flows.reports import build, follow, tables, text, words

PARKED = 130


def execute(
    command: base.Command,
    journal: Any,
    cloud: Any,
    plan: Plan,
    work: Callable[[Any], str],
    blame: tuple[State, ...] = (State.FAILED, State.REFUSED),
    pause: Callable[[], object] | None = None,
) -> int:
    """Let an engine ``work`` (which returns the id of the run), then report.

    :param pause: keeps others from going on with the run when the operator parks it.
    :param blame: states of subjects that make the command fail, besides residue.
    :returns: 0, or 130 if the operator parked the run.
    :raises ResidueLeft: an undo was refused.
    :raises RunFailed: a subject failed, and was undone; or the run is not at its end.
    :raises NotReady: a subject was refused, because it is not as the plan found it.
    """
    application = command.application
    shown = progress.Progress(plan, application.stdout)
    settings = command.settings
    engine = command.wiring.engine(journal, cloud, settings.steps, shown, settings.steps_at_a_time)

    def park() -> None:
        try:
            if pause is not None:
                pause()
        finally:
            engine.park()

    with shown, interrupt.Interrupts(park, shown.say, shown.close) as signals:
        run_id = work(engine)
    return finish(command, journal, run_id, blame, signals.parked)


def finish(
    command: base.Command,
    journal: Any,
    run_id: str,
    blame: tuple[State, ...],
    parked: bool = False,
) -> int:
    """Report a run, and return or raise what its outcome amounts to; as ``execute`` does.

    :param parked: whether the operator has just parked it.
    """
    report = build.build(journal, run_id)
    command.application.stdout.write("\n")
    show(command, report)
    conclude(report, blame)
    if report.state not in (*follow.OPEN, RunState.PARKED):
        return 0
    if parked:
        return PARKED
    raise errors.RunFailed(f"run {run_id} is not at its end; 'upgrade-flows resume' goes on")


def show(command: base.Command, report: Report) -> None:
    """Print a report to where the command prints."""
    tables.show(tables.console(command.application.stdout), text.parts(report))


def conclude(report: Report, blame: tuple[State, ...]) -> None:
    """Raise what the outcome of a run amounts to; nothing where all went well."""
    states = [outcome.state for outcome in report.outcomes]
    left = states.count(State.RESIDUE)
    if left or report.residue:
        raise errors.ResidueLeft(
            f"run {report.run_id}: not everything could be undone"
            f" ({words.count(len(report.residue), 'thing')} left behind)"
        )
    failed = states.count(State.FAILED)
    if failed and State.FAILED in blame:
        raise errors.RunFailed(
            f"run {report.run_id}: {words.subjects(failed, report.capability)} failed,"
            " and everything done to what failed was undone"
        )
    held = [outcome.name for outcome in report.outcomes if outcome.state == State.HELD]
    if held:
        noun = words.noun(report.capability)
        raise errors.RunFailed(
            f"run {report.run_id}: {words.subjects(len(held), report.capability)} held as the"
            f" failure left it ({', '.join(held[:10])}); put right what was wrong, then 'resume'"
            f" tries again, 'skip --{noun}' goes on without it, 'rollback --{noun}' takes it back"
        )
    refused = states.count(State.REFUSED)
    if refused and State.REFUSED in blame:
        raise errors.NotReady(
            f"run {report.run_id}: {words.subjects(refused, report.capability)} not touched,"
            " because the plan no longer fits; plan anew"
        )


def confirm(command: base.Parts, question: str, assumed: bool) -> None:
    """Ask the operator, unless the answer is given already.

    :raises RequestError: the answer is no, or there is nobody to ask.
    """
    if assumed:
        return
    application = command.application
    stdin = application.stdin or sys.stdin
    if not stdin.isatty():
        raise errors.RequestError("there is no terminal to ask on; say --yes to go on without")
    application.stdout.write(f"{question} [y/N] ")
    application.stdout.flush()
    if stdin.readline().strip().lower() not in ("y", "yes"):
        raise errors.RequestError("nothing was done")
