"""What placement policies are told of a host, and what they answered, until it changes.

A utilization is measured before anything is moved.  From then on it is predicted: an instance
takes along what it uses, which is its part of what is used on its host.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from upgrade_flows.planning.rolling.fleet import Cost
from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.plugins.base import HostLoad
from upgrade_flows.plugins.placement.shares import MEASURED

PARTS = 10**6  # of a unit of a resource class: integers add up to the same in any order


class Loads:
    """The loads of hosts, by number, as they will be when all that has a target is there."""

    def __init__(self, ground: Ground, used: list[int]) -> None:
        self._ground, self._used = ground, used
        self._demands: dict[int, dict[str, int]] = {}
        self._numbers: dict[tuple[Cost, int], int] = {}
        hosts = ground.hosts if ground.cost is not None else []
        self._answers: list[dict[int, float]] = [{} for _ in hosts]
        self._answered_at = [-1 for _ in hosts]
        self._gauges = [
            _Gauge(ground, measure, names)
            for measure, names in MEASURED.items()
            if any(measure in host.utilization for host in hosts)
        ]

    def cross(self, instance: int, source: int, target: int) -> None:
        """Take note that an instance's place is on another host."""
        if self._gauges:
            for gauge in self._gauges:
                gauge.drawn[source] -= gauge.draws[instance]
                gauge.drawn[target] += gauge.draws[instance]
            self._answers[source].clear()
            self._answers[target].clear()

    def asking(self, cost: Cost, need: int) -> Callable[[int], float]:
        """Return what tells the cost of a host, for a policy and a packed demand.

        It is infinite where there is no room; the policy is not asked then.
        """
        number = self._numbers.setdefault((cost, need), len(self._numbers))
        if need not in self._demands:
            self._demands[need] = self._amounts(need)
        demand = self._demands[need]
        used, answers, answered_at = self._used, self._answers, self._answered_at
        ground = self._ground

        def ask(host: int) -> float:
            known = answers[host]
            if answered_at[host] != used[host]:
                answered_at[host] = used[host]
                known.clear()
            answer = known.get(number)
            if answer is None:
                fits = ground.fits(used[host] + need, ground.capacity[host])
                answer = known[number] = cost(self.of(host), demand) if fits else math.inf
            return answer

        return ask

    def of(self, host: int) -> HostLoad:
        """Return what a policy is told of a host."""
        one = self._ground.hosts[host]
        utilization = dict(one.utilization)
        for gauge in self._gauges:
            if gauge.measure in utilization and gauge.capacity[host]:
                utilization[gauge.measure] = gauge.drawn[host] / PARTS / gauge.capacity[host]
        return HostLoad(one.name, one.capacity, self._amounts(self._used[host]), utilization)

    def _amounts(self, packed: int) -> dict[str, int]:
        found = {name: self._ground.amount(packed, name) for name in self._ground.shift}
        return {name: amount for name, amount in found.items() if amount}


class _Gauge:
    """How much of CPU or memory is used, in parts of the units of its resource classes.

    :ivar draws: by each instance: as much of its demand as on the average of its host; all of
        it where that is not measured.
    :ivar drawn: on each host, by what has its place there, and by the host itself if nothing
        was on it when it was measured.
    """

    def __init__(self, ground: Ground, measure: str, names: tuple[str, ...]) -> None:
        self.measure = measure
        self.capacity = [sum(host.capacity.get(name, 0) for name in names) for host in ground.hosts]
        self.draws = [0] * len(ground.instances)
        self.drawn = [0] * len(ground.hosts)
        for host, on in enumerate(ground.on):
            demands = {
                n: sum(ground.instances[n].demand.get(name, 0) for name in names) for n in on
            }
            allocated = sum(demands.values())
            measured = ground.hosts[host].utilization.get(measure)
            total = allocated * PARTS
            if measured is not None:
                total = round(measured * self.capacity[host] * PARTS)
            for n, demand in demands.items():
                self.draws[n] = total * demand // allocated if allocated else 0
            self.drawn[host] = sum(self.draws[n] for n in on) if allocated else total
