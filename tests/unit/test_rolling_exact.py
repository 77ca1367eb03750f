"""Clouds of up to twelve hosts, solved exactly: how good bound and plan are."""

from __future__ import annotations

import random

import pytest

from tests.unit.rolling_exact import solve
from upgrade_flows.planning.rolling import Fleet, Group, Host, Instance, Limits, Rules, plan
from upgrade_flows.planning.rolling.check import check

pytest.importorskip("ortools", reason="needs the solver: pip install ortools")

SEEDS = (0, 1, 2, 4, 5, 6, 10, 14, 18, 19, 20, 21)
SECONDS = 3.0


def small(seed):
    """Return a cloud of 4 to 12 hosts."""
    chance = random.Random(seed)
    count = chance.randint(4, 12)
    zones = chance.choice((1, 1, 2))
    hosts = tuple(
        Host(
            f"h{n:02}",
            {"VCPU": 8, "MEMORY_MB": 8000},
            chance.choice((100, 150, 200)),
            az=f"az{n % zones}",
            traits=("SSD",) if chance.random() < 0.4 else (),
        )
        for n in range(count)
    )
    instances = tuple(fill(chance, hosts))
    fleet = Fleet(hosts, instances, groups(chance, instances))
    out, total = chance.choice((1, 2, 3)), chance.choice((2, 4, 100))
    return fleet, Rules(Limits(out, 2, total, spare=chance.choice((0, 0, 0.1))))


def fill(chance, hosts):
    count = 0
    for host in hosts:
        used = 0
        for _ in range(chance.randint(0, 3)):
            size = chance.choice((1, 2, 3))
            if used + size <= 6:
                used += size
                yield Instance(
                    f"i{count:02}",
                    host.name,
                    {"VCPU": size, "MEMORY_MB": size * 1000},
                    chance.choice((20, 40, 60)),
                    az=host.az if chance.random() < 0.4 else "",
                    required_traits=host.traits if chance.random() < 0.2 else (),
                )
                count += 1


def groups(chance, instances):
    order = list(instances)
    chance.shuffle(order)
    found = []
    for n in range(2):
        members = {}
        for one in order[n * 4 : n * 4 + 3]:
            members.setdefault(one.host, one.id)
        if len(members) > 1:
            found.append(Group(f"g{n}", "anti-affinity", tuple(members.values())))
    return tuple(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_schedule_beats_the_bound_and_the_plan_is_near_the_best(seed):
    fleet, rules = small(seed)
    roll = plan(fleet, rules)
    assert check(fleet, rules, roll) == []
    assert roll.left == {}
    exact = solve(fleet, rules, roll.makespan, SECONDS)
    assert exact.status != "INFEASIBLE"  # the plan is a solution of the exact model
    best = exact.best or roll.makespan  # no answer within the time is no failure
    assert roll.bound.seconds <= best
    assert exact.bound <= roll.makespan <= best * 1.2


def test_a_host_that_is_left_for_lack_of_room_cannot_be_upgraded_by_anyone():
    fleet, rules = small(3)
    roll = plan(fleet, rules)
    assert roll.left == {"h05": "without it too little MEMORY_MB, VCPU would be left in service"}
    assert solve(fleet, rules, 4000, 30.0).status == "INFEASIBLE"
