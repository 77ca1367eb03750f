"""Which share of a host is allocated, or would be."""

from __future__ import annotations

import math
from collections.abc import Iterable

from upgrade_flows.plugins.base import HostLoad

#: the resource classes that each measured utilization is about
MEASURED: dict[str, tuple[str, ...]] = {"cpu": ("VCPU", "PCPU"), "memory": ("MEMORY_MB",)}


def share_of(host: HostLoad, demand: dict[str, int], name: str) -> float:
    """Return the share of one resource class that is allocated with ``demand`` on the host.

    From 0 to 1; infinite where the host has nothing of what is asked for.
    """
    amount = host.used.get(name, 0) + demand.get(name, 0)
    capacity = host.capacity.get(name, 0)
    return amount / capacity if capacity > 0 else math.inf if amount else 0.0


def scarcest(host: HostLoad, demand: dict[str, int], names: Iterable[str] = ()) -> float:
    """Return the largest share after placing, of the classes that are asked for.

    :param names: look at these classes only, and where none of them is asked for at the first.
        Without any: at all classes of the demand, and where it is empty at those of the host.
    """
    among = tuple(names)
    asked = [name for name in among or demand if demand.get(name)]
    return max(
        (share_of(host, demand, name) for name in asked or among[:1] or host.capacity),
        default=0.0,
    )


def together(amounts: dict[str, int], host: HostLoad, names: Iterable[str]) -> float:
    """Return which share of a host's capacity amounts are, several classes taken as one.

    0 where the host has none of them.
    """
    held = [name for name in names if host.capacity.get(name, 0) > 0]
    capacity = sum(host.capacity[name] for name in held)
    return sum(amounts.get(name, 0) for name in held) / capacity if capacity else 0.0
