"""Placement."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from typing import Any

from keystoneauth1.adapter import Adapter

from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import concurrently, document, segment
from upgrade_flows.cloud.clients.session import Connection
from upgrade_flows.model.inventory import Room

NEWEST = (1, 39)


@translated("placement")
class Placement:
    """``api.Placement`` over Placement's API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _api(self) -> Adapter:
        data = self._connection.adapter("placement").get_endpoint_data()
        most = tuple(data.max_microversion or (1, 0)) if data else (1, 0)
        version = min((int(most[0]), int(most[1])), NEWEST)
        return self._connection.adapter(
            "placement", default_microversion=f"{version[0]}.{version[1]}"
        )

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
            capacity[root].update({kind: _capacity(one) for kind, one in inventories.items()})
            used[root].update(usages)
        return {name: Room(dict(capacity[name]), dict(used[name])) for name in capacity}

    def _read(self, provider: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
        path = f"/resource_providers/{segment(provider['uuid'])}"
        inventories = document(self._api, f"{path}/inventories")["inventories"]
        usages = document(self._api, f"{path}/usages")["usages"]
        return inventories, usages


def _capacity(inventory: dict[str, Any]) -> int:
    free = inventory["total"] - inventory.get("reserved", 0)
    return int(free * inventory.get("allocation_ratio", 1.0))
