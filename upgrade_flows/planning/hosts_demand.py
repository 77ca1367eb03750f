"""What instances ask of hosts that they are moved to, huge pages included where they are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from upgrade_flows.flows.demand import SMALL_KIB, Demand, demand_of, page_kib
from upgrade_flows.model.inventory import Inventory, Room, Server
from upgrade_flows.model.report import Finding, Severity

HUGEPAGES = "HUGEPAGES_"


class Demands:
    """What servers ask for, huge pages included where all hosts that matter tell theirs."""

    def __init__(self, inventory: Inventory, hosts: Collection[str]) -> None:
        self._inventory, self._hosts = inventory, hosts
        self._classes = {kind for room in inventory.rooms.values() for kind in room.capacity}
        self._pages = {
            host: {int(kib): int(count) for kib, count in facts.get("hugepages", {}).items()}
            for host, facts in inventory.facts.items()
            if "hugepages" in facts
        }
        self._sizes = {
            kib
            for host in hosts
            for kib, count in self._pages.get(host, {}).items()
            if count and kib > SMALL_KIB
        }
        self._silent = sorted(host for host in hosts if host not in self._pages)
        self._made: dict[object, Demand] = {}
        self._unsure: set[str] = set()

    def of(self, server: Server) -> Demand:
        """Return what a server asks for."""
        specs = tuple(sorted(server.flavor.extra_specs.items()))
        key = (specs, server.image_id, tuple(server.resources.items()))
        if key not in self._made:
            self._made[key] = self._with_pages(server)
        if (made := self._made[key]).pages:
            self._unsure.add(server.id)
        return made

    def with_pages(self, host: str, room: Room) -> Room:
        """Return the room of a host with its huge pages, and those that its servers have."""
        capacity, used = dict(room.capacity), dict(room.used)
        for kib in self._sizes:
            kind = f"{HUGEPAGES}{kib}"
            capacity[kind] = self._pages.get(host, {}).get(kib, 0)
            servers = self._inventory.servers_on(host)
            used[kind] = sum(self.of(server).amounts.get(kind, 0) for server in servers)
        return Room(capacity, used)

    def findings(self) -> list[Finding]:
        """Return what could not be reckoned with."""
        if not self._unsure:
            return []
        silent = ", ".join(self._silent[:5]) + (" and others" if len(self._silent) > 5 else "")
        why = f"how many {silent} have is not known" if silent else "of which size is open"
        message = (
            f"huge pages are asked for by {len(self._unsure)} instances, and {why}: a migration"
            " may be refused for want of them"
        )
        remedy = "plan with hosts of which the plugin tells 'hugepages'"
        return [Finding("UF-HP-004", "huge pages", Severity.WARNING, message, remedy)]

    def _with_pages(self, server: Server) -> Demand:
        """Return a demand with pages as a resource class; ``pages`` stays where it cannot be."""
        made = demand_of(self._inventory, server, self._classes)
        if not made.pages or (made.pages == "any" and not self._sizes and not self._silent):
            return dataclasses.replace(made, pages="")
        kib = None if self._silent else page_kib(made.pages, self._sizes)
        if kib is None:
            return made
        count = -(-server.flavor.memory_mb * 1024 // kib)
        amounts = {**made.amounts, f"{HUGEPAGES}{kib}": count}
        return dataclasses.replace(made, amounts=amounts, pages="")
