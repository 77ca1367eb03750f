"""A wake-up call that a signal handler may give."""

from __future__ import annotations

import queue


class Wake:
    """Wakes one waiting thread.

    Unlike ``threading.Event``, whose lock a handler would wait for in the very thread that
    holds it, the queue below may be used from a signal handler.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self, *_: object) -> None:
        """Wake whoever waits, or the next who does."""
        self._calls.put(None)

    def wait(self, seconds: float) -> None:
        """Return when woken, after ``seconds`` at the latest."""
        try:
            self._calls.get(timeout=seconds)
            while True:
                self._calls.get_nowait()
        except queue.Empty:
            return
