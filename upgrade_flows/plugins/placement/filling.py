"""Policies that look at how full hosts are: spread instances, or keep hosts free."""

from __future__ import annotations

from upgrade_flows.plugins.base import HostLoad, PlacementPlugin
from upgrade_flows.plugins.placement.shares import scarcest


class Filling(PlacementPlugin):
    """What both have in common: they look at whatever is scarcest after placing."""

    def lacks(self, host: HostLoad) -> str | None:
        if any(host.capacity.values()):
            return None
        return f"the capacity of {host.name} is not known"


class Striping(Filling):
    """Spread instances over the hosts: the emptiest one is next.

    The cost is the largest share that would be allocated, of the resource classes that are
    asked for: from 0 to 1.
    """

    def cost(self, host: HostLoad, demand: dict[str, int]) -> float:
        return scarcest(host, demand)


class Packing(Filling):
    """Fill one host after the other: the one on which least would stay free is next.

    The cost is the share that would stay free of what is then scarcest: from 0 to 1.
    """

    def cost(self, host: HostLoad, demand: dict[str, int]) -> float:
        return 1.0 - scarcest(host, demand)
