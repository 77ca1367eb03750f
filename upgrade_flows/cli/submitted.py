"""``upgrade-flows submit``, ``watch`` and ``pause``: runs that conductors carry out."""

from __future__ import annotations

import argparse
from typing import Any

from upgrade_flows.cli import base, execution, following
from upgrade_flows.cli import plan as plan_commands
from upgrade_flows.engine.scheduler import RunState
from upgrade_flows.errors import RequestError, RunFailed
from upgrade_flows.model.report import State
from upgrade_flows.reports import follow, words


class Submit(base.Command):
    """Have conductors do what a plan says

    The plan is shown first, and you are asked.  Then the run is recorded, conductors begin with it,
    and the command is over.  Exit codes: 0 submitted, 2 and 3 refused; with --watch those of 'run'.
    """

    examples = (
        "upgrade-flows submit plan.json",
        "upgrade-flows submit plan.json --yes --watch",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the plan."""
        parser.add_argument("plan", metavar="PLAN", help="File that the plan was written to.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--watch", action="store_true", help="Show what happens, until the run ends."
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Show, ask, record, tell the conductors."""
        plan, cloud = plan_commands.ready(self, parsed_args.plan)
        if not plan.actions:
            return 0
        subjects = words.subjects(len(plan.actions), plan.request.capability)
        question = f"Have conductors change {subjects} as shown?"
        execution.confirm(self, question, parsed_args.yes)
        journal = self.journal()
        with self.dispatcher(journal, cloud.id) as dispatcher:
            run_id = dispatcher.submit(plan)
            self.app.stdout.write(f"Run {run_id} is recorded, for conductors to carry out.\n")
        tell_who(self, journal, dispatcher, f"upgrade-flows resume {run_id} --here")
        if parsed_args.watch:
            return following.watch(self, journal, run_id, after=0)
        tell_next(self, run_id)
        return 0


class Watch(base.Command):
    """Show what happens in a run, whoever carries it out, until it ends or is parked

    Ctrl-C ends watching, not the run.
    Exit codes: 0 done, 3 refused, 4 failed and undone, or parked, 5 something is left behind,
    130 no longer watched.
    """

    examples = ("upgrade-flows watch", "upgrade-flows watch 20251120-3f")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run."""
        base.add_run(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find the run and follow it."""
        journal = self.journal()
        run = base.find_run(journal, parsed_args.run)
        blame = () if run.withdrawn else (State.FAILED, State.REFUSED)
        return following.watch(self, journal, run.id, journal.last_event(run.id), blame)


class Pause(base.Command):
    """Let nothing more begin in a run: the steps in work are the last ones

    Whoever carries it out notices within a second.  What is being changed stays as its
    last step leaves it.  Exit codes: 0 parked, 2 the run has ended, 4 not parked in time.
    """

    examples = ("upgrade-flows pause", "upgrade-flows pause 20251120-3f --wait 600")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run, and the time."""
        base.add_run(parser)
        parser.add_argument(
            "--wait",
            metavar="SECONDS",
            type=float,
            default=60.0,
            help="Wait so long for the run to be parked (0...; default: 60; 0: do not wait).",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Give the order, say what is in work, and wait."""
        if not parsed_args.wait >= 0:
            raise RequestError(f"--wait is {parsed_args.wait}; it must be 0 or more")
        journal, stdout = self.journal(), self.app.stdout
        run = base.find_run(journal, parsed_args.run)
        dispatcher = self.wiring.dispatcher(journal, run.cloud_id, None)  # nothing is to be listed
        dispatcher.pause(run.id)
        if run.state not in follow.OPEN:
            stdout.write(f"Run {run.id} is {run.state} already.\n{_on_and_back(run.id)}\n")
            return 0
        stdout.write(f"Run {run.id} is paused: the steps in work are the last ones.\n")
        for line in following.in_work(journal, run):
            stdout.write(f"  {line}\n")
        stdout.flush()
        try:
            state = dispatcher.stopped(run.id, parsed_args.wait)
        except KeyboardInterrupt:
            stdout.write(f"No longer waiting; run {run.id} stays paused.\n")
            return execution.PARKED
        if state not in follow.OPEN:
            more = f"\n{_on_and_back(run.id)}" if state == RunState.PARKED else ""
            stdout.write(f"Run {run.id} is {state}.{more}\n")
            return 0
        stdout.write(
            f"Run {run.id} is {state}, and parked as soon as these steps end;"
            f" 'upgrade-flows watch {run.id}' shows when.\n"
        )
        return RunFailed.exit_code if parsed_args.wait else 0


def order(
    command: base.Command,
    journal: Any,
    run: Any,
    words_: tuple[str, ...],
    blame: tuple[State, ...],
    watch: bool,
) -> int:
    """Give an order on a submitted run, and watch what becomes of it.

    :param words_: the verb, and the subjects that are meant; without them, all are.
    :raises RequestError: the order cannot be given; nothing has changed.
    """
    verb, subjects = words_[0], words_[1:]
    after = journal.last_event(run.id)
    with command.dispatcher(journal, run.cloud_id) as dispatcher:
        if verb == "resume":
            dispatcher.resume(run.id)
        else:
            getattr(dispatcher, verb)(run.id, subjects or None)
    command.app.stdout.write(f"The {verb} of run {run.id} is ordered, for conductors to do.\n")
    noun = words.noun(run.capability)
    named = "".join(f" --{noun} {subject}" for subject in subjects)
    here = f"upgrade-flows {verb} {run.id}{named} --here"
    if journal.run(run.id).state in follow.OPEN:
        tell_who(command, journal, dispatcher, here)
    if watch:
        blame = () if journal.run(run.id).withdrawn else blame
        return following.watch(command, journal, run.id, after, blame, here)
    tell_next(command, run.id)
    return 0


def tell_who(command: base.Command, journal: Any, dispatcher: Any, here: str) -> None:
    """Say what keeps conductors from beginning at once, if something does."""
    stdout = command.application.stdout
    if dispatcher.complaint:
        stdout.write(
            f"The job board does not answer ({words.safe(dispatcher.complaint)}); conductors find"
            " the run in the journal, within seconds.\n"
        )
    missing = following.nobody(journal)
    if missing:
        stdout.write(f"{missing}, or carry it out here with '{here}'.\n")


def tell_next(command: base.Command, run_id: str) -> None:
    """Say how a run is followed and stopped."""
    command.application.stdout.write(
        f"'upgrade-flows watch {run_id}' shows what happens, 'upgrade-flows status {run_id}' where"
        f" each of them stands; 'upgrade-flows pause {run_id}' stops it.\n"
    )


def _on_and_back(run_id: str) -> str:
    return (
        f"'upgrade-flows resume {run_id}' goes on, 'upgrade-flows rollback {run_id}' takes back"
        " what was done."
    )
