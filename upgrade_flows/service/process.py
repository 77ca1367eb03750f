"""One conductor from its start to its end: what it is told by signals, and what it tells."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from upgrade_flows.engine.conductor import Conductor, Status
from upgrade_flows.engine.leases import process_owner
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.worker import RunObserver
from upgrade_flows.reports import words
from upgrade_flows.service import start, systemd
from upgrade_flows.service.health import Health
from upgrade_flows.service.settings import Settings
from upgrade_flows.service.start import Stopped, Wiring

LOG = logging.getLogger(__name__)

#: how often systemd hears of us, in seconds
PULSE_S = 1.0

#: how often the log says what a stop is waiting for, in seconds
REMIND_S = 60.0

#: how long one part may take to start before systemd loses its patience, in seconds
PART_S = 300

_ENDED = 0


class Signals:
    """SIGTERM and SIGINT stop, once gracefully and twice at once; SIGHUP reloads; a context."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def wait(self, seconds: float) -> int | None:
        """Return a signal that has arrived or arrives in time; or None."""
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """End the wait: the loop has ended."""
        self._queue.put(_ENDED)

    def rest(self, seconds: float) -> None:
        """Sleep while starting.

        :raises Stopped: the process was told to stop.
        """
        until = time.monotonic() + seconds
        while not self.stop_asked and (left := until - time.monotonic()) > 0:
            self.wait(left)
        if self.stop_asked:
            raise Stopped

    def _on(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            if self.stop_asked:
                os.write(2, b"upgrade-flows-conductor: told twice: ended within its steps;"
                         b" another conductor goes on with them\n")  # fmt: skip
                os._exit(128 + number)
            self.stop_asked = True
        self._queue.put(number)


class _Loop(threading.Thread):
    """The conductor's loop, and the error that it ended with."""

    def __init__(self, conductor: Conductor, ended: Callable[[], None]) -> None:
        super().__init__(name="conductor")
        self.error: BaseException | None = None
        self._conductor, self._ended = conductor, ended

    def run(self) -> None:
        try:
            self._conductor.run()
        except BaseException as exc:
            self.error = exc
        finally:
            self._ended()


class Process:
    """A conductor with what surrounds it.

    :param observers: called with every event, in the thread of its subject.
    :param reload: reads again what may change while it runs.
    """

    def __init__(
        self,
        settings: Settings,
        wiring: Wiring,
        health: Health,
        observers: tuple[RunObserver, ...] = (),
        reload: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._wiring, self._health = settings, wiring, health
        self._observers, self._reload = observers, reload

    def run(self) -> None:
        """Start, work until told to stop, and end.

        :raises UpgradeFlowsError: it cannot start.
        """
        with Signals() as signals, contextlib.ExitStack() as stack:
            try:
                conductor = self._start(signals, stack)
            except Stopped:
                LOG.info("Told to stop before it began")
                return
            self._look_after(conductor, signals)

    def _start(self, signals: Signals, stack: contextlib.ExitStack) -> Conductor:
        settings, wiring, owner = self._settings, self._wiring, process_owner()
        start.check_board(settings)
        start.check_key(settings)
        plugins = wiring.plugins()
        cloud = wiring.cloud(settings)

        def part(what: str, call: Callable[[], Any]) -> Any:
            self._health.starting(what)
            systemd.notify(f"STATUS=Waiting for {what}", f"EXTEND_TIMEOUT_USEC={PART_S * 10**6}")
            signals.rest(0)
            return start.patiently(what, call, signals.rest)

        journal = part("the journal", lambda: wiring.journal(settings))
        stack.callback(journal.close)
        part("the journal", lambda: start.check_machine(journal, owner))
        part(f"the cloud {cloud.id}", cloud.check_credentials)
        board = part("the job board", lambda: wiring.board(settings, owner))
        stack.callback(self._close_board, board)
        return wiring.conductor(settings, owner, journal, board, cloud, plugins, self._observe)

    def _look_after(self, conductor: Conductor, signals: Signals) -> None:
        loop = _Loop(conductor, signals.wake)
        self._health.working(conductor.status, loop.is_alive)
        loop.start()
        LOG.info("Conductor %s works as %s", self._settings.name, conductor.owner)
        systemd.notify("READY=1")
        remind_at = 0.0
        while loop.is_alive():
            number = signals.wait(PULSE_S)
            if number == signal.SIGHUP:
                self._reload_quietly()
            elif number in (signal.SIGTERM, signal.SIGINT):
                LOG.info("Told to stop: the current steps are the last ones")
                systemd.notify("STOPPING=1")
                conductor.stop()
            status = conductor.status()
            if status.stopping and time.monotonic() >= remind_at:
                remind_at = time.monotonic() + REMIND_S
                _remind(status)
            systemd.notify("WATCHDOG=1", f"STATUS={self._in_words(status)}")
        if loop.error is not None:
            raise loop.error
        if not signals.stop_asked:
            raise RuntimeError("the conductor's loop has ended by itself")
        LOG.info("Stopped: everything is parked and given back")

    def _observe(self, run_id: str, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(run_id, event)
            except Exception:
                LOG.exception("%s %s %s was not counted or told", run_id, event.subject, event.what)

    def _reload_quietly(self) -> None:
        try:
            self._reload()
        except Exception:
            LOG.exception("The configuration was not read again; what was read before holds")

    def _in_words(self, status: Status) -> str:
        troubles = "; ".join(self._health.troubles())
        said = f"{len(status.jobs)} of {status.capacity} jobs"
        return words.safe(f"{'Stopping' if status.stopping else 'Working'}, {said} {troubles}")

    @staticmethod
    def _close_board(board: Any) -> None:
        with contextlib.suppress(Exception):  # claims run out by themselves
            board.close()


def _remind(status: Status) -> None:
    for job in status.jobs:
        since = words.seconds(max(0.0, time.time() - job.since))
        LOG.info("Waiting for a step of %s (%s, run %s), begun %s ago",
                 job.subject, job.work, job.run_id, since)  # fmt: skip
