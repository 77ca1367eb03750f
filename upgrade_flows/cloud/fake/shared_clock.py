"""Simulated time for several threads: one of them works, all others sleep."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection
from concurrent import futures
from typing import Any, ParamSpec, TypeVar

from upgrade_flows.cloud.fake.clock import FakeClock

P = ParamSpec("P")
T = TypeVar("T")


class _Sleeper:
    """A thread, and which of its awakenings is meant: others were planned before it was woken."""

    def __init__(self) -> None:
        self.turn = threading.Semaphore(0)
        self.awaited = -1


class SharedClock(FakeClock):
    """A clock that moves to the next moment at which somebody wakes, when all others sleep.

    The threads take turns: who sleeps, or ends, hands over to the one that wakes first, of
    several the one that fell asleep first.  So a thread is never overtaken by time while it
    works, and the same work is done in the same order every time.  The thread that made the
    clock has the first turn; all others are begun with ``start``, or by an executor
    (``threads``).  Whoever waits for another thread does so with ``wait``: to wait in real
    time is to keep the turn.
    """

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        super().__init__(start)
        self._agenda: list[tuple[float, int, _Sleeper]] = []
        self._count = 0
        self._mine = threading.local()
        self._mine.sleeper = _Sleeper()
        self._waiting: dict[_Sleeper, Collection[futures.Future[Any]]] = {}

    def start(self, work: Callable[[], T]) -> futures.Future[T]:
        """Do something in a thread of its own, from the next time that the caller sleeps."""
        job: futures.Future[T] = futures.Future()
        sleeper = _Sleeper()

        def live() -> None:
            self._mine.sleeper = sleeper
            sleeper.turn.acquire()
            try:
                job.set_result(work())
            except BaseException as exc:
                job.set_exception(exc)
            for other, awaited in list(self._waiting.items()):
                if job in awaited:
                    self._wake(other)
            self._hand_over()

        self._plan(sleeper, self._passed)
        threading.Thread(target=live, name="simulated", daemon=True).start()
        return job

    def threads(self) -> futures.Executor:
        """Return an executor whose threads share this clock: each job has its own at once."""
        return _Threads(self)

    def wait(self, jobs: Collection[futures.Future[T]], seconds: float) -> list[futures.Future[T]]:
        """Sleep until one of the jobs is done, at most for so long; return those that are."""
        if not any(job.done() for job in jobs):
            sleeper = self._sleeper()
            self._waiting[sleeper] = frozenset(jobs)
            self.sleep(seconds)
            self._waiting.pop(sleeper, None)
        return [job for job in jobs if job.done()]

    def sleep(self, seconds: float) -> None:
        """Let the others work until simulated time has passed.

        :raises RuntimeError: the thread was begun by somebody else.
        """
        sleeper = self._sleeper()
        self._plan(sleeper, self._passed + max(seconds, 0.0))
        self._hand_over()
        sleeper.turn.acquire()

    def _sleeper(self) -> _Sleeper:
        found: _Sleeper | None = getattr(self._mine, "sleeper", None)
        if found is None:
            raise RuntimeError("only threads that a shared clock has started can sleep by it")
        return found

    def _plan(self, sleeper: _Sleeper, at: float) -> None:
        self._count += 1
        sleeper.awaited = self._count
        heapq.heappush(self._agenda, (at, self._count, sleeper))

    def _wake(self, sleeper: _Sleeper) -> None:
        """Let a thread that waits go on now, when its turn comes."""
        del self._waiting[sleeper]
        self._plan(sleeper, self._passed)

    def _hand_over(self) -> None:
        """Give the turn to the thread that wakes next: it may be the caller's own."""
        while self._agenda:
            at, number, sleeper = heapq.heappop(self._agenda)
            if number == sleeper.awaited:
                self._passed = max(self._passed, at)
                sleeper.awaited = -1
                sleeper.turn.release()
                return

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a shared clock cannot be kept: its threads cannot")


class _Threads(futures.Executor):
    """Threads of a shared clock; who shuts it down sleeps until all of them have ended."""

    def __init__(self, clock: SharedClock) -> None:
        self._clock = clock
        self._jobs: list[futures.Future[Any]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        """Do something in a thread of its own."""
        job = self._clock.start(lambda: fn(*args, **kwargs))
        self._jobs.append(job)
        return job

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait until nothing is done any more; what was submitted is under way already."""
        while wait and (left := [job for job in self._jobs if not job.done()]):
            self._clock.wait(left, 3600.0)
