"""A clock that only moves when somebody sleeps: one thread, or several that work together."""

from __future__ import annotations

import threading
import time
from typing import Any

#: how long one that has joined may work without sleeping, in real seconds, before it is given up
LOST_S = 20.0


class FakeClock:
    """Simulated time: ``sleep`` moves it forward and returns at once.

    Threads that ``join`` share it: time moves when all of them sleep, to the moment at which the
    first one wakes, and only that one goes on; those of the same moment go by their names.

    :param start: the epoch seconds at which it begins.
    :param settle_s: how long, in real seconds, time stands still after a thread has joined or
        left: those that are started at the same moment, or because one has left, join meanwhile.
    """

    def __init__(self, start: float = 1_750_000_000.0, settle_s: float = 0.05) -> None:
        self._start, self._passed = start, 0.0
        self.settle_s = settle_s
        self._assume()

    def _assume(self) -> None:
        self._changed = threading.Condition()
        self._names: dict[threading.Thread, str] = {}
        self._wakes: dict[threading.Thread, tuple[float, str]] = {}
        self._settled = 0.0

    def time(self) -> float:
        """Return simulated epoch seconds."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Return the simulated seconds since the clock began."""
        return self._passed

    def join(self, name: str) -> None:
        """Let time wait for this thread from now on, whenever it does not sleep."""
        with self._changed:
            self._names[threading.current_thread()] = name
            self._settled = time.monotonic() + self.settle_s
            self._changed.notify_all()

    def leave(self) -> None:
        """Let time go on without this thread."""
        with self._changed:
            if self._names.pop(threading.current_thread(), None) is not None:
                self._settled = time.monotonic() + self.settle_s
                self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        with self._changed:
            if self._names:
                self._sleep_with_others(self._passed + max(seconds, 0.0))
            else:
                self._passed += max(seconds, 0.0)

    def _sleep_with_others(self, wake: float) -> None:
        me = threading.current_thread()
        self._wakes[me] = (wake, self._names.get(me, ""))
        self._changed.notify_all()
        lost = time.monotonic() + LOST_S
        while True:
            for thread in [one for one in self._names if not one.is_alive()]:
                del self._names[thread]
            now = time.monotonic()
            if now > lost:
                for thread in self._names.keys() - self._wakes.keys():
                    del self._names[thread]
            if now < self._settled:
                self._changed.wait(self._settled - now)
            elif self._names.keys() - self._wakes.keys():
                self._changed.wait(1.0)
            elif min(self._wakes, key=lambda one: self._wakes[one]) is me:
                break
            else:
                self._changed.wait(1.0)
        del self._wakes[me]
        self._passed = max(self._passed, wake)
        self._changed.notify_all()  # one that has not joined keeps nobody waiting

    def __getstate__(self) -> dict[str, Any]:
        return {"_start": self._start, "_passed": self._passed, "settle_s": self.settle_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._assume()
