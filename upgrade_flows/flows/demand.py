"""What an instance asks of a host that it is placed on, from its flavor and image."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from upgrade_flows.model.inventory import Inventory, Server

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


def demand_of(
    inventory: Inventory,
    server: Server,
    classes: Collection[str],
    properties: Mapping[str, Any] | None = None,
) -> Demand:
    """Return what Nova asks Placement for when it looks for a host for a server.

    :param classes: the resource classes that hosts have; dedicated CPUs are of class ``PCPU``
        where there is such a class, else of class ``VCPU``.
    :param properties: of the image that it boots; by default of its own, where that is known.
    """
    specs = server.flavor.extra_specs
    if properties is None:
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
