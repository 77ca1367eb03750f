"""What an operator can do with a run: start, run, resume, roll back, commit, park."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.engine import scheduler, store
from upgrade_flows.engine.leases import Lease, process_owner
from upgrade_flows.engine.listener import Observer
from upgrade_flows.engine.records import RunRecord
from upgrade_flows.engine.runner import Runner, Verify
from upgrade_flows.engine.scheduler import IN_PROGRESS, Job, RunState, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Context, Plugins, Settings
from upgrade_flows.steps.vault import Vault

LOG = logging.getLogger(__name__)

#: states from which there is something to take back
_UNDOABLE = (State.CHANGED, State.CHANGING, State.PARKED, State.UNDOING, State.RESIDUE)

_SETTLEABLE = (State.CHANGED, State.SETTLING)


class Engine:
    """Carries runs out, one operation at a time; every operation returns the run's state.

    :param observer: called with each event, in the thread of its subject.
    :param owner: under what name leases are held; by default this process.
    :param verify: says why a subject is not any more what was planned for, or None; called
        just before the first step that touches it.
    :param vault: what seals secrets; every process that goes on with a run needs the same key.
        By default, the key file beside an SQLite journal, ``<journal>.key``.
    """

    def __init__(
        self,
        journal: Journal,
        cloud: Cloud,
        plugins: Plugins,
        settings: Settings,
        observer: Observer | None = None,
        owner: str | None = None,
        verify: Verify | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._journal, self._cloud = journal, cloud
        self._vault = vault or journal.vault
        self._plugins, self._settings = plugins, settings
        self._observer, self._verify = observer, verify
        self._owner = owner or process_owner()
        self._parking = False
        self._at_work = threading.Lock()

    def start(self, plan: Plan) -> str:
        """Record a run of a plan and return its id; nothing is touched yet.

        :raises PlanChanged: the plan was edited, or is for another cloud.
        :raises SubjectBusy: another run has one of the subjects.
        """
        plan.check_for(self._cloud.id)
        run_id = store.new_run_id(self._journal.now())
        subjects = [action.subject for action in plan.actions]
        if len(set(subjects)) != len(subjects):
            raise errors.RequestError(f"plan {plan.id} has more than one action for a subject")
        with self._journal.lease(subjects, self._owner, run_id, cloud_id=plan.cloud_id):
            return self._journal.create_run(plan, run_id)

    def run(self, run_id: str) -> str:
        """Do what the plan says, until it is done, halted or parked."""
        record = self._record(run_id)
        if record.withdrawn:
            raise errors.RequestError(
                f"run {run_id} was rolled back: make a new plan, or roll back again to finish"
            )
        return self._forward(record)

    def resume(self, run_id: str) -> str:
        """Finish what is unfinished, in the direction it had, and go on from there."""
        record = self._record(run_id)
        if record.withdrawn:
            return self.rollback(run_id)
        return self._forward(record)

    def rollback(self, run_id: str, subjects: Sequence[str] | None = None) -> str:
        """Take back what was done to the subjects, in reverse order.

        Without subjects, the whole run is withdrawn: what is pending never begins.

        :raises RequestError: a named subject has nothing that can be taken back.
        """
        record = self._record(run_id)
        chosen = self._choose(record, subjects, _UNDOABLE, "taken back")
        waves = [
            (wave.at_a_time, [a.subject for a in reversed(wave.actions) if a.subject in chosen])
            for wave in reversed(record.plan.waves)
        ]
        return self._each(record, Work.UNDO, waves, withdrawn=subjects is None)

    def commit(self, run_id: str, subjects: Sequence[str] | None = None) -> str:
        """Give up the way back: settle the subjects that are changed.

        :raises RequestError: a named subject is not changed.
        """
        record = self._record(run_id)
        chosen = self._choose(record, subjects, _SETTLEABLE, "committed")
        waves = [
            (wave.at_a_time, [a.subject for a in wave.actions if a.subject in chosen])
            for wave in record.plan.waves
        ]
        return self._each(record, Work.SETTLE, waves)

    def park(self) -> None:
        """Stop after the current steps; may be called from any thread or signal handler.

        Where no operation is under way, the next one parks at once.
        """
        self._parking = True

    def _forward(self, record: RunRecord) -> str:
        plan, run_id = record.plan, record.id
        held = [
            subject
            for subject, state in self._states(run_id).items()
            if state is State.PENDING or state in IN_PROGRESS
        ]
        seen: set[str] = set()

        def pick(_free: int) -> Iterable[Job]:
            decision = scheduler.next_jobs(plan, self._states(run_id))
            if decision.halted and not seen:
                LOG.warning("run %s: %s", run_id, decision.halted)
            jobs = [job for job in decision.jobs if job.subject not in seen]
            seen.update(job.subject for job in jobs)
            return jobs

        with self._operation(run_id, held) as lease:
            width = max((wave.at_a_time for wave in plan.waves), default=1)
            self._work(self._runs(record, lease), width, pick)
        return self._journal.run(run_id).state

    def _each(
        self, record: RunRecord, work: Work, waves: list[tuple[int, list[str]]],
        withdrawn: bool = False,
    ) -> str:  # fmt: skip
        subjects = [subject for _, names in waves for subject in names]
        with self._operation(record.id, subjects) as lease:
            if withdrawn:
                self._journal.update_run(record.id, withdrawn=True)
            do = self._runs(record, lease)
            for width, names in waves:
                self._work(do, width, _queue([Job(subject, work) for subject in names]))
        return self._journal.run(record.id).state

    def _work(
        self, do: Callable[[Job], State], width: int, pick: Callable[[int], Iterable[Job]]
    ) -> None:
        """Keep the picked jobs in progress until there is none; then raise the first error."""
        flying: set[futures.Future[State]] = set()
        failed: BaseException | None = None
        with futures.ThreadPoolExecutor(max(width, 1), thread_name_prefix="subject") as pool:
            while True:
                if not self._parking and failed is None:
                    flying |= {pool.submit(do, job) for job in pick(width - len(flying))}
                if not flying:
                    break
                done, flying = futures.wait(flying, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    failed = failed or future.exception()
        if failed is not None:
            raise failed

    def _runs(self, record: RunRecord, lease: Lease) -> Callable[[Job], State]:
        ctx = Context(record.id, self._cloud, self._plugins, self._settings, self._vault)

        def do(job: Job) -> State:
            action = record.plan.action(job.subject)
            runner = Runner(
                self._journal, ctx, action, lease.check, lambda: self._parking,
                self._observer, self._verify,
            )  # fmt: skip
            if job.work is Work.UNDO:
                return runner.undo()
            return runner.settle() if job.work is Work.SETTLE else runner.change()

        return do

    @contextmanager
    def _operation(self, run_id: str, subjects: Iterable[str]) -> Iterator[Lease]:
        """Hold the subjects, and note where the run stands before and after."""
        if not self._at_work.acquire(blocking=False):
            raise errors.RequestError("this engine is at work already; use another one")
        try:
            with self._journal.lease(subjects, self._owner, run_id) as lease:
                self._journal.update_run(run_id, state=RunState.RUNNING, ended=None)
                try:
                    yield lease
                except (errors.JournalError, errors.SubjectBusy):
                    raise  # nothing can, or may, be written any more
                except BaseException:
                    self._note_end(run_id, lease)
                    raise
                self._note_end(run_id, lease)
        finally:
            self._parking = False
            self._at_work.release()

    def _note_end(self, run_id: str, lease: Lease) -> None:
        lease.check()
        record = self._journal.run(run_id)
        state = scheduler.run_state(record.plan, self._states(run_id), record.withdrawn)
        ended = None if state is RunState.PARKED else self._cloud.clock.time()
        self._journal.update_run(run_id, state=state, ended=ended)

    def _choose(
        self, record: RunRecord, wanted: Sequence[str] | None, good: tuple[State, ...], verb: str
    ) -> set[str]:
        states = self._states(record.id)
        if wanted is None:
            return {subject for subject, state in states.items() if state in good}
        for subject in wanted:
            if subject not in states:
                raise errors.RequestError(f"run {record.id} has no subject {subject!r}")
            if states[subject] not in good:
                raise errors.RequestError(
                    f"{subject} is {states[subject]}: it cannot be {verb} (only {', '.join(good)})"
                )
        return set(wanted)

    def _record(self, run_id: str) -> RunRecord:
        record = self._journal.run(run_id)
        record.plan.check_for(self._cloud.id)
        return record

    def _states(self, run_id: str) -> dict[str, State]:
        return {name: r.state for name, r in self._journal.subjects(run_id).items()}


def _queue(jobs: Iterable[Job]) -> Callable[[int], Iterable[Job]]:
    rest = iter(jobs)
    return lambda free: itertools.islice(rest, free)
