"""Sets of hosts that instances are confined to, and how many of their hosts can be spared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from upgrade_flows.planning.rolling.ground import Ground


def spared(ground: Ground, number: int, hosts: list[int]) -> int:
    """Return how many hosts of a set can be out together before something lacks capacity."""
    reach = ground.reaches[number]
    nets = [ground.net(host) for host in hosts]
    least = len(hosts)
    for name in ground.shift:
        free = ground.amount(reach.capacity, name) - ground.amount(reach.required, name)
        count = 0
        for amount in sorted(ground.amount(net, name) for net in nets):
            free -= amount
            if free < 0:
                break
            count += 1
        least = min(least, count)
    return least


def reaches_of(ground: Ground, out: Iterable[int]) -> Iterable[tuple[int, list[int], str]]:
    """Yield each set of hosts that instances cannot leave, those to upgrade, and its name."""
    by_kind: dict[int, list[int]] = defaultdict(list)
    for host in out:
        by_kind[ground.kind[host]].append(host)
    for number, reach in enumerate(ground.reaches):
        kinds = [kind for kind in by_kind if reach.mask >> kind & 1]
        if kinds:
            zones = sorted({ground.kinds[kind][1] for kind in kinds})
            hosts = [host for kind in kinds for host in by_kind[kind]]
            yield number, hosts, ", ".join(filter(None, zones))
