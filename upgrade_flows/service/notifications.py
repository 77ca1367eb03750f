"""Telling a message bus what happens, without ever waiting for it."""

from __future__ import annotations

import logging
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from upgrade_flows.engine.records import Event
from upgrade_flows.engine.scheduler import RunState
from upgrade_flows.errors import PluginError, RequestError
from upgrade_flows.model.report import State
from upgrade_flows.service.settings import Bus

LOG = logging.getLogger(__name__)

#: the shape of the payload; a field that is added does not change it
VERSION = 1

#: messages that wait for a bus that does not answer
WAITING = 1000

#: how long the last messages may take when the process ends, in seconds
FAREWELL_S = 5.0

#: between two tries to reach a bus that does not answer, in seconds: the first, the longest
PAUSE_S = (1.0, 30.0)

#: states that somebody has to look at
ERRORS = frozenset(
    {State.FAILED, State.RESIDUE, State.QUARANTINED, State.HELD, RunState.FAILED, RunState.RESIDUE,
     RunState.HALTED}
)  # fmt: skip

#: priority, event type, payload; raises ``Undelivered``
Send = Callable[[str, str, dict[str, Any]], None]


class Undelivered(Exception):
    """The message bus did not take a message; it may do so later."""


class Notifications:
    """Sends the states that runs and subjects reach, from a thread of its own; a context.

    :param count: called with what became of each message: ``sent``, ``failed``, ``dropped``.
    :param scrub: takes passwords out of what is sent.
    """

    def __init__(
        self,
        send: Send,
        count: Callable[[str], None],
        scrub: Callable[[str], str] = str,
        waiting: int = WAITING,
    ) -> None:
        self._send, self._count, self._scrub = send, count, scrub
        self._queue: queue.Queue[tuple[str, str, dict[str, Any]]] = queue.Queue(waiting)
        self._closing = threading.Event()
        self._dropping = False
        self._lost = 0
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)

    def __enter__(self) -> Notifications:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send what is waiting, as far as the bus takes it in time."""
        self._closing.set()
        self._thread.join(FAREWELL_S)
        lost = self._lost + self._queue.qsize() + self._thread.is_alive()
        if lost:
            LOG.warning("%d notifications were not sent: the message bus does not answer", lost)

    def observe(self, run_id: str, event: Event) -> None:
        """Put a state into the queue; steps are not told."""
        if event.step:
            return
        kind = "subject" if event.subject else "run"
        payload = {
            "version": VERSION,
            "run_id": run_id,
            "subject": event.subject,
            "state": event.what,
            "detail": self._scrub(event.detail),
            "time": event.time,
            "owner": event.owner,
        }
        priority = "error" if event.what in ERRORS else "info"
        try:
            self._queue.put_nowait((priority, f"{kind}.{event.what}", payload))
        except queue.Full:
            self._count("dropped")
            if not self._dropping:
                LOG.warning("the message bus does not answer; notifications are dropped")
            self._dropping = True
        else:
            self._dropping = False

    def _work(self) -> None:
        while True:
            try:
                message = self._queue.get(timeout=0.2)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            try:
                self._deliver(message)
            except Undelivered:
                self._lost += 1
                self._count("failed")
            except Exception:
                LOG.exception("a notification cannot be sent: %s %s", message[1], message[2])
                self._count("failed")
            else:
                self._count("sent")

    def _deliver(self, message: tuple[str, str, dict[str, Any]]) -> None:
        """Send a message, again until the bus takes it, or until the process ends."""
        pause, longest = PAUSE_S
        waited = False
        while True:
            try:
                self._send(*message)
            except Undelivered as exc:
                if self._closing.is_set():
                    raise
                if not waited:
                    LOG.warning("the message bus does not answer, trying again: %s", exc)
                waited = True
                self._closing.wait(pause)
                pause = min(2 * pause, longest)
            else:
                if waited:
                    LOG.info("the message bus answers again")
                return


def connect(conf: cfg.ConfigOpts, bus: Bus) -> Send:
    """Return what sends to a message bus; the connection is made at the first message.

    :raises PluginError: oslo.messaging, or what it needs for this kind of bus, is missing.
    :raises RequestError: the URL is not one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of what it imports
            import oslo_messaging
    except ImportError as exc:
        raise PluginError(
            f"[notifications] transport_url is set, but a Python package is missing: {exc};"
            " install upgrade-flows[notifications], or remove the option"
        ) from exc
    try:
        transport = oslo_messaging.get_notification_transport(conf, url=bus.url)
        notifier = oslo_messaging.Notifier(
            transport, bus.publisher_id, driver="messagingv2", topics=list(bus.topics), retry=0
        )
    except oslo_messaging.DriverLoadFailure as exc:
        raise PluginError(
            f"[notifications] transport_url: oslo.messaging cannot load {exc.driver!r}"
        ) from exc
    except Exception as exc:
        raise RequestError(
            f"[notifications] transport_url is not the URL of a message bus ({type(exc).__name__})"
        ) from None

    failures = _Failures.installed()

    def send(priority: str, event_type: str, payload: dict[str, Any]) -> None:
        failures.last = ""
        getattr(notifier, priority)({}, event_type, payload)
        if failures.last:
            raise Undelivered(failures.last)

    return send


class _Failures(logging.Filter):
    """Hears of failed messages where oslo.messaging says so: in the log, and nowhere else."""

    last = ""

    @classmethod
    def installed(cls) -> _Failures:
        """Return one that hears, and the only one that does."""
        logger = logging.getLogger("oslo_messaging.notify.messaging")
        for other in [f for f in logger.filters if isinstance(f, cls)]:
            logger.removeFilter(other)
        made = cls()
        logger.addFilter(made)
        return made

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the error, and the record out of the log: its traceback would come every time."""
        if record.exc_info is None or record.exc_info[1] is None:
            return True
        self.last = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        return False
