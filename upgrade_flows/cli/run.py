"""``upgrade-flows run``, ``resume``, ``rollback`` and ``commit``: what has effects."""

from __future__ import annotations

import argparse
from typing import Any

from upgrade_flows.cli import base, execution, submitted
from upgrade_flows.cli import plan as plan_commands
from upgrade_flows.errors import RequestError
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.reports import follow, words

#: what a commit gives up, by capability; the others give up the source side of migrations
GIVEN_UP = {
    "capture": "image and snapshots stay as they are",
    "live_update": "the originals are deleted, and their old root disks stay for a while",
}


class Run(base.Command):
    """Do what a plan says

    The plan is shown first, and you are asked.  Ctrl-C finishes the steps that are being done and
    parks the run; a second one stops at once.  Either way 'resume' goes on.
    Exit codes: 0 done, 3 refused, 4 failed and undone, 5 something is left behind, 130 parked.
    """

    examples = ("upgrade-flows run plan.json", "upgrade-flows run plan.json --yes")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the plan."""
        parser.add_argument("plan", metavar="PLAN", help="File that the plan was written to.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Show, ask, run, report."""
        plan, cloud = plan_commands.ready(self, parsed_args.plan)
        if not plan.actions:
            return 0
        subjects = words.subjects(len(plan.actions), plan.request.capability)
        execution.confirm(self, f"Change {subjects} as shown?", parsed_args.yes)

        def work(engine: Any) -> str:
            run_id: str = engine.start(plan)
            self.app.stdout.write(f"Run {run_id}\n")
            engine.run(run_id)
            return run_id

        return execution.execute(self, self.journal(), cloud, plan, work)


class OnRun(base.Command):
    """What the commands on a run that exists have in common."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run, and who carries it out."""
        base.add_run(parser)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--here",
            action="store_true",
            help="Do it in this process, also if the run was submitted to conductors.",
        )
        group.add_argument(
            "--no-watch",
            action="store_true",
            help="Leave it to the conductors, and do not wait. For a run that was submitted.",
        )

    #: states of subjects that make the command fail, besides residue
    blame: tuple[State, ...] = ()

    def find(self, parsed: argparse.Namespace) -> tuple[Any, Any]:
        """Return the journal and the run.

        :raises RequestError: there is no such run, or nobody else who could carry it out.
        """
        journal = self.journal()
        run = base.find_run(journal, parsed.run)
        if parsed.no_watch and not run.submitted:
            raise RequestError(
                f"run {run.id} was not submitted to conductors: it is carried out here, so say it"
                " without --no-watch"
            )
        return journal, run

    def go_on(
        self,
        parsed: argparse.Namespace,
        journal: Any,
        run: Any,
        verb: str,
        subjects: tuple[str, ...] | None = None,
    ) -> int:
        """Order it of the conductors, or call the engine's method of that name; then report."""
        if run.submitted and not parsed.here:
            order = (verb, *(subjects or ()))
            return submitted.order(self, journal, run, order, self.blame, not parsed.no_watch)
        arguments = () if verb == "resume" else (subjects,)
        cloud = self.connect()
        plan: Plan = run.plan
        plan.check_for(cloud.id)
        blame = () if run.withdrawn else self.blame  # what failed before is not this one's fault

        def work(engine: Any) -> str:
            getattr(engine, verb)(run.id, *arguments)
            return str(run.id)

        def pause() -> None:
            self.wiring.dispatcher(journal, run.cloud_id, None).pause(run.id)

        return execution.execute(
            self, journal, cloud, plan, work, blame, pause if run.submitted else None
        )


class Resume(OnRun):
    """Go on with a run that was parked, was killed, or lost its machine

    It goes on from the journal: what is done is not done again.  Also what was quarantined is tried
    again.  A run that was submitted is carried on by conductors, unless --here.
    """

    blame = (State.FAILED, State.REFUSED)
    examples = ("upgrade-flows resume", "upgrade-flows resume 20251120-3f")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find the run and go on."""
        journal, run = self.find(parsed_args)
        if run.submitted and not _unfinished(journal, run):
            self.app.stdout.write(f"Run {run.id} is {run.state}: there is nothing to go on with.\n")
            blame = () if run.withdrawn else self.blame
            return execution.finish(self, journal, run.id, blame)
        return self.go_on(parsed_args, journal, run, "resume")


class Rollback(OnRun):
    """Bring servers or hosts back to what they were before a run

    Possible until 'commit'.  Those that are named are brought back alone; without any, what was
    not begun never begins.  A run that was submitted is taken back by conductors, unless --here.
    """

    examples = (
        "upgrade-flows rollback",
        "upgrade-flows rollback 20251120-3f --server web-1 --yes",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run and the servers."""
        super().add_arguments(parser)
        _add_subjects(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find the run, ask, and bring back."""
        journal, run = self.find(parsed_args)
        subjects = subjects_of(run.plan, parsed_args.subject)
        if run.submitted and subjects is None and set(journal.counts(run.id)) == {State.PENDING}:
            question = f"Withdraw run {run.id}? Nothing of it has begun, and nothing will."
        else:
            names = _count(journal, run, subjects, (State.PENDING, State.UNDONE, State.SETTLED))
            question = f"Bring back {names} of run {run.id}? They are down meanwhile."
        execution.confirm(self, question, parsed_args.yes)
        return self.go_on(parsed_args, journal, run, "rollback", subjects)


class Commit(OnRun):
    """Give up the way back: delete what was kept of servers or hosts as they were

    Afterwards 'rollback' is impossible for them.  Those that are named are committed alone.
    A run that was submitted is committed by conductors, unless --here.
    """

    examples = ("upgrade-flows commit", "upgrade-flows commit 20251120-3f --server web-1 --yes")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the run and the servers."""
        super().add_arguments(parser)
        _add_subjects(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find the run, say what becomes impossible, ask, and commit."""
        journal, run = self.find(parsed_args)
        subjects = subjects_of(run.plan, parsed_args.subject)
        others = tuple(state for state in State if state not in (State.CHANGED, State.SETTLING))
        names = _count(journal, run, subjects, others)
        given = GIVEN_UP.get(run.capability, "the source side of migrations is given up")
        self.app.stdout.write(
            f"After this {names} of run {run.id} cannot be rolled back: {given},"
            " and the journal forgets the way back.\n"
        )
        execution.confirm(self, f"Commit {names}?", parsed_args.yes)
        return self.go_on(parsed_args, journal, run, "commit", subjects)


def _unfinished(journal: Any, run: Any) -> bool:
    """Whether resuming a run could begin something."""
    return (
        run.state in follow.OPEN
        or journal.counts(run.id).keys() & {State.QUARANTINED, State.HELD}
        or journal.claims.could_go_on(run.id)
    )


def _add_subjects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        "--host",
        dest="subject",
        metavar="SUBJECT",
        action="append",
        help="Server (name or id) or host of the run; may be repeated; without it all are meant.",
    )
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def subjects_of(plan: Plan, names: list[str] | None) -> tuple[str, ...] | None:
    """Return the named subjects of a plan; None where none is named.

    :raises RequestError: the plan has no such subject, or several of that name.
    """
    if not names:
        return None
    noun = words.noun(plan.request.capability)
    result: list[str] = []
    for name in names:
        found = [a.subject for a in plan.actions if a.subject == name] or [
            a.subject for a in plan.actions if a.name == name
        ]
        if not found:
            raise RequestError(f"the run has no {noun} {name!r}")
        if len(found) > 1:
            raise RequestError(f"{name!r} is the name of several {noun}s; say the id")
        result += found
    return tuple(dict.fromkeys(result))


def _count(
    journal: Any, run: Any, subjects: tuple[str, ...] | None, without: tuple[State, ...]
) -> str:
    """Return how many subjects are concerned, in words.

    :raises RequestError: none is.
    """
    concerned = [
        subject
        for subject, record in journal.subjects(run.id).items()
        if (subjects is None or subject in subjects) and record.state not in without
    ]
    if not concerned:
        noun = words.noun(run.capability)
        raise RequestError(f"run {run.id} has no {noun} left to which that applies")
    return words.subjects(len(concerned), run.capability)
