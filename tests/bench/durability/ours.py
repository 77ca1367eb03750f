"""Ours: runs of one subject, through the engine that the command line uses.

This module is also the capability that is run: steps that do nothing, in a row or all at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskflow.patterns import linear_flow, unordered_flow

from tests.bench.durability.measure import Sample, measure
from tests.bench.errors import BenchError
from upgrade_flows.cloud.wait import SystemClock
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.request import Rollout, Scope, UpgradeRequest
from upgrade_flows.steps.base import Settings, Step

NAME = "durable"
WARM_UP = 20


class NoCloud:
    """A cloud that nothing is asked of."""

    id = "bench"
    clock = SystemClock()


class Nothing(Step):
    """Do nothing; there is nothing to revert."""

    def execute(self) -> dict[str, bool]:
        return {"ok": True}

    def revert(self, **_: object) -> None:
        return None


def change(ctx: Any, action: Action) -> Any:
    """Build a flow of steps that do not depend on each other, in a row or not."""
    pattern = unordered_flow if action.details["wide"] else linear_flow
    names = (f"{action.subject}-{index}" for index in range(action.details["steps"]))
    steps = (Nothing(ctx, action.subject, qualifier=name) for name in names)
    return pattern.Flow("durable").add(*steps)


def settle(ctx: Any, action: Action, outcome: dict[str, Any]) -> None:
    """Settle nothing."""


def linear(url: str, steps: int) -> list[Sample]:
    """Measure steps in a row, each of which is on record before the next one begins."""
    return _measure(url, steps, at_a_time=1)


def wide(url: str, steps: int, at_a_time: int) -> list[Sample]:
    """Measure steps of which some run together."""
    return _measure(url, steps, at_a_time)


def reverted(url: str, steps: int) -> list[Sample]:
    """Measure taking a run of steps in a row back."""
    return _measure(url, steps, at_a_time=1, back=True)


def _measure(url: str, steps: int, at_a_time: int, back: bool = False) -> list[Sample]:
    capability.MODULES[NAME] = __name__
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(url, Path(folder) / "key")
        engine = Engine(
            journal,
            NoCloud(),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            Settings(),
            steps_at_a_time=at_a_time,
        )

        def once(count: int) -> Sample:
            run_id = engine.start(_plan(count, at_a_time > 1))
            if not back:
                return measure(count, _checked(lambda: engine.run(run_id), "changed"))
            engine.run(run_id)
            return measure(count, _checked(lambda: engine.rollback(run_id), "undone"))

        once(WARM_UP)
        found = [once(steps), once(steps)]
        journal.close()
    return found


def _checked(work: Callable[[], str], wanted: str) -> Callable[[], None]:
    def checked() -> None:
        state = work()
        if state != wanted:
            raise BenchError(f"the run is {state}")

    return checked


def _plan(steps: int, wide: bool) -> Plan:
    details = {"steps": steps, "wide": wide}
    action = Action(NAME, "subject", "subject", NAME, details=details)
    request = UpgradeRequest(NAME, Scope(everything=True), rollout=Rollout(1, 0))
    wave = Wave("wave 1", (action,), 1, Gate(0))
    return Plan("plan", "2026-11-20T00:00:00Z", NoCloud.id, request, (wave,)).sealed()
