"""What happened since the start, as numbers for Prometheus; no label grows with the cloud."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator

import prometheus_client as prom
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from upgrade_flows.engine.conductor import Status
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.scheduler import RunState
from upgrade_flows.model.report import State

BEGINS = ("started", "reverting")
ENDS = ("finished", "failed", "reverted", "residue")

#: what can become of a notification
RESULTS = ("sent", "failed", "dropped")

BUCKETS_S = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600)

#: steps whose end nobody has told yet; more than any conductor has in hand
MOST_OPEN = 100_000


class Metrics:
    """The numbers of one process, in a registry of their own; safe to share between threads."""

    def __init__(self, name: str, version: str) -> None:
        self.registry = prom.CollectorRegistry()
        self._steps = self._counter("steps", "Moments of steps", "what", (*BEGINS, *ENDS))
        self._subjects = self._counter("subjects", "States reached by instances", "state", State)
        self._runs = self._counter("runs", "States reached by runs", "state", RunState)
        self._notifications = self._counter(
            "notifications", "What became of notifications", "result", RESULTS
        )
        self._seconds = prom.Histogram(
            "upgrade_flows_step_seconds",
            "Seconds from the beginning of a step, or of its undo, to its end",
            ["what"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        for what in ENDS:
            self._seconds.labels(what)
        build = prom.Info("upgrade_flows_build", "What runs here", registry=self.registry)
        build.info({"version": version, "python": platform.python_version(), "conductor": name})
        prom.ProcessCollector(registry=self.registry)
        self._begun: dict[tuple[str, str], dict[str, float]] = {}
        self._lock = threading.Lock()

    def watch(self, status: Callable[[], Status | None]) -> None:
        """Have the gauges show a conductor's status, as soon as there is one."""
        self.registry.register(_Gauges(status))

    def observe(self, run_id: str, event: Event) -> None:
        """Count an event of a run."""
        if event.step:
            _count(self._steps, event.what, (*BEGINS, *ENDS))
            self._time(run_id, event)
        elif event.subject:
            _count(self._subjects, event.what, State)
            if event.what not in (State.CHANGING, State.UNDOING, State.SETTLING):
                with self._lock:
                    self._begun.pop((run_id, event.subject), None)
        else:
            _count(self._runs, event.what, RunState)

    def notification(self, result: str) -> None:
        """Count a notification."""
        _count(self._notifications, result, RESULTS)

    def _time(self, run_id: str, event: Event) -> None:
        subject = (run_id, event.subject)
        with self._lock:
            if event.what in BEGINS:
                if len(self._begun) < MOST_OPEN:
                    self._begun.setdefault(subject, {})[event.step] = event.time
                return
            since = self._begun.get(subject, {}).pop(event.step, None)
        if since is not None and event.what in ENDS:
            self._seconds.labels(event.what).observe(max(0.0, event.time - since))

    def _counter(self, name: str, help_: str, label: str, values: object) -> prom.Counter:
        """Return a counter that shows all of its values from the beginning."""
        counter = prom.Counter(f"upgrade_flows_{name}", help_, [label], registry=self.registry)
        for value in (*values, "other"):  # type: ignore[misc]
            counter.labels(str(value))
        return counter


def _count(counter: prom.Counter, value: str, known: object) -> None:
    counter.labels(value if value in tuple(known) else "other").inc()  # type: ignore[arg-type]


class _Gauges(Collector):
    """What the conductor says of itself at the moment of asking."""

    def __init__(self, status: Callable[[], Status | None]) -> None:
        self._status = status

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return nothing: the names are ours, nobody else registers them."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask for the status, once for all gauges."""
        status = self._status()
        if status is None:
            return
        for name, help_, value in (
            ("jobs_in_progress", "Instances that are being worked on", len(status.jobs)),
            ("jobs_capacity", "Instances that can be worked on at once", status.capacity),
            ("stopping", "Whether no more work is taken on", int(status.stopping)),
            ("journal_age_seconds", "Since the journal was last heard of", status.journal_ok_s),
            ("board_age_seconds", "Since the board was last heard of", status.board_ok_s),
        ):
            yield GaugeMetricFamily(f"upgrade_flows_{name}", help_, value=value)
