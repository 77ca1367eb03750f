"""A toy capability and a toy cloud, for tests that are about the engine and nothing else.

The cloud is a file of lines, ``<step> <verb>``, so that a killed process leaves its deeds behind.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from taskflow.patterns import graph_flow, linear_flow

from upgrade_flows.cloud.wait import SystemClock
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.request import Rollout, Scope, UpgradeRequest
from upgrade_flows.steps.base import Settings, Step, residue


class Clock(SystemClock):
    """A clock whose sleeps take no time."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


class ToyCloud:
    """Remembers what was done, and does as ``orders`` says: ``{(step, verb): callable}``."""

    id = "toy"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self.clock = Clock()
        self.orders: dict[tuple[str, str], Any] = {}

    def do(self, step: str, verb: str) -> None:
        """Write a deed down, then follow the order for it, if there is one."""
        with self.path.open("a") as handle:
            handle.write(f"{step} {verb}\n")
        order = self.orders.get((step, verb))
        if order:
            order()

    @property
    def deeds(self) -> list[str]:
        """Everything that was done, in order."""
        return self.path.read_text().splitlines()


class Do(Step):
    """Do one thing."""

    def execute(self) -> Any:
        self.ctx.cloud.do(self.name, "do")
        return self.ctx.cloud.orders.get((self.name, "return"))

    def revert(self, **_: object) -> Any:
        try:
            self.ctx.cloud.do(self.name, "undo")
        except ConnectionError as exc:
            return residue(self, self.ctx.cloud.do, (self.name, "undo"), exc)
        return None


class Observe(Do):
    """Provide what was there."""

    default_provides = "before"

    def execute(self) -> Any:
        super().execute()
        return {"status": "ACTIVE"}


class Restore(Do):
    """Put back what was there, in the revert."""

    def execute(self, before: dict[str, Any]) -> Any:
        return super().execute()

    def revert(self, before: dict[str, Any], **_: object) -> Any:
        assert before == {"status": "ACTIVE"}
        return super().revert()


class Verify(Do):
    """Provide the outcome."""

    default_provides = "outcome"

    def execute(self) -> Any:
        super().execute()
        return {"measured_downtime_s": 1.5}


def change(ctx: Any, action: Action) -> Any:
    """Build ``observe ── restore ─┬─ left, right ─┬─ verify``."""
    subject = action.subject
    if action.details.get("steps"):
        names = [f"{subject}-{index}" for index in range(action.details["steps"])]
        return linear_flow.Flow("long").add(*(Do(ctx, subject, qualifier=n) for n in names))
    restore, verify = Restore(ctx, subject), Verify(ctx, subject)
    left = Do(ctx, subject, qualifier=f"left-{subject}")
    right = Do(ctx, subject, qualifier=f"right-{subject}")
    flow = graph_flow.Flow("toy").add(Observe(ctx, subject), restore, left, right, verify)
    for side in (left, right):
        flow.link(restore, side)
        flow.link(side, verify)
    return flow


def settle(ctx: Any, action: Action, outcome: dict[str, Any]) -> Any:
    """Build two steps; none for a subject whose details say so."""
    if action.details.get("no_settle"):
        return None
    return linear_flow.Flow("settle").add(
        Do(ctx, action.subject, qualifier=f"delete-{action.subject}"),
        Do(ctx, action.subject, qualifier=f"forget-{action.subject}"),
    )


def make_plan(
    *subjects: str, at_a_time: int = 1, max_failures: int = 0, details: dict[str, Any] | None = None
) -> Plan:
    """Make a plan with one wave."""
    actions = tuple(Action("toy", s, s, "toy", details=details or {}) for s in subjects)
    wave = Wave("wave 1", actions, at_a_time, Gate(max_failures))
    request = UpgradeRequest(
        "toy", Scope(everything=True), rollout=Rollout(at_a_time, max_failures)
    )
    return Plan("plan", "2026-11-20T00:00:00Z", "toy", request, (wave,)).sealed()


def open_journal(folder: Path) -> Journal:
    """Open the journal of a test."""
    return Journal.open(f"sqlite:///{folder}/journal.db")


def make_engine(journal: Journal, cloud: Any, **options: Any) -> Engine:
    """Make an engine that knows the toy capability."""
    capability.MODULES["toy"] = __name__
    return Engine(journal, cloud, None, Settings(), **options)  # type: ignore[arg-type]


def main(folder: str, doom: str, work: str, run_id: str) -> None:
    """Be the process that gets killed: ``doom`` is the deed that it does not survive."""
    cloud = ToyCloud(Path(folder) / "cloud")
    step, _, verb = doom.partition(" ")

    def die() -> None:
        os.kill(os.getpid(), 9)
        time.sleep(60)

    cloud.orders[step, verb] = die
    engine = make_engine(open_journal(Path(folder)), cloud)
    getattr(engine, work)(run_id)


if __name__ == "__main__":
    import sys

    from tests.unit import engine_toy

    engine_toy.main(*sys.argv[1:])
