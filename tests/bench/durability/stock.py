"""TaskFlow as it comes: its own engines, on its own SQL backend or on our journal's."""

from __future__ import annotations

import importlib
import warnings
from concurrent import futures
from contextlib import closing
from typing import Any

from taskflow import engines, states, task
from taskflow.patterns import linear_flow, unordered_flow
from taskflow.persistence import backends

from tests.bench.durability.measure import Sample, measure
from tests.bench.errors import BenchError
from upgrade_flows.engine.store import Journal

WARM_UP = 3


class Nothing(task.Task):
    """Do nothing."""

    def execute(self) -> dict[str, bool]:
        return {"ok": True}

    def revert(self, **_: object) -> None:
        return None


def prepare() -> None:
    """Import what TaskFlow would import when it is used first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports eventlet where there is one
        importlib.import_module("taskflow.engines.action_engine.engine")
        importlib.import_module("taskflow.persistence.backends.impl_sqlalchemy")


def linear(url: str, steps: int) -> list[Sample]:
    """Measure its serial engine."""
    return _measure(_own(url), steps, linear_flow)


def wide(url: str, steps: int, at_a_time: int) -> list[Sample]:
    """Measure its parallel engine, on a pool that is there already: its own costs a second."""
    with futures.ThreadPoolExecutor(at_a_time) as pool:
        return _measure(_own(url), steps, unordered_flow, engine="parallel", executor=pool)


def on_ours(url: str, steps: int) -> list[Sample]:
    """Measure its serial engine where our journal is the backend."""
    journal = Journal.open(url)
    try:
        return _measure(journal.backend, steps, linear_flow)
    finally:
        journal.close()


def _own(url: str) -> Any:
    backend = backends.fetch({"connection": url})
    with closing(backend.get_connection()) as connection:
        connection.upgrade()
    return backend


def _measure(backend: Any, steps: int, pattern: Any, **options: Any) -> list[Sample]:
    def once(count: int) -> Sample:
        flow = pattern.Flow("durable").add(*(Nothing(f"nothing-{n}") for n in range(count)))
        engine = engines.load(flow, backend=backend, **options)
        sample = measure(count, engine.run)
        if engine.storage.get_flow_state() != states.SUCCESS:
            raise BenchError(f"the flow is {engine.storage.get_flow_state()}")
        return sample

    once(WARM_UP)
    return [once(steps)]
