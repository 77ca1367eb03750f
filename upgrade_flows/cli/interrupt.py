"""Ctrl-C: the first one parks a run, the second one stops the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

FIRST = "Parking: the steps that are being done are finished. Ctrl-C again stops at once."
SECOND = "Stopped at once; 'upgrade-flows resume' goes on from the journal."


class Interrupts:
    """Handles SIGINT and SIGTERM while a run is in progress.

    :param park: asks the engine to finish its current steps and return.
    :param say: tells the operator what a signal did.
    :param leave: gives the terminal back, before the process ends.
    """

    def __init__(
        self,
        park: Callable[[], object],
        say: Callable[[str], object],
        leave: Callable[[], object],
        stop: Callable[[int], object] = os._exit,
    ) -> None:
        self._park, self._say, self._leave, self._stop = park, say, leave, stop
        self._before: dict[signal.Signals, object] = {}
        self.parked = False

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.parked:
            self._leave()
            self._say(SECOND)
            self._stop(128 + signal.SIGINT)  # the journal survives it, as it does a kill -9
            return
        self.parked = True
        self._say(FIRST)
        # in a thread of its own: what parks may wait for a lock that this thread holds
        threading.Thread(target=self._park, name="park", daemon=True).start()
