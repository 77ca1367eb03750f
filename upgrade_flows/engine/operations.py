"""What an operator can do with a run in this process: start, run, resume, roll back, commit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent import futures

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.engine.leases import process_owner
from upgrade_flows.engine.ledger import Observer
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.runner import Manner, Verify
from upgrade_flows.engine.scheduler import ALLOWED, IN_PROGRESS, Decision, Job, Moves, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools, Worker
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Plugins, Settings
from upgrade_flows.steps.vault import Vault

LOG = logging.getLogger(__name__)

#: how often it is decided anew while nothing ends, in seconds: a schedule may have moved on
LOOK_S = 2.0

#: a job that is under way
Doing = futures.Future[State | None]


class Engine:
    """Carries runs out, one operation at a time; every operation returns the run's state.

    Jobs are done in threads, and waited for in real time.  Where time is simulated, a subclass
    replaces what depends on that, and nothing else: ``_pool``, ``_wait`` and ``_idle``.

    :param observer: called with each event, in the thread of its subject.
    :param owner: under what name leases are held; by default this process.
    :param verify: says why a subject is not any more what was planned for, or None; called
        just before the first step that touches it.
    :param vault: what seals secrets; every process that goes on with a run needs the same key.
        By default, the key file beside an SQLite journal, ``<journal>.key``.
    :param steps_at_a_time: how many steps of one subject may run together, where they do not
        depend on each other.
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
        steps_at_a_time: int = 1,
    ) -> None:
        self._journal = journal
        self._vault = vault or journal.vault
        self._tools = Tools(cloud, plugins, settings, self._vault)
        self._orders = Orders(journal, cloud.id)
        self._observer, self._verify = observer, verify
        self._owner = owner or process_owner()
        self._steps_at_a_time = steps_at_a_time
        self._parking = False
        #: why nothing more began in the last operation, where it was so
        self.halted = ""
        self._at_work = threading.Lock()

    def start(self, plan: Plan) -> str:
        """Record a run of a plan and return its id; nothing is touched yet.

        :raises PlanChanged: the plan was edited, or is for another cloud.
        :raises SubjectBusy: another run has one of the subjects.
        """
        return self._orders.start(plan)

    def run(self, run_id: str) -> str:
        """Do what the plan says, until it is done, halted or parked."""
        if self._orders.record(run_id).withdrawn:
            raise errors.RequestError(
                f"run {run_id} was rolled back: make a new plan, or roll back again to finish"
            )
        return self.resume(run_id)

    def resume(self, run_id: str) -> str:
        """Finish what is unfinished, in the direction it had, and go on from there."""
        record = self._orders.record(run_id)
        if record.withdrawn:
            return self.rollback(run_id)
        subjects = self._journal.subjects(run_id)
        self._orders.refuse_busy(
            [
                name
                for name, subject in subjects.items()
                if subject.state is State.PENDING or subject.state in IN_PROGRESS
            ],
            run_id,
        )
        self._orders.resume(run_id)
        return self._work(run_id, ALLOWED[Moves.ALL])

    def rollback(self, run_id: str, subjects: Sequence[str] | None = None) -> str:
        """Take back what was done to the subjects, in reverse order.

        Without subjects, the whole run is withdrawn: what is pending never begins.

        :raises RequestError: a named subject has nothing that can be taken back.
        """
        self._refuse_busy(run_id, subjects)
        self._orders.rollback(run_id, subjects)
        return self._work(run_id, (Work.UNDO,))

    def commit(self, run_id: str, subjects: Sequence[str] | None = None) -> str:
        """Give up the way back: settle the subjects that are changed.

        :raises RequestError: a named subject is not changed.
        """
        self._refuse_busy(run_id, subjects)
        self._orders.commit(run_id, subjects)
        return self._work(run_id, (Work.SETTLE,))

    def skip(self, run_id: str, subjects: Sequence[str]) -> str:
        """Let a run go on without subjects; return the run's state.

        :raises RequestError: a named subject is not waiting for anybody's decision.
        """
        self._orders.skip(run_id, subjects)
        return self._orders.conclude(run_id)

    def park(self) -> None:
        """Stop after the current steps; may be called from any thread or signal handler.

        Where no operation is under way, the next one parks at once.
        """
        self._parking = True

    def _observe(self, _run_id: str, event: Event) -> None:
        if self._observer is not None:
            self._observer(event)

    def _refuse_busy(self, run_id: str, subjects: Sequence[str] | None) -> None:
        self._orders.record(run_id)
        self._orders.refuse_busy(subjects or list(self._journal.subjects(run_id)), run_id)

    def _work(self, run_id: str, works: tuple[Work, ...]) -> str:
        """Keep in progress what should be, until there is nothing; return the run's state."""
        if not self._at_work.acquire(blocking=False):
            raise errors.RequestError("this engine is at work already; use another one")
        self.halted = ""
        try:
            width = self._journal.run(run_id).outline.width
            with (
                self._journal.keeper(self._owner) as keeper,
                self._pool(width) as pool,
                futures.ThreadPoolExecutor(
                    width * self._steps_at_a_time, thread_name_prefix="step"
                ) as step_pool,
            ):
                manner = Manner(
                    parking=lambda: self._parking,
                    verify=self._verify,
                    pool=step_pool if self._steps_at_a_time > 1 else None,
                    width=self._steps_at_a_time,
                )
                worker = Worker(self._journal, self._tools, keeper, manner, self._observe)
                self._keep_going(run_id, works, worker, pool)
        finally:
            self._parking = False
            self._at_work.release()
        return self._orders.conclude(run_id)

    def _keep_going(
        self, run_id: str, works: tuple[Work, ...], worker: Worker, pool: futures.Executor
    ) -> None:
        """Do every job once, as its turn comes; then raise the first error."""
        seen: set[str] = set()
        given_up: set[str] = set()
        flying: dict[Doing, Job] = {}
        failed: BaseException | None = None
        decision, now = Decision(), 0.0
        while True:
            if not self._parking and failed is None:
                now = self._tools.cloud.clock.time()
                decision = self._journal.claims.decide(run_id, works, given_up, now)
                self.halted = decision.halted or ""
                if decision.halted and not seen:
                    LOG.warning("run %s: %s", run_id, decision.halted)
                for job in decision.jobs:
                    if job.subject not in seen:
                        seen.add(job.subject)
                        future = pool.submit(worker.do, run_id, job, works, frozenset(given_up))
                        flying[future] = job
            if not flying:
                if self._parking or failed is not None or decision.wake is None:
                    break
                self._idle(max(decision.wake - now, 0.05))
                continue
            for future in self._wait(flying):
                job = flying.pop(future)
                failed = failed or future.exception()
                if failed is None and future.result() in IN_PROGRESS:
                    given_up.add(job.subject)
        if failed is None:
            return
        if not isinstance(failed, (errors.JournalError, errors.SubjectBusy)):
            self._orders.conclude(run_id)
        raise failed

    def _pool(self, width: int) -> futures.Executor:
        """Return what does the jobs, so many at a time."""
        return futures.ThreadPoolExecutor(width, thread_name_prefix="subject")

    def _wait(self, flying: Collection[Doing]) -> Iterable[Doing]:
        """Wait until a job has ended, or it is to be decided anew; return those that have."""
        return futures.wait(flying, LOOK_S, return_when=futures.FIRST_COMPLETED).done

    def _idle(self, seconds: float) -> None:
        """Let time pass where nothing is under way, and nothing can begin for so long."""
        self._tools.cloud.clock.sleep(min(seconds, 1.0))
