"""Simulated time for several threads: one of them works, all others sleep."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from typing import Any

from upgrade_flows.cloud.fake.clock import FakeClock


class Job:
    """Something that a thread of a ``SharedClock`` does: ``done``, and then its ``result``.

    ``error`` is what it raised.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self.result = self._work()
        except BaseException as exc:
            self.error = exc


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
    clock has the first turn; all others are begun with ``start``.
    """

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        super().__init__(start)
        self._agenda: list[tuple[float, int, _Sleeper]] = []
        self._count = 0
        self._mine = threading.local()
        self._mine.sleeper = _Sleeper()
        self._waiting: tuple[frozenset[Job], _Sleeper] | None = None

    def start(self, work: Callable[[], Any], name: str = "") -> Job:
        """Do something in a thread of its own, from the next time that the caller sleeps."""
        job, sleeper = Job(work), _Sleeper()

        def live() -> None:
            self._mine.sleeper = sleeper
            sleeper.turn.acquire()
            job.run()
            job.done = True
            if self._waiting is not None and job in self._waiting[0]:
                self._plan(self._waiting[1], self._passed)
                self._waiting = None
            self._hand_over()

        self._plan(sleeper, self._passed)
        threading.Thread(target=live, name=name or None, daemon=True).start()
        return job

    def wait(self, jobs: Iterable[Job], seconds: float) -> list[Job]:
        """Sleep until one of the jobs is done, at most for so long; return those that are."""
        meant = list(jobs)
        if not any(job.done for job in meant):
            self._waiting = frozenset(meant), self._sleeper()
            self.sleep(seconds)
            self._waiting = None
        return [job for job in meant if job.done]

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
