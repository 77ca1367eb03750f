"""Small clouds with an instance that is to be captured, and what is planned for it."""

from __future__ import annotations

from typing import Any

from taskflow import flow as tf_flow

from tests.flows.scenes import PLUGINS, context
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan

#: every way that a capture goes: (root is a volume, with a data volume, stopped, booted)
CASES = {
    "image": (False, False, False, True),
    "image-data-stopped": (False, True, True, True),
    "volume": (True, False, False, True),
    "volume-data-stopped": (True, True, True, True),
    "not-tried": (True, True, False, False),
}


def cloud_with(case: str, status: str = "ACTIVE") -> tuple[FakeCloud, str]:
    """Return a cloud and its one instance, which has a NIC and two data volumes."""
    cloud = FakeCloud(hosts=("h1", "h2"))
    server = cloud.add_server(
        "web", host="h1", boot_volume=CASES[case][0], data_volumes=2, status=status
    )
    return cloud, server


def data_volumes(cloud: FakeCloud, server: str) -> list[str]:
    """Return the ids of the data volumes, by device."""
    held = cloud.direct.compute.attachments(server)
    data = [volume for volume in held if volume.boot_index != 0]
    return [volume.volume_id for volume in sorted(data, key=lambda volume: volume.device)]


def plan_for(case: str, cloud: FakeCloud, server: str, **options: Any) -> Plan:
    """Plan the capture of the instance."""
    _, data, stop, verify = CASES[case]
    chosen = data_volumes(cloud, server)[:1] if data else []
    said = {"name": "golden", "volumes": chosen, "stop": stop, "verify": verify, **options}
    request = UpgradeRequest("capture", Scope(servers=(server,)), Target(options=said))
    return make_plan(request, collect(cloud, request.scope), PLUGINS)


def action_for(case: str, cloud: FakeCloud, server: str, **options: Any) -> Action:
    """Plan the capture of the instance, and return the one action."""
    (action,) = plan_for(case, cloud, server, **options).actions
    return action


def build(case: str, cloud: FakeCloud, server: str, **options: Any) -> tf_flow.Flow:
    action = action_for(case, cloud, server, **options)
    return capability.get("capture").change(context(cloud), action)
