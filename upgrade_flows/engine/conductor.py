"""A conductor: claims jobs from the board, does them, and puts on the board what comes next.

::

    board.unclaimed ──► claim ──► worker.do ──► consume ──► decide ──► board.post
                          │           └── its turn, its lease, its outcome: the journal
                          └── keeps conductors out of each other's way, no more

The journal decides everything that matters.  A board that lost a job, or lists one twice, costs
time and nothing else: every conductor looks regularly for what should be in progress and is
listed nowhere, and whoever claims a job that is done already finds nothing to do.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent import futures
from dataclasses import dataclass

from upgrade_flows import errors
from upgrade_flows.engine import boards
from upgrade_flows.engine.boards import Board
from upgrade_flows.engine.leases import TTL_S, Keeper
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.runner import Manner, Verify
from upgrade_flows.engine.scheduler import IN_PROGRESS, Decision, Job, RunState, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import RunObserver, Tools, Worker
from upgrade_flows.errors import BoardError

LOG = logging.getLogger(__name__)

#: how often a conductor looks for what should be in progress and is listed nowhere, in seconds
SWEEP_S = 10.0

#: how long a job is left alone that could not be done now, in seconds
REST_S = (0.2, 5.0)

#: a claim's time to live, as a share of an owner's: it has ended when the owner counts as dead
CLAIM_SHARE = 0.75

#: of how many listed jobs of a run there is no need to look for more
ENOUGH = 5

#: how many jobs a conductor remembers to have listed
MOST_POSTED = 1000


@dataclass(frozen=True)
class InHand:
    """A job that is being done, since a moment in epoch seconds."""

    run_id: str
    subject: str
    work: str
    since: float


@dataclass(frozen=True)
class Status:
    """How a conductor is: ages in seconds since the journal and the board were last heard of."""

    owner: str
    jobs: tuple[InHand, ...]
    capacity: int
    stopping: bool
    journal_ok_s: float
    board_ok_s: float
    last_error: str


class Conductor:
    """Works on submitted runs until it is told to stop.

    :param owner: unique among all processes that ever work on the journal.
    :param jobs: how many subjects it works on at the same time.
    :param ttl_s: how long after its death others wait before they take its subjects.
    :param most_tries: how often a subject is given up before it is quarantined.
    """

    def __init__(
        self,
        journal: Journal,
        board: Board,
        tools: Tools,
        *,
        owner: str,
        jobs: int = 10,
        ttl_s: float = TTL_S,
        steps_at_a_time: int = 1,
        most_tries: int = 5,
        verify: Verify | None = None,
        observer: RunObserver | None = None,
    ) -> None:
        self.owner = owner
        self._journal, self._board, self._tools = journal, board, tools
        self._orders = Orders(journal, tools.cloud.id)
        self._capacity, self._ttl_s, self._width = jobs, ttl_s, steps_at_a_time
        self._most_tries, self._verify, self._observer = most_tries, verify, observer
        journal.claims.most_tries = most_tries
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: dict[boards.Job, InHand] = {}
        self._resting: dict[boards.Job, tuple[float, float]] = {}
        self._unfinished: dict[boards.Job, bool] = {}
        self._posted: dict[boards.Job, float] = {}
        self._ended_in: dict[str, set[str]] = {}
        self._foreign: set[str] = set()
        self._board_ok = time.monotonic()
        self._keeper: Keeper | None = None
        self._last_error = ""
        self._complained = 0.0

    def run(self) -> None:
        """Work until ``stop``; return when everything in hand is parked and given back."""
        with (
            self._journal.keeper(self.owner, self._ttl_s) as keeper,
            futures.ThreadPoolExecutor(self._capacity, thread_name_prefix="subject") as pool,
            futures.ThreadPoolExecutor(
                self._capacity * self._width, thread_name_prefix="step"
            ) as step_pool,
        ):
            self._keeper = keeper
            manner = Manner(
                self._stopping.is_set, self._verify, step_pool if self._width > 1 else None,
                self._width, self._most_tries,
            )  # fmt: skip
            worker = Worker(self._journal, self._tools, keeper, manner, self._observer)
            beat = threading.Thread(target=self._renew, name="claims", daemon=True)
            beat.start()
            try:
                self._loop(worker, pool)
            finally:
                pool.shutdown()
                with contextlib.suppress(BoardError, errors.JournalError):
                    self._go_on(())  # or the others would find it with their next sweep only
                self._ended.set()
                beat.join()

    def stop(self) -> None:
        """Let the current steps be the last ones; from any thread or signal handler."""
        self._stopping.set()
        self._board.wake()

    def status(self) -> Status:
        """Return how it is."""
        with self._lock:
            jobs = tuple(self._in_hand.values())
        return Status(
            self.owner,
            jobs,
            self._capacity,
            self._stopping.is_set(),
            self._keeper.age_s if self._keeper is not None else 0.0,
            time.monotonic() - self._board_ok,
            self._last_error,
        )

    def _loop(self, worker: Worker, pool: futures.Executor) -> None:
        sweep_at = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= sweep_at:
                    self._sweep()
                    sweep_at = time.monotonic() + SWEEP_S * random.uniform(0.8, 1.2)  # noqa: S311
                for job, done in list(self._unfinished.items()):
                    self._finish(job, done)
                listed = self._board.unclaimed(self._view)
                if self._go_on(listed):
                    listed = self._board.unclaimed(self._view)
                self._fill(worker, pool, listed)
                self._board_ok = time.monotonic()
                self._board.wait(self._pause(sweep_at))
            except (BoardError, errors.JournalError) as exc:
                self._complain(exc)
                self._stopping.wait(1.0)

    @property
    def _view(self) -> int:
        """How many of the listed jobs are worth looking at."""
        return 2 * self._capacity + len(self._resting) + ENOUGH

    def _go_on(self, listed: Iterable[boards.Job]) -> bool:
        """Put on the board what comes next in the runs in which something has ended.

        A run of which enough is listed is left for later: to look at it after each of its
        subjects would cost as much as the subjects.

        :returns: whether something was posted.
        """
        posted = False
        counts = Counter(job.run_id for job in listed)
        with self._lock:
            due = {
                run_id: jobs for run_id, jobs in self._ended_in.items() if counts[run_id] < ENOUGH
            }
            for run_id in due:
                del self._ended_in[run_id]
        for run_id, subjects in due.items():
            try:
                decision = self._journal.claims.decide(run_id)
            except errors.RequestError:  # it was purged
                continue
            again = [job for job in decision.jobs if job.subject in subjects]
            if decision.jobs:
                posted |= self._post(run_id, (*decision.new, *again))
            else:
                self._conclude(run_id)
        return posted

    def _fill(self, worker: Worker, pool: futures.Executor, listed: list[boards.Job]) -> None:
        """Claim as many jobs as there is room for."""
        free = self._capacity - len(self._in_hand)
        random.shuffle(listed)  # so that conductors do not all try the same ones first
        for job in listed:
            if free <= 0 or self._stopping.is_set():
                return
            if job in self._in_hand or job in self._unfinished or not self._rested(job):
                continue
            if job.run_id in self._foreign:
                continue
            if not self._board.claim(job):
                continue
            with self._lock:
                self._in_hand[job] = InHand(job.run_id, job.subject, job.work, time.time())
            pool.submit(self._handle, worker, job)
            free -= 1

    def _handle(self, worker: Worker, job: boards.Job) -> None:
        """Do a job that is claimed; whatever happens, it is taken off the board, or given back."""
        done = False
        try:
            done = self._do(worker, job)
        except (BoardError, errors.JournalError) as exc:
            self._complain(exc)
            self._rest(job)
        except Exception as exc:
            LOG.exception("%s", job.name)
            self._last_error = f"{job.name}: {exc!r}"
            self._rest(job)
        finally:
            self._finish(job, done)
            with self._lock:
                self._in_hand.pop(job, None)
            self._board.wake()

    def _do(self, worker: Worker, job: boards.Job) -> bool:
        """Return whether the job can be taken off the board."""
        try:
            state = worker.do(job.run_id, Job(job.subject, Work(job.work)))
        except errors.SubjectBusy as exc:
            LOG.info("%s: %s", job.name, exc)
            self._rest(job, exc.for_s)
            return False
        except errors.PlanChanged:  # another cloud's, whose conductors share this board
            self._foreign.add(job.run_id)
            return False
        except errors.RequestError as exc:  # the run was purged
            LOG.warning("%s: %s", job.name, exc)
            return True
        if state not in IN_PROGRESS:
            self._resting.pop(job, None)
            return True
        if self._stopping.is_set():
            return False
        wanted = Job(job.subject, Work(job.work)) in self._journal.claims.decide(job.run_id).jobs
        if wanted:
            self._rest(job)  # it was given up, and is to be tried again
        return not wanted

    def _finish(self, job: boards.Job, done: bool) -> None:
        """Tell the board."""
        try:
            if done:
                self._posted.pop(job, None)
                self._board.consume(job)
                with self._lock:
                    self._ended_in.setdefault(job.run_id, set()).add(job.subject)
            else:
                self._board.give_back(job)
            self._unfinished.pop(job, None)
        except (BoardError, errors.JournalError) as exc:
            self._complain(exc)
            self._unfinished[job] = done

    def _post(self, run_id: str, jobs: Iterable[Job]) -> bool:
        """List jobs, but those that we have listed a moment ago; return whether there were any."""
        late = time.monotonic() - SWEEP_S
        named = [boards.Job(run_id, job.subject, str(job.work)) for job in jobs]
        wanted = [job for job in named if self._posted.get(job, late) <= late]
        if not wanted:
            return False
        self._board.post(wanted)
        if len(self._posted) > MOST_POSTED:
            self._posted.clear()
        self._posted.update(dict.fromkeys(wanted, time.monotonic()))
        return True

    def _conclude(self, run_id: str) -> None:
        before = self._journal.run(run_id).state
        state = self._orders.conclude(run_id)
        if state != before and state != RunState.RUNNING:
            LOG.info("run %s: %s", run_id, state)
            if self._observer is not None:
                self._observer(run_id, Event(time.time(), "", "", state))

    def _sweep(self) -> None:
        """Post what should be in progress in any run, in case that the board lost it."""
        for record in self._journal.runs(submitted=True, open_only=True):
            if record.cloud_id != self._tools.cloud.id:
                self._foreign.add(record.id)
                continue
            decision: Decision = self._journal.claims.decide(record.id)
            if decision.jobs:
                self._post(record.id, decision.jobs)
            else:
                self._conclude(record.id)

    def _renew(self) -> None:
        """Prolong the claims, in a thread of its own, whatever the others wait for."""
        while not self._ended.wait(self._ttl_s / 4):
            try:
                for job in self._board.renew():
                    LOG.warning("%s: the claim is lost; the journal decides who goes on", job.name)
                if self._in_hand:  # otherwise nothing was asked
                    self._board_ok = time.monotonic()
            except BoardError as exc:
                self._complain(exc)

    def _rest(self, job: boards.Job, for_s: float | None = None) -> None:
        """Leave a job alone for a while, longer each time.

        :param for_s: the owner of its subject may be dead, which is known after so many seconds.
        """
        _, last = self._resting.get(job, (0.0, REST_S[0] / 2))
        pause = min(last * 2, REST_S[1])
        if for_s is not None:
            pause = min(for_s + 0.05, 1.0)
        self._resting[job] = (time.monotonic() + pause, pause)

    def _rested(self, job: boards.Job) -> bool:
        return self._resting.get(job, (0.0, 0.0))[0] <= time.monotonic()

    def _pause(self, sweep_at: float) -> float:
        """Return how long there is nothing to do without news, in seconds."""
        moments = [sweep_at]
        if len(self._in_hand) < self._capacity:
            moments += [at for at, _ in list(self._resting.values())]
        return max(0.05, min(moments) - time.monotonic())

    def _complain(self, exc: Exception) -> None:
        """Log an error, the same one only now and then."""
        now = time.monotonic()
        if str(exc) != self._last_error or now - self._complained > SWEEP_S:
            LOG.warning("%s", exc)
            self._complained = now
        self._last_error = str(exc)
