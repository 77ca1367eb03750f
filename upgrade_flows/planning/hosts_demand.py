"""What an instance asks of a host that it is moved to, from its flavor and image."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from dataclasses import dataclass

from upgrade_flows.model.inventory import Inventory, Room, Server
from upgrade_flows.model.report import Finding, Severity

HUGEPAGES = "HUGEPAGES_"
SMALL_KIB = 4
_RESOURCES = re.compile(r"resources[0-9A-Za-z_-]*:(?P<kind>[A-Z0-9_]+)")
_TRAIT = re.compile(r"trait[0-9A-Za-z_-]*:(?P<name>[A-Z0-9_]+)")
_UNITS = {"": 1, "KB": 1, "KIB": 1, "MB": 1024, "MIB": 1024, "GB": 1024**2, "GIB": 1024**2}


@dataclass(frozen=True)
class Demand:
    """What a host must have: amounts by resource class, and traits that it has or has not.

    :param pages: what ``hw:mem_page_size`` asks for where that is not small pages; else empty.
    """

    amounts: dict[str, int]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    pages: str = ""


def demand_of(inventory: Inventory, server: Server, classes: Collection[str]) -> Demand:
    """Return what Nova asks Placement for when it looks for a host for a server.

    :param classes: the resource classes that hosts have; dedicated CPUs are of class ``PCPU``
        where there is such a class, else of class ``VCPU``.
    """
    specs = server.flavor.extra_specs
    image = inventory.image(server.image_id) if server.image_id else None
    properties = image.properties if image else {}
    amounts = dict(server.resources)
    policy = specs.get("hw:cpu_policy") or properties.get("hw_cpu_policy") or "shared"
    if policy == "dedicated" and "PCPU" in classes:
        amounts["PCPU"] = amounts.pop("VCPU")
        if specs.get("hw:emulator_threads_policy") == "isolate":
            amounts["PCPU"] += 1
    for key, value in specs.items():
        found = _RESOURCES.fullmatch(key)
        if found and value.isdecimal():
            amounts[found["kind"]] = int(value)
    asked = [(_trait(key), str(value)) for key, value in (*specs.items(), *properties.items())]
    return Demand(
        amounts={kind: amount for kind, amount in sorted(amounts.items()) if amount},
        required=tuple(sorted({name for name, value in asked if name and value == "required"})),
        forbidden=tuple(sorted({name for name, value in asked if name and value == "forbidden"})),
        pages=_pages(
            str(specs.get("hw:mem_page_size") or properties.get("hw_mem_page_size") or "")
        ),
    )


def page_kib(pages: str, sizes: Collection[int]) -> int | None:
    """Return the size in KiB of the pages that are asked for, or None where it is open.

    :param sizes: of the huge pages that hosts have.
    """
    if pages in ("large", "any"):
        return next(iter(sizes)) if len(sizes) == 1 else None
    found = re.fullmatch(r"(\d+)\s*([A-Z]*)", pages.upper())
    unit = _UNITS.get(found[2]) if found else None
    return int(found[1]) * unit if found and unit else None


def _trait(key: str) -> str:
    found = _TRAIT.fullmatch(key)
    return found["name"] if found else ""


def _pages(said: str) -> str:
    """Return what is asked for where it is huge pages: ``any`` takes them where there are some."""
    if said in ("", "small") or page_kib(said, ()) == SMALL_KIB:
        return ""
    return said


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
