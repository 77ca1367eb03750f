"""Small clouds with an instance that is to be updated live, and what must hold at every moment."""

from __future__ import annotations

import dataclasses
from typing import Any

from taskflow import flow as tf_flow

from tests.flows.scenes import PLUGINS, VAULT
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action
from upgrade_flows.plugins.registry import Registry
from upgrade_flows.plugins.workload.simulated import SimulatedWorkload
from upgrade_flows.steps.base import Context, Settings

#: every way that a live update goes: (root is a volume, what it boots, how it is cut, another host)
CASES = {
    "image-hot": (False, "image", "hot", False),
    "image-cold": (False, "image", "cold", True),
    "volume-hot": (True, "image", "hot", True),
    "volume-update": (True, "update", "cold", False),
    "moving-others": (False, "image", "hot", False),
    "restarting": (False, "image", "cold", False),
}
SERIAL = Settings(calls_at_a_time=1)


def cloud_with(case: str, made_by_nova: bool = True) -> tuple[FakeCloud, str]:
    """Return a cloud with one instance that serves, and a neighbour in the case that needs it.

    The instance has two NICs, a floating IP, a data volume, a key of its owner, user data,
    metadata and a tag.
    """
    volume_backed = CASES[case][0]
    cloud = FakeCloud(hosts=("h1", "h2", "h3"))
    cloud.add_key("user-1", "key-1")
    server = cloud.add_server(
        "web",
        host="h1",
        boot_volume=volume_backed,
        nics=2,
        data_volumes=1,
        floating_ip=True,
        key="key-1",
        metadata={"role": "web"},
        tags=("blue",),
        user_data="I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo=",
        delete_on_termination=True,
        preexisting_ports=not made_by_nova,
    )
    cloud.guests[server] = {"serves": True}
    if case == "moving-others":
        cloud.add_server("neighbour", host="h1")
    cloud.add_image("debian-new")
    return cloud, server


def action_for(case: str, cloud: FakeCloud, server: str, **details: Any) -> Action:
    """Return the action of the case, as the planner would make it."""
    volume_backed, boots, cut, away = CASES[case]
    direct = cloud.direct
    now = direct.compute.server(server)
    held = {one.volume_id: one for one in direct.compute.attachments(server)}
    root = next((one for one in held.values() if one.boot_index == 0), None)
    ports = list(direct.network.ports(device_id=server))
    image = next(one for one in direct.images.images() if one.name == "debian-new")
    flavor = next(one for one in direct.compute.flavors() if one.name == now.flavor.name)
    others = [one for one in direct.compute.servers() if one.name == "neighbour"]
    target = "h2" if away else "h1"
    plan: dict[str, Any] = {
        "host": "h1",
        "target_host": target,
        "policy": "striping",
        "flavor_id": flavor.id,
        "project_id": now.project_id,
        "user_id": now.user_id,
        "status": "ACTIVE",
        "image": image.id if boots == "image" else "",
        "boot": "volume" if volume_backed else "image",
        "root": root
        and {
            "volume_id": root.volume_id,
            "size_gb": direct.volumes.volume(root.volume_id).size_gb,
            "volume_type": direct.volumes.volume(root.volume_id).volume_type,
            "delete_on_termination": root.delete_on_termination,
            "device": root.device,
        },
        "update": boots == "update",
        "resources": dict(now.resources),
        "moves": [
            {"server": one.id, "name": one.name, "source": "h1", "target": "h3"} for one in others
        ],
        "volumes": [one.volume_id for one in held.values() if one.boot_index != 0],
        "ports": [
            {
                "id": port.id,
                "mac": port.mac_address,
                "network_id": port.network_id,
                "addresses": [pair[1] for pair in port.fixed_ips],
            }
            for port in ports
        ],
        "health_network": ports[0].network_id,
        "group": "",
        "key_name": now.key_name,
        "workload": {"plugin": "simulated", "settings": {}},
        "cut": cut,
        "restart": case == "restarting",
        "ready": [],
        "probes": [],
        "grace_s": 0,
        "room_s": 60,
        "ready_s": 60,
        "answer_s": 60,
    }
    return Action(
        capability="live_update",
        subject=server,
        name="web",
        strategy="live-update",
        declares=DECLARES,
        details={**plan, **details},
    )


DECLARES = (
    "id", "name", "user_id", "image_id", "host", "availability_zone", "volumes", "ports",
    "vif_modes", "locked", "locked_reason", "tags",
)  # fmt: skip


def registry_for(cloud: FakeCloud, way: str) -> Registry:
    """Return the plugins with one that looks after the guests of this cloud."""
    return dataclasses.replace(PLUGINS, workload={"simulated": SimulatedWorkload(cloud, way)})


def context(cloud: FakeCloud, action: Action, run_id: str = "20261128-abcdef") -> Context:
    plugins = registry_for(cloud, action.details["cut"])
    return Context(run_id, cloud, plugins, settings=SERIAL, vault=VAULT)


def build(cloud: FakeCloud, action: Action) -> tf_flow.Flow:
    return capability.get("live_update").change(context(cloud, action), action)


def serving(cloud: FakeCloud) -> list[str]:
    """Return the servers that serve now: they say so, run, and hold ports."""
    direct = cloud.direct
    found = []
    for server in direct.compute.servers():
        runs = server.power_state == 1 and list(direct.network.ports(device_id=server.id))
        if cloud.guests.get(server.id, {}).get("serves") and runs:
            found.append(server.id)
    return found


def as_before(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with ports, and what names them, told by MAC rather than by id."""
    macs = {port_id: port["mac_address"] for port_id, port in state["ports"].items()}
    return renamed(state, macs)


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return plain JSON with other words for some strings, also where they are keys."""
    if isinstance(value, dict):
        return {names.get(key, key): renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
