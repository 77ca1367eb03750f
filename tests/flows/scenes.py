"""Small clouds in which an instance waits to be brought into its host's new VIF mode."""

from __future__ import annotations

import functools
import json
from typing import Any

from taskflow import exceptions
from taskflow import flow as tf_flow

from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan
from upgrade_flows.plugins import registry
from upgrade_flows.steps.base import Context
from upgrade_flows.steps.vault import Vault

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
PLUGINS = registry.load()
VAULT = Vault.temporary()

#: every strategy, with the kinds of root disk that it takes
CASES = {
    "rebind": ("rebind", False),
    "rebind-volume": ("rebind", True),
    "cold-migrate": ("cold-migrate", False),
    "shelve": ("shelve", False),
    "shelve-volume": ("shelve", True),
    "recreate": ("recreate", True),
    "snapshot": ("snapshot", False),
}


class Sabotage(Exception):
    """A step did its work, and then failed."""


def cloud_with(case: str, status: str = "ACTIVE", **more: Any) -> tuple[FakeCloud, str]:
    """Return a cloud whose hosts h1 and h2 have moved to the new mode, and its one instance.

    The instance has two NICs, a floating IP, a data volume, a key of its owner, user data,
    metadata and a tag.
    """
    _, volume_backed = CASES[case]
    cloud = FakeCloud(hosts=("h1", "h2", "h3"), mode=OLD)
    cloud.add_key("user-1", "key-1")
    server = cloud.add_server(
        "web",
        host="h1",
        boot_volume=volume_backed,
        nics=2,
        data_volumes=1,
        floating_ip=True,
        status=status,
        key="key-1",
        metadata={"role": "web"},
        tags=("blue",),
        user_data="I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo=",
        delete_on_termination=True,
        **more,
    )
    for host in ("h1", "h2"):
        cloud.set_mode(host, NEW)
    return cloud, server


def plan_for(case: str, cloud: FakeCloud, *servers: str) -> Plan:
    """Plan the case's strategy for some instances."""
    scope = Scope(servers=servers)
    request = UpgradeRequest("recreate", scope, Target(strategy=CASES[case][0]))
    plan = make_plan(request, collect(cloud, scope), PLUGINS)
    assert not plan.findings
    return plan


def action_for(case: str, cloud: FakeCloud, server: str) -> Action:
    """Plan the case's strategy for the instance, and return the one action."""
    (action,) = plan_for(case, cloud, server).actions
    return action


def context(cloud: FakeCloud, run_id: str = "run-1") -> Context:
    return Context(run_id, cloud, PLUGINS, vault=VAULT)


def build(case: str, cloud: FakeCloud, server: str) -> tf_flow.Flow:
    action = action_for(case, cloud, server)
    return capability.get("recreate").change(context(cloud), action)


def steps_of(flow: tf_flow.Flow) -> list[Any]:
    """Return all steps of a flow and of the flows in it."""
    found: list[Any] = []
    for node in flow:
        found.extend(steps_of(node) if isinstance(node, tf_flow.Flow) else [node])
    return found


def step_names(case: str) -> list[str]:
    return sorted(step.name for step in steps_of(build(case, *cloud_with(case))))


def sabotage(flow: tf_flow.Flow, victim: str, before_raising: Any = lambda: None) -> tf_flow.Flow:
    """Make one step do its work and then fail."""
    (step,) = [step for step in steps_of(flow) if step.name == victim]
    work = step.execute

    @functools.wraps(work)
    def then_fail(*args: Any, **kwargs: Any) -> Any:
        work(*args, **kwargs)
        before_raising()
        raise Sabotage(victim)

    step.execute = then_fail
    return flow


def told_apart_only_by_id(state: dict[str, Any], new: str, old: str) -> dict[str, Any]:
    """Return a cloud's state with a rebuilt instance under the id and user of its original.

    Its tags must name that user.

    The snapshot that it was rebuilt from, if any, is taken for the image that it had.
    """
    text = json.dumps(state).replace(new, old)
    images = state["images"]
    snapshots = [i for i, image in images.items() if "/snapshot-server:" in image["name"]]
    for snapshot in snapshots:
        (other,) = set(images) - set(snapshots)
        text = text.replace(snapshot, other)
    plain = json.loads(text)
    plain["images"] = {i: image for i, image in images.items() if i not in snapshots}
    plain["servers"][old]["user_id"] = "user-1"
    plain["servers"][old]["tags"].remove("upgrade-flows-owner=user-1")
    return dict(plain)


def reverted(engine: Any, name: str) -> Any:
    """Return what a step's revert returned, or None if it was not reverted."""
    try:
        return engine.storage.get_revert_result(name)
    except exceptions.NotFound:
        return None
