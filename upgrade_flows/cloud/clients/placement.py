"""Placement."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter, defaultdict
from typing import Any

from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter

from upgrade_flows import errors
from upgrade_flows.cloud.api import Provider, Stock
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import concurrently, document, joined, segment
from upgrade_flows.cloud.clients.session import Connection
from upgrade_flows.model.inventory import Room

NEWEST = (1, 39)
TYPES_SINCE = (1, 38)
CONSUMER_TYPE = "UPGRADE_FLOWS"


@translated("placement")
class Placement:
    """``api.Placement`` over Placement's API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _version(self) -> tuple[int, int]:
        data = self._connection.adapter("placement").get_endpoint_data()
        most = tuple(data.max_microversion or (1, 0)) if data else (1, 0)
        return min((int(most[0]), int(most[1])), NEWEST)

    @functools.cached_property
    def _api(self) -> Adapter:
        major, minor = self._version
        return self._connection.adapter("placement", default_microversion=f"{major}.{minor}")

    def rooms(self) -> dict[str, Room]:
        """Return what each compute host has and what is taken, by host name.

        Two calls for each resource provider; what child providers (NUMA nodes, devices) have is
        added to their root.
        """
        providers = document(self._api, "/resource_providers")["resource_providers"]
        names = {item["uuid"]: item["name"] for item in providers}
        read = concurrently(self._read, providers)
        capacity: dict[str, Counter[str]] = defaultdict(Counter)
        used: dict[str, Counter[str]] = defaultdict(Counter)
        for provider, (inventories, usages) in zip(providers, read, strict=True):
            root = names.get(provider.get("root_provider_uuid"), provider["name"])
            capacity[root].update({kind: _stock(one).capacity for kind, one in inventories.items()})
            used[root].update(usages)
        return {name: Room(dict(capacity[name]), dict(used[name])) for name in capacity}

    def providers(self, host: str) -> tuple[Provider, ...]:
        """Return the resource provider of a compute host and its parts (1.14).

        Three calls for each of them.
        """
        return tuple(concurrently(self._provider, self._tree(host)))

    def consumers(self, host: str) -> dict[str, dict[str, int]]:
        """Return who holds what on a compute host and its parts; one call for each of them."""
        held: dict[str, Counter[str]] = defaultdict(Counter)
        for provider in self._tree(host):
            for consumer, one in self._held(provider).items():
                held[consumer].update(one["resources"])
        return {consumer: dict(resources) for consumer, resources in held.items()}

    def holdings(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return who holds what on every compute host; one call for each provider."""
        providers = document(self._api, "/resource_providers")["resource_providers"]
        names = {item["uuid"]: item["name"] for item in providers}
        read = concurrently(self._held, providers)
        held: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for provider, allocations in zip(providers, read, strict=True):
            root = names.get(provider.get("root_provider_uuid"), provider["name"])
            for consumer, one in allocations.items():
                held[root][consumer].update(one["resources"])
        return {
            host: {consumer: dict(kinds) for consumer, kinds in consumers.items()}
            for host, consumers in held.items()
        }

    def allocations(self, consumer: str) -> dict[str, dict[str, int]]:
        """Return what a consumer holds, by the id of the resource provider."""
        found = document(self._api, f"/allocations/{segment(consumer)}")["allocations"]
        return {provider: dict(one["resources"]) for provider, one in found.items()}

    def hold(
        self, consumer: str, host: str, resources: dict[str, int], project_id: str, user_id: str
    ) -> None:
        """Take room on a compute host for a new consumer, of a type of ours (1.38).

        What a part of the host has is taken of that part.
        """
        body: dict[str, Any] = {
            "allocations": self._split(host, resources),
            "consumer_generation": None,
            "project_id": project_id,
            "user_id": user_id,
        }
        if self._version >= TYPES_SINCE:
            body["consumer_type"] = CONSUMER_TYPE
        if body["allocations"]:
            self._api.put(f"/allocations/{segment(consumer)}", json=body)

    def release(self, consumer: str) -> None:
        """Give back all that a consumer holds."""
        with contextlib.suppress(ksa.NotFound):
            self._api.delete(f"/allocations/{segment(consumer)}")

    def holder(self, consumer: str) -> tuple[str, str] | None:
        """Return project and user of a consumer (1.12); None if it holds nothing."""
        found = document(self._api, f"/allocations/{segment(consumer)}")
        if not found["allocations"]:
            return None
        return found["project_id"], found["user_id"]

    def _held(self, provider: dict[str, Any]) -> dict[str, Any]:
        path = f"/resource_providers/{segment(provider['uuid'])}/allocations"
        return dict(document(self._api, path)["allocations"])

    def _split(self, host: str, resources: dict[str, int]) -> dict[str, Any]:
        """Return what is taken of each provider: the first that has room, or that has any."""
        tree = self._tree(host)
        read = concurrently(self._read, tree)
        taken: dict[str, dict[str, dict[str, int]]] = {}
        for kind, amount in sorted(resources.items()):
            if not amount:
                continue
            free = {
                provider["uuid"]: _stock(has[kind]).capacity - used.get(kind, 0)
                for provider, (has, used) in zip(tree, read, strict=True)
                if kind in has
            }
            if not free:
                raise errors.Conflict(f"placement: hold: {host} has no {kind}")
            roomy = (uuid for uuid, left in free.items() if left >= amount)
            chosen = next(roomy, next(iter(free)))
            taken.setdefault(chosen, {"resources": {}})["resources"][kind] = amount
        return taken

    def _tree(self, host: str) -> list[dict[str, Any]]:
        """Return the provider of a name, and all that are parts of it."""
        path = "/resource_providers"
        named = document(self._api, joined(path, name=host))["resource_providers"]
        if not named:
            raise errors.NotFound(f"placement: there is no resource provider {host}")
        root = named[0]["uuid"]
        tree = document(self._api, joined(path, in_tree=root))["resource_providers"]
        return sorted(tree, key=lambda item: (item["uuid"] != root, item["name"]))

    def _provider(self, item: dict[str, Any]) -> Provider:
        path = f"/resource_providers/{segment(item['uuid'])}"
        inventories = document(self._api, f"{path}/inventories")["inventories"]
        return Provider(
            id=item["uuid"],
            name=item["name"],
            parent=item.get("parent_provider_uuid") or "",
            stocks={kind: _stock(one) for kind, one in inventories.items()},
            traits=tuple(sorted(document(self._api, f"{path}/traits")["traits"])),
            aggregates=tuple(sorted(document(self._api, f"{path}/aggregates")["aggregates"])),
        )

    def _read(self, provider: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
        path = f"/resource_providers/{segment(provider['uuid'])}"
        inventories = document(self._api, f"{path}/inventories")["inventories"]
        usages = document(self._api, f"{path}/usages")["usages"]
        return inventories, usages


def _stock(inventory: dict[str, Any]) -> Stock:
    return Stock(
        total=int(inventory["total"]),
        reserved=int(inventory.get("reserved", 0)),
        allocation_ratio=float(inventory.get("allocation_ratio", 1.0)),
    )
