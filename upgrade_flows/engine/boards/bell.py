"""Waking those who wait for work: when there is news, and when a look finds some."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: seconds between two looks at the board while somebody waits.  A claim that ran out makes no
#: noise on every server, nor does a job that TaskFlow's own classes post.
LOOK_S = 0.5


class Bell:
    """Something to sleep at.

    A ``SimpleQueue`` per sleeper, because its ``put`` may interrupt itself: a signal handler that
    sets an event which the same thread is about to wait for would stand still for ever.

    :param look: whether there is something to do; called in a thread of the bell's own while
        somebody sleeps, its exceptions mean "do not know".
    """

    def __init__(self, look: Callable[[], bool], name: str) -> None:
        self._look = look
        self._sleepers: set[queue.SimpleQueue[None]] = set()
        self._rung = True  # whoever comes first looks for himself
        self._closed = threading.Event()
        self._awaited = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name=name, daemon=True)

    def sleep(self, timeout_s: float) -> bool:
        """Return True as soon as the bell rings, or has rung since; False after the timeout."""
        if not self._thread.is_alive() and not self._closed.is_set():
            self._start()
        mine: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sleepers.add(mine)
        try:
            if not self._rung:
                self._awaited.set()
                mine.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return False
        finally:
            self._sleepers.discard(mine)
        self._rung = False
        return True

    def ring(self) -> None:
        """Wake all sleepers; if there are none, the next one does not fall asleep."""
        self._rung = True  # before the sleepers: one who comes now sees the one or the other
        for sleeper in tuple(self._sleepers):
            sleeper.put(None)

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        self._awaited.set()
        self.ring()

    def _start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:
            return  # another thread was faster

    def _keep_looking(self) -> None:
        while not self._closed.is_set():
            self._awaited.wait()  # nobody sleeps: nothing to look for
            if self._closed.wait(LOOK_S):
                return
            if not self._sleepers:
                self._awaited.clear()
                if self._sleepers:  # came in between
                    self._awaited.set()
            try:
                found = self._look()
            except Exception:
                found = False  # the server is away; who claims will hear of it
            if found:
                self.ring()
