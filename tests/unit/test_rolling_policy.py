"""A placement policy says where instances go; everything else still holds."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter

import pytest

from tests.unit.rolling_clouds import RandomReality, random_case
from tests.unit.rolling_story import host, instance, rules
from upgrade_flows.errors import RequestError
from upgrade_flows.planning.rolling import Canary, Facts, Fleet, Ground, Group, MoveTo, Run, plan
from upgrade_flows.planning.rolling.check import check
from upgrade_flows.planning.rolling.simulate import play
from upgrade_flows.planning.rolling.state import State
from upgrade_flows.planning.rolling.targets import LOOKS
from upgrade_flows.plugins.placement import balance, filling

POLICIES = {
    "striping": filling.Striping(),
    "packing": filling.Packing(),
    "cpu_allocation_balance": balance.CpuAllocationBalance(),
    "memory_allocation_balance": balance.MemoryAllocationBalance(),
    "cpu_utilization_balance": balance.CpuUtilizationBalance(),
    "memory_utilization_balance": balance.MemoryUtilizationBalance(),
}
STRIPING, PACKING = POLICIES["striping"].cost, POLICIES["packing"].cost
BY_CPU = POLICIES["cpu_utilization_balance"].cost
SEEDS = range(30)


def ready(name, vcpus=10, **more):
    """Return a host that is upgraded already."""
    return host(name, vcpus, upgraded=True, **more)


def loaded(name, vcpus):
    """Return instances that keep so many VCPUs of a host busy."""
    return [instance(f"{name}-load", name, vcpus)] if vcpus else []


def targets(hosts, instances, cost, given=None, groups=()):
    """Plan, let the validator look at it, and return where each instance is moved."""
    given = given or rules()
    fleet = Fleet(tuple(hosts), tuple(instances), tuple(groups))
    roll = plan(fleet, given, cost=cost, variant=0)
    assert check(fleet, given, roll) == []
    return {move.instance: move.target for move in roll.moves}


def measured(fleet, seed):
    """Return a fleet most of whose hosts have been measured."""
    chance = random.Random(seed)
    return dataclasses.replace(
        fleet,
        hosts=tuple(
            dataclasses.replace(
                one,
                utilization={"cpu": chance.random(), "memory": chance.random()}
                if chance.random() < 0.8
                else {},
            )
            for one in fleet.hosts
        ),
    )


FOUR = [ready("a"), ready("b"), ready("c"), ready("d"), host("z", 10)]
LOADS = [*loaded("a", 6), *loaded("b", 2), *loaded("c", 8), *loaded("d", 4)]


@pytest.mark.parametrize(
    ("cost", "takes"),
    [
        (STRIPING, {"1": "b", "2": "b", "3": "d"}),
        (PACKING, {"1": "c", "2": "a", "3": "a"}),
        (None, {"1": "b", "2": "b", "3": "b"}),
    ],
)
def test_of_four_hosts_the_one_takes_an_instance_that_the_policy_says(cost, takes):
    going = [instance(name, "z") for name in "123"]
    assert targets(FOUR, [*LOADS, *going], cost) == takes


def test_striping_spreads_what_would_else_go_to_one_host_as_it_is():
    going = [instance(name, "z") for name in "1234"]
    assert targets(FOUR, going, None) == dict.fromkeys("1234", "a")
    assert targets(FOUR, going, STRIPING) == {"1": "a", "2": "b", "3": "c", "4": "d"}
    assert targets(FOUR, going, PACKING) == dict.fromkeys("1234", "a")


def test_an_upgraded_host_goes_before_one_that_is_not_whatever_the_policy_says():
    hosts = [ready("full"), host("y", 10, out_s=900), host("z", 10)]
    given = rules(2, canary=Canary(hosts=("z",)))
    found = targets(hosts, [*loaded("full", 6), instance("1", "z")], STRIPING, given)
    assert found == {"1": "full"}


def test_each_host_may_have_the_policy_of_its_group():
    going = [instance("1", "y"), instance("2", "z")]
    hosts = [*FOUR, host("y", 10)]
    found = targets(hosts, [*LOADS, *going], {"y": STRIPING, "z": PACKING})
    assert found == {"1": "b", "2": "c"}


def test_a_policy_is_no_reason_to_leave_a_host_as_it_is():
    hosts = [ready("a", 6), ready("b", 6), host("z", 12)]
    going = [instance(f"{n}", "z", vcpus) for n, vcpus in enumerate((3, 3, 2, 2, 2))]
    alone = targets(hosts, going[:4], STRIPING)
    assert alone == {"0": "a", "1": "b", "2": "a", "3": "b"}
    found = targets(hosts, going, STRIPING)
    assert found == {"0": "a", "1": "a", "2": "b", "3": "b", "4": "b"}


def test_server_groups_hold_under_a_policy():
    groups = [Group("g", "anti-affinity", ("1", "2")), Group("h", "affinity", ("3", "4"))]
    going = [instance(name, "z") for name in "1234"]
    found = targets(FOUR, going, PACKING, groups=groups)
    assert found["1"] != found["2"]
    assert found["3"] == found["4"]


def test_an_instance_that_could_not_be_moved_is_sent_where_the_policy_says_next():
    fleet = Fleet(tuple(FOUR), (*LOADS, instance("1", "z")))
    run = Run(Ground(fleet, rules(), cost=PACKING))
    assert run.decide(0)[1:] == [MoveTo("1", "z", "c")]
    run.move_failed("1", 7)
    assert run.decide(7) == [MoveTo("1", "z", "a")]


def test_a_process_that_goes_on_from_facts_asks_the_policy_too():
    fleet = Fleet(tuple(FOUR), (*LOADS, instance("1", "z"), instance("2", "z")))
    ground = Ground(fleet, rules(), cost=STRIPING)
    run = Run(ground)
    run.decide(0)
    run.moved("1", 10)
    run.decide(10)
    facts = dataclasses.replace(run.facts(), meant={}, running={})
    again = Run(Ground(fleet, rules(), cost=STRIPING), facts, 10)
    assert again.decide(10) == [MoveTo("2", "z", "b")]
    packed = Run(Ground(fleet, rules(), cost=PACKING), facts, 10)
    assert packed.decide(10) == [MoveTo("2", "z", "c")]


def test_what_an_instance_uses_is_expected_to_go_with_it():
    idle = host("idle", 10, utilization={"cpu": 0.1})
    busy = host("busy", 10, utilization={"cpu": 0.9})
    free = [ready(name, utilization={"cpu": 0.0}) for name in "ab"]
    guests = [instance(f"i{n}", "idle", 5) for n in (1, 2)] + [instance("b1", "busy", 10)]
    ground = Ground(Fleet((*free, idle, busy), tuple(guests)), rules(2), cost=BY_CPU)
    state = State(ground)
    number, of = ground.number, ground.number_of
    assert state.loads.of(number["idle"]).utilization == {"cpu": 0.1}
    state.reserve(of["i1"], number["a"])
    state.reserve(of["b1"], number["b"])
    assert state.loads.of(number["a"]).utilization == {"cpu": 0.05}
    assert state.loads.of(number["a"]).used == {"VCPU": 5}
    assert state.loads.of(number["b"]).utilization == {"cpu": 0.9}
    state.unreserve(of["b1"])
    assert state.loads.of(number["b"]).utilization == {"cpu": 0.0}


def test_what_is_expected_is_the_same_in_a_process_that_goes_on():
    hosts = [ready("a", utilization={"cpu": 0.0}), host("z", utilization={"cpu": 0.5})]
    fleet = Fleet(tuple(hosts), (instance("1", "z"), instance("2", "z")))
    run = Run(Ground(fleet, rules(), cost=BY_CPU))
    run.decide(0)
    run.moved("1", 10)
    run.decide(10)
    again = Run(Ground(fleet, rules(), cost=BY_CPU), run.facts(), 10)
    expected = run.state.loads.of(0)
    assert expected.utilization == {"cpu": 0.2}
    assert again.state.loads.of(0) == expected


def test_an_answer_is_asked_for_again_when_a_load_has_changed():
    ground = Ground(Fleet(tuple(FOUR), (instance("1", "z"),)), rules(), cost=STRIPING)
    state = State(ground)
    ask = state.loads.asking(STRIPING, ground.need[0])
    assert ask(0) == 0.2
    state.reserve(0, 0)
    assert ask(0) == 0.4


def test_of_many_hosts_a_bounded_number_is_looked_at_from_both_ends():
    asked = []

    def cost(load, demand):
        asked.append(load.name)
        return STRIPING(load, demand)

    hosts = [ready(f"h{n:03}", 100) for n in range(1, 301)]
    loads = [instance(f"l{n:03}", f"h{n:03}", n % 97 + 1) for n in range(1, 301)]
    found = targets([*hosts, host("z", 100)], [*loads, instance("1", "z")], cost)
    assert found == {"1": "h097"}
    assert len(asked) <= LOOKS
    packed = targets([*hosts, host("z", 100)], [*loads, instance("1", "z")], PACKING)
    assert packed == {"1": "h096"}


def test_a_negative_utilization_is_refused():
    fleet = Fleet((host("a", utilization={"cpu": -0.1}),))
    with pytest.raises(RequestError, match="host a: a utilization is negative"):
        plan(fleet, rules())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_by_a_policy_breaks_nothing_and_is_the_same_every_time(policy, seed):
    fleet, given = random_case(seed)
    fleet = measured(fleet, seed)
    roll = plan(fleet, given, cost=POLICIES[policy].cost)
    assert check(fleet, given, roll) == []
    assert plan(fleet, given, cost=POLICIES[policy].cost) == roll


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_by_a_policy_breaks_nothing_and_goes_on_from_its_facts(policy, seed):
    fleet, given = random_case(seed)
    fleet = measured(fleet, seed)
    cost = POLICIES[policy].cost
    whole = plan(fleet, given, reality=RandomReality(seed, 0.1), cost=cost)
    assert check(fleet, given, whole, predicted=False) == []
    run = Run(Ground(fleet, given, whole.variant, cost))
    play(run, RandomReality(seed, 0.1), until=whole.makespan // 2)
    facts = Facts.from_plain(json.loads(json.dumps(run.facts().to_plain())))
    roll = plan(fleet, given, facts, whole.makespan // 2, variant=whole.variant, cost=cost)
    assert check(fleet, given, roll, predicted=False) == []
    assert set(facts.moves) <= set(roll.moves)


def test_a_policy_leaves_hardly_more_hosts_as_they_are_than_no_policy():
    left = Counter()
    for seed in range(100):
        fleet, given = random_case(seed)
        left["none"] += len(plan(fleet, given).left)
        for name in ("striping", "packing"):
            left[name] += len(plan(fleet, given, cost=POLICIES[name].cost).left)
    assert left["striping"] <= left["none"] * 1.05
    assert left["packing"] <= left["none"] * 1.05
