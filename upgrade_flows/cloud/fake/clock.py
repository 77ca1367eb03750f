"""A clock that only moves when somebody sleeps."""

from __future__ import annotations

import threading
from typing import Any


class FakeClock:
    """Simulated time: ``sleep`` moves it forward and returns at once.

    That is for one thread.  The time of several adds up, as if they worked one after the other;
    a ``SharedClock`` lets them work side by side.

    :param start: the epoch seconds at which it begins.
    """

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        self._start, self._passed = start, 0.0
        self._lock = threading.Lock()

    def time(self) -> float:
        """Return simulated epoch seconds."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Return the simulated seconds since the clock began."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        with self._lock:
            self._passed += max(seconds, 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return {"_start": self._start, "_passed": self._passed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
