"""Everything that there is in the lab's cloud, to be compared with itself before and after."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any

from tests.functional.instances import changes
from tests.lab import api

#: what is said of each thing, by its kind: what a service changes by itself is left out
SERVER = (
    "name", "status", "OS-EXT-STS:task_state", "OS-EXT-STS:power_state", "OS-EXT-SRV-ATTR:host",
    "tags", "locked", "locked_reason", "metadata", "key_name", "tenant_id", "user_id",
)  # fmt: skip
PORT = (
    "name", "network_id", "fixed_ips", "project_id", "device_id", "device_owner", "status",
    "binding:host_id", "binding:vif_type", "security_groups", "dns_name", "tags",
)  # fmt: skip
FLOATING = ("floating_ip_address", "fixed_ip_address", "port_id", "status")
VOLUME = ("name", "status", "size", "bootable", "metadata", "volume_type")
SNAPSHOT = ("name", "status", "volume_id", "metadata")
IMAGE = ("name", "status", "owner", "visibility")
GROUP = ("name", "members")

ALL = {"all_tenants": 1, "limit": 1000}


def listing() -> dict[str, dict[str, Any]]:
    """Return all things of every project, by kind and id.

    Ports go by their MACs: one that Nova deletes when it unplugs it comes back under another id.
    """
    cloud = api.shared("lab-admin")
    nova, neutron, cinder = cloud.compute, cloud.network, cloud.block_storage
    calls: dict[str, Callable[[], dict[str, Any]]] = {
        "servers": lambda: _of(SERVER, _get(nova, "servers/detail", "2.100", **ALL)),
        "groups": lambda: _of(GROUP, _get(nova, "os-server-groups", "2.64", all_projects=1)),
        "ports": lambda: _of((*PORT, "id"), _get(neutron, "ports"), "mac_address"),
        "floating_ips": lambda: _of(FLOATING, _get(neutron, "floatingips")),
        "volumes": lambda: _of(VOLUME, _get(cinder, "volumes/detail", **ALL)),
        "snapshots": lambda: _of(SNAPSHOT, _get(cinder, "snapshots/detail", **ALL)),
        "attachments": lambda: _attachments(_get(cinder, "attachments/detail", "3.66", **ALL)),
        "images": lambda: _of(IMAGE, _get(cloud.image, "images", limit=1000)),
        "keypairs": _keypairs,
        "allocations": _allocations,
    }
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        made = {kind: pool.submit(call) for kind, call in calls.items()}
    found = {kind: future.result() for kind, future in made.items()}
    macs = {port.pop("id"): mac for mac, port in found["ports"].items()}
    for floating in found["floating_ips"].values():
        floating["port_id"] = macs.get(floating["port_id"], floating["port_id"])
    return found


def difference(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> dict[str, tuple[Any, Any]]:
    """Return what has gone, come or changed between two listings, by its path."""
    return changes(before, after)


def _get(service: Any, path: str, version: str | None = None, **query: Any) -> list[Any]:
    words = {"microversion": version} if version else {}
    answer = service.get(f"/{path}", params=query, **words)
    assert answer.status_code == 200, (path, answer.text)
    return next(value for value in answer.json().values() if isinstance(value, list))


def _of(fields: tuple[str, ...], things: Iterable[Any], key: str = "id") -> dict[str, Any]:
    return {thing[key]: {name: thing.get(name) for name in fields} for thing in things}


def _attachments(things: Iterable[Any]) -> dict[str, Any]:
    """Return what Cinder knows of who holds which volume; a new attempt has another id."""
    return {f"{one['volume_id']} at {one['instance']}": one["status"] for one in things}


def _keypairs() -> dict[str, Any]:
    """Return the keys of both users: what is borrowed is the administrator's for a moment."""
    return {
        f"{name}/{key.name}": key.public_key
        for name in ("lab-admin", "lab-demo")
        for key in api.shared(name).compute.keypairs()
    }


def _allocations() -> dict[str, Any]:
    """Return who holds what on every resource provider."""
    placement = api.shared("lab-admin").placement
    found = {}
    for provider in _get(placement, "resource_providers"):
        path = f"/resource_providers/{provider['uuid']}/allocations"
        for consumer, held in placement.get(path).json()["allocations"].items():
            found[f"{consumer} at {provider['name']}"] = held["resources"]
    return found
