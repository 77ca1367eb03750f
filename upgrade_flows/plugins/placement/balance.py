"""Policies that even out CPU or memory: by what is allocated, or by what is measured."""

from __future__ import annotations

from upgrade_flows.plugins.base import HostLoad, PlacementPlugin
from upgrade_flows.plugins.placement.shares import MEASURED, scarcest, together


class AllocationBalance(PlacementPlugin):
    """The host goes first of which the least share would be allocated.

    :cvar measure: ``cpu`` or ``memory``.
    """

    measure: str

    def cost(self, host: HostLoad, demand: dict[str, int]) -> float:
        """Return the share that would be allocated, from 0 to 1."""
        return scarcest(host, demand, MEASURED[self.measure])

    def lacks(self, host: HostLoad) -> str | None:
        names = MEASURED[self.measure]
        if any(host.capacity.get(name) for name in names):
            return None
        return f"the capacity of {host.name} in {' and '.join(names)} is not known"


class CpuAllocationBalance(AllocationBalance):
    """By VCPU; by PCPU for what has CPUs of its own."""

    measure = "cpu"


class MemoryAllocationBalance(AllocationBalance):
    """By MEMORY_MB."""

    measure = "memory"


class UtilizationBalance(PlacementPlugin):
    """The host goes first that would be used least.

    An instance is expected to use as much of what it is allocated as those do that are on the
    host; on an empty host, all of it.  A host that is not measured counts as if all that is
    allocated there were used.

    :cvar measure: ``cpu`` or ``memory``.
    """

    measure: str

    def cost(self, host: HostLoad, demand: dict[str, int]) -> float:
        """Return the share that would be used, from 0 to about 1."""
        names = MEASURED[self.measure]
        allocated = together(host.used, host, names)
        measured = host.utilization.get(self.measure, allocated)
        ratio = measured / allocated if allocated else 1.0
        return measured + together(demand, host, names) * ratio

    def lacks(self, host: HostLoad) -> str | None:
        if self.measure in host.utilization:
            return None
        return f"the {self.measure} utilization of {host.name} is not known"


class CpuUtilizationBalance(UtilizationBalance):
    """By the CPU time that is used."""

    measure = "cpu"


class MemoryUtilizationBalance(UtilizationBalance):
    """By the memory that is used."""

    measure = "memory"
