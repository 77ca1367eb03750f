"""From a request and an inventory to a plan: assessed, put into waves, sealed."""

from __future__ import annotations

import datetime
import uuid

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.flows import capability
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.request import Rollout, UpgradeRequest
from upgrade_flows.planning import hosts
from upgrade_flows.steps.base import Plugins


def make_plan(
    request: UpgradeRequest,
    inventory: Inventory,
    plugins: Plugins,
    created: str | None = None,
    plan_id: str | None = None,
    tell: capability.Tell | None = None,
) -> Plan:
    """Work a request out for the cloud that the inventory was taken of.

    What the capability wants to know besides is read; nothing is changed.

    :param tell: is told what is being read, a line at a time.
    :raises RequestError: the request cannot be understood, or names what does not exist.
    """
    request.check()
    module = capability.get(request.capability)
    inventory = module.look(request, inventory, plugins, tell or (lambda _: None))
    found = module.assess(request, inventory, plugins)
    if module.rolls:
        made = hosts.schedule(request, inventory, found, plugins)
    else:
        made = hosts.Scheduled(waves=waves(found.actions, request.rollout))
    now = created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Plan(
        id=plan_id or uuid.uuid4().hex[:12],
        created=now,
        cloud_id=inventory.cloud_id,
        request=request,
        waves=made.waves,
        findings=(*found.findings, *made.findings),
        unchanged=found.unchanged,
        schedule=made.schedule,
    ).sealed()


def waves(actions: tuple[Action, ...], rollout: Rollout) -> tuple[Wave, ...]:
    """Put the canaries into a first wave, one at a time, and the rest into a second."""
    gate = Gate(max_failures=rollout.max_failures)
    canaries, rest = actions[: rollout.canaries], actions[rollout.canaries :]
    made = []
    if canaries:
        made.append(Wave("canaries", canaries, 1, Gate(max_failures=0), canary=True))
    if rest:
        made.append(Wave("all" if not canaries else "rest", rest, rollout.at_a_time, gate))
    return tuple(made)


def verify(cloud: Cloud, plugins: Plugins, action: Action) -> str | None:
    """Return why an action must not run as planned: what of its subject has moved; or None."""
    return capability.get(action.capability).moved(cloud, plugins, action)
