"""Subjects whose steps each make one call to the fake cloud: no waiting, nothing but the engine."""

from __future__ import annotations

from typing import Any

from taskflow.patterns import linear_flow

from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.request import Rollout, Scope, UpgradeRequest
from upgrade_flows.steps.base import Step

NAME = "scale"


class ObserveServer(Step):
    """Look a server up, which takes no time on the fake cloud; there is nothing to revert."""

    def execute(self) -> dict[str, Any]:
        server = self.ctx.cloud.compute.server(self.subject)
        return {"status": server.status, "host": server.host}


def change(ctx: Any, action: Action) -> Any:
    """Build a line of steps, as many as the action says."""
    steps = (
        ObserveServer(ctx, action.subject, qualifier=f"{number:02}-{action.subject}")
        for number in range(action.details["steps"])
    )
    return linear_flow.Flow("scale").add(*steps)


def settle(ctx: Any, action: Action, outcome: dict[str, Any]) -> Any:
    """Return None: nothing is kept."""
    return None


def register() -> None:
    """Make the capability known to this process."""
    capability.MODULES[NAME] = __name__


def plan(cloud_id: str, servers: list[str], steps: int, at_a_time: int) -> Plan:
    """Make a plan over servers, in one wave."""
    actions = tuple(Action(NAME, s, s, "scale", details={"steps": steps}) for s in servers)
    request = UpgradeRequest(NAME, Scope(everything=True), rollout=Rollout(at_a_time, 0))
    waves = (Wave("all", actions, at_a_time, Gate()),)
    return Plan("scale", "2026-01-01T00:00:00Z", cloud_id, request, waves).sealed()
