"""The shortest time that any schedule needs: the largest of four simple bounds.

Two rules of the game make them hold.  A host is out of service from the moment its drain begins
until it is back, and instances leave a host only by its drain; so every host that is upgraded is
out for its drain and its upgrade.  A drain begins only where everybody who is confined to a set
of hosts has room on those of the set that stay in service, spare capacity kept aside.

work
    Time out of service of all hosts, divided by how many may be out together: as many as the
    limits say, or as free capacity allows to do without.
capacity
    Capacity times time out of service, divided by the capacity that is free.
bandwidth
    Time of all migrations, divided by how many may run together; the last host is out after it.
critical path
    The longest host; where there are canaries, after the fastest canary and its bake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.reaches import reaches_of, spared
from upgrade_flows.planning.rolling.result import Bound


def lower_bound(ground: Ground) -> Bound:
    """Return the largest of the four bounds."""
    out = _times_out(ground)
    if not out:
        return Bound(0, "nothing to do")
    return max(
        (
            *_work(ground, out),
            *_capacity(ground, out),
            *_bandwidth(ground, out),
            _path(ground, out),
        ),
        key=lambda bound: bound.seconds,
    )


def _times_out(ground: Ground) -> dict[int, int]:
    """Return how long each host to upgrade is out of service at least."""
    at_a_time = ground.rules.limits.migrations_per_host
    out: dict[int, int] = {}
    for host, planned in enumerate(ground.planned):
        if planned:
            times = [ground.move_s[n] for n in ground.on[host] if ground.movable[n]]
            drain = max(max(times, default=0), -(-sum(times) // at_a_time))
            out[host] = drain + ground.hosts[host].out_s
    return out


def _work(ground: Ground, out: dict[int, int]) -> Iterable[Bound]:
    limits = ground.rules.limits
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for host in out:
        cell, az = ground.places[host]
        groups["",].append(host)
        groups["az", cell, az].append(host)
        groups["domain", ground.hosts[host].failure_domain].append(host)
    allowed = {"": limits.out_of_service, "az": limits.out_per_az, "domain": limits.out_per_domain}
    for key, hosts in groups.items():
        most = allowed[key[0]]
        if most is not None and key != ("domain", ""):
            seconds = -(-sum(out[host] for host in hosts) // min(most, limits.out_of_service))
            yield Bound(seconds, "work", " ".join(filter(None, key)))
    for number, hosts, where in reaches_of(ground, out):
        most = spared(ground, number, hosts)
        if 0 < most < limits.out_of_service:
            yield Bound(-(-sum(out[host] for host in hosts) // most), "work", where)


def _capacity(ground: Ground, out: dict[int, int]) -> Iterable[Bound]:
    for number, hosts, where in reaches_of(ground, out):
        reach = ground.reaches[number]
        nets = [(ground.net(host), out[host]) for host in hosts]
        for name in ground.shift:
            free = ground.amount(reach.capacity, name) - ground.amount(reach.required, name)
            total = sum(ground.amount(net, name) * time for net, time in nets)
            if free > 0:
                yield Bound(-(-total // free), "capacity", f"{where} {name}".strip())


def _bandwidth(ground: Ground, out: dict[int, int]) -> Iterable[Bound]:
    """Yield the bound of each place; in all they share what may run together."""
    limits = ground.rules.limits
    total = sum(
        ground.move_s[n]
        for n, host in enumerate(ground.home)
        if ground.movable[n] and ground.planned[host]
    )
    last = min(ground.hosts[host].out_s for host in out)
    yield Bound(-(-total // limits.migrations_total) + last, "bandwidth")


def _path(ground: Ground, out: dict[int, int]) -> Bound:
    longest = max(out, key=lambda n: out[n])
    best = Bound(out[longest], "critical path", ground.hosts[longest].name)
    for place, first in ground.canaries.items():
        others = [out[host] for host in out if ground.places[host] == place and host not in first]
        seconds = max(out[host] for host in first)
        if others:
            seconds += ground.rules.canary.bake_s + max(others)
        if seconds > best.seconds:
            best = Bound(seconds, "critical path", " ".join(["canaries", *filter(None, place)]))
    return best
