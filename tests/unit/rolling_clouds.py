"""Small random clouds and rules, which have everything that a planner can stumble over."""

from __future__ import annotations

import random
from collections import Counter

from upgrade_flows.planning.rolling import Canary, Fleet, Group, Host, Instance, Limits, Rules
from upgrade_flows.planning.rolling.fleet import POLICIES


def random_case(seed):
    """Return a fleet and rules."""
    chance = random.Random(seed)
    zones = chance.choice((1, 1, 2, 3))
    hosts = tuple(random_host(chance, n, zones) for n in range(chance.randint(2, 24)))
    instances = tuple(random_instances(chance, hosts))
    return Fleet(hosts, instances, tuple(random_groups(chance, instances))), random_rules(chance)


def random_host(chance, n, zones):
    size = chance.choice((8, 8, 16))
    return Host(
        name=f"h{n:02}",
        capacity={"VCPU": size, "MEMORY_MB": size * 1000, "GPU": chance.choice((0, 0, 2))},
        out_s=chance.choice((100, 200, 300)),
        az=f"az{n % zones}",
        cell=f"cell{chance.random() < 0.1}",
        aggregates=("fast",) if chance.random() < 0.3 else (),
        traits=("SSD",) if chance.random() < 0.5 else (),
        failure_domain=f"rack{n // 3}",
        upgraded=chance.random() < 0.1,
        excluded="it is broken" if chance.random() < 0.05 else "",
    )


def random_instances(chance, hosts):
    fill = chance.uniform(0.2, 0.8)
    count = 0
    for host in hosts:
        used = Counter()
        for _ in range(10):
            size = chance.choice((1, 1, 2, 4))
            demand = {"VCPU": size, "MEMORY_MB": size * 1000}
            if chance.random() < 0.2:
                demand["GPU"] = 1
            if any(
                used[k] + n > host.capacity[k] * (1 if k == "GPU" else fill)
                for k, n in demand.items()
            ):
                continue
            used.update(demand)
            movable = chance.random() > 0.02
            yield Instance(
                id=f"i{count:03}",
                host=host.name,
                demand=demand,
                move_s=chance.choice((10, 20, 50)),
                pause_s=0.5,
                az=host.az if chance.random() < 0.3 else "",
                required_traits=host.traits if chance.random() < 0.1 else (),
                forbidden_traits=("SSD",) if not host.traits and chance.random() < 0.1 else (),
                required_aggregates=host.aggregates if chance.random() < 0.1 else (),
                movable=movable,
                stops=not movable and chance.random() < 0.7,
                reason="" if movable else "a device",
            )
            count += 1


def random_groups(chance, instances):
    ids = [one.id for one in instances]
    by_host = {}
    for one in instances:
        by_host.setdefault(one.host, []).append(one.id)
    chance.shuffle(ids)
    for n in range(chance.randint(0, 6)):
        policy = chance.choice(POLICIES)
        pool = chance.choice(list(by_host.values())) if policy == "affinity" and by_host else ids
        members = tuple(m for m in pool[: chance.randint(1, 4)] if m in ids)
        for member in members:
            ids.remove(member)
        if members:
            yield Group(f"g{n}", policy, members)


def random_rules(chance):
    limits = Limits(
        out_of_service=chance.choice((1, 2, 3, 24)),
        migrations_per_host=chance.choice((1, 2, 4)),
        migrations_total=chance.choice((1, 3, 100)),
        out_per_az=chance.choice((None, None, 1, 2)),
        out_per_domain=chance.choice((None, None, 1, 2)),
        spare=chance.choice((0.0, 0.0, 0.1)),
        max_failures=chance.choice((0, 1, 5)),
    )
    canary = chance.choice(
        (Canary(), Canary(), Canary(1, 60), Canary(2, 0), Canary(0, 30, ("h00",)))
    )
    return Rules(limits, canary, chance.choice(("time", "moves")))


class RandomReality:
    """Migrations and upgrades that take longer or shorter, and fail now and then."""

    def __init__(self, seed, failing=0.0):
        self._chance = random.Random(seed)
        self._failing = failing

    def move(self, instance, attempt):
        return self._chance.randint(1, 90), self._chance.random() >= self._failing

    def upgrade(self, host):
        return self._chance.randint(50, 500), self._chance.random() >= self._failing
