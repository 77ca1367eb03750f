"""Instances on the lab, made as their owner makes them, and what their services say of them."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.lab import api, seed

#: what a service changes by itself: not part of who an instance is
VOLATILE = frozenset(
    [
        "updated",
        "updated_at",
        "revision_number",
        "OS-SRV-USG:launched_at",
        "OS-SRV-USG:terminated_at",
        "links",
        "progress",
        "created_at",
        "attached_at",
        "binding:vif_details.bound_drivers",
        "OS-EXT-SRV-ATTR:launch_index",
        "volume_host_attr",
        "attachment_id",
        "bdm_uuid",
    ]
)


@dataclass(frozen=True)
class Wish:
    """An instance to be made."""

    name: str
    host: str
    volume_backed: bool = False
    nics: int = 1
    data_volume: bool = False
    floating_ip: bool = False
    status: str = "ACTIVE"
    flavor: str = "m1.tiny"
    image: str = seed.IMAGE
    networks: tuple[str, ...] = (seed.NETWORK,)
    config_drive: bool = False


def owner() -> Any:
    """Return the connection of the instances' owner, who is allowed to name hosts here."""
    admin = api.shared("lab-admin")
    user, project = admin.identity.find_user("demo"), admin.identity.find_project("demo")
    admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("admin"))
    return api.connect("lab-demo")


def make(wishes: Iterable[Wish]) -> dict[str, str]:
    """Make the instances, side by side; return their ids by name."""
    cloud = owner()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        return dict(pool.map(lambda wish: (wish.name, _make(cloud, wish)), wishes))


def _make(cloud: Any, wish: Wish) -> str:
    body: dict[str, Any] = {
        "name": wish.name,
        "flavor_id": cloud.compute.find_flavor(wish.flavor).id,
        "host": wish.host,
        "key_name": seed.KEYPAIR,
        "metadata": {"role": wish.name},
        "tags": ["blue", "night"],
        "description": f"the instance {wish.name}",
        "user_data": "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo=",
        "networks": [
            {"uuid": cloud.network.find_network(wish.networks[nic % len(wish.networks)]).id}
            for nic in range(wish.nics)
        ],
    }
    if wish.config_drive:
        body["config_drive"] = True
    image = cloud.image.find_image(wish.image)
    if wish.volume_backed:
        root = {
            "boot_index": 0,
            "uuid": image.id,
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 1,
            "delete_on_termination": True,
        }
        body |= {"image_id": "", "block_device_mapping": [root]}
    else:
        body["image_id"] = image.id
    server = cloud.compute.create_server(**body)
    reaches(cloud, server.id, "ACTIVE")
    if wish.data_volume:
        volume = cloud.block_storage.create_volume(name=f"{wish.name}-data", size=1)
        cloud.block_storage.wait_for_status(volume, "available", wait=120, interval=0.5)
        cloud.compute.create_volume_attachment(
            server.id, volume_id=volume.id, tag="data", delete_on_termination=True
        )
        cloud.block_storage.wait_for_status(volume, "in-use", wait=120, interval=0.5)
    if wish.floating_ip:
        port = next(iter(cloud.network.ports(device_id=server.id)))
        external = cloud.network.find_network(seed.EXTERNAL)
        made = cloud.network.create_ip(floating_network_id=external.id, port_id=port.id)
        address = made.floating_ip_address
        _until(lambda: address in str(cloud.compute.get_server(server.id).addresses), address)
    if wish.status == "SHUTOFF":
        cloud.compute.stop_server(server.id)
        reaches(cloud, server.id, "SHUTOFF")
    return str(server.id)


def reaches(cloud: Any, server_id: str, status: str, seconds: float = 600) -> Any:
    """Wait for a status, with no task; a bounded, coarse loop of the tests' own."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        server = cloud.compute.get_server(server_id)
        if server.status == status and not server.task_state:
            return server
        if server.status == "ERROR":
            raise AssertionError(f"{server.name} is in ERROR: {server.fault}")
        time.sleep(0.3)
    raise AssertionError(f"{server_id} is {server.status}/{server.task_state}, wanted {status}")


def _until(done: Any, what: str, seconds: float = 300) -> None:
    """Wait until Nova has heard of something; bounded."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"{what}: Nova has not heard of it in {seconds:.0f} s"
        time.sleep(0.3)


def truth(server_id: str) -> dict[str, Any]:
    """Return all that the services say of an instance, read without any code under test."""
    cloud = api.shared("lab-admin")

    def get(service: Any, path: str, version: str | None = None) -> Any:
        answer = service.get(path, microversion=version) if version else service.get(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    server = get(cloud.compute, f"/servers/{server_id}", "2.100")["server"]
    volumes = get(cloud.compute, f"/servers/{server_id}/os-volume_attachments", "2.89")
    ports = get(cloud.network, f"/ports?device_id={server_id}")["ports"]
    fips = {
        port["id"]: sorted(
            ip["floating_ip_address"]
            for ip in get(cloud.network, f"/floatingips?port_id={port['id']}")["floatingips"]
        )
        for port in ports
    }
    return _settled(
        {
            "server": server,
            "volumes": {v["volumeId"]: v for v in volumes["volumeAttachments"]},
            "ports": {port["id"]: port for port in ports},
            "floating_ips": fips,
        }
    )


def _settled(value: Any, path: str = "") -> Any:
    if isinstance(value, dict):
        return {
            key: _settled(item, f"{path}.{key}")
            for key, item in sorted(value.items())
            if key not in VOLATILE and f"{path}.{key}".rpartition(".ports.")[2] not in VOLATILE
        }
    if isinstance(value, list):
        return [_settled(item, path) for item in value]
    return value


def changes(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return each leaf that differs, by its path."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(set(before) | set(after)):
            found |= changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        return found
    return {} if before == after else {path: (before, after)}
