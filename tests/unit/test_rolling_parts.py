"""Amounts, the pool of targets, and the bound."""

from __future__ import annotations

import random

import pytest

from tests.unit.rolling_story import host, instance, rules
from upgrade_flows.planning.rolling import Bound, Fleet, Ground, Host, Instance
from upgrade_flows.planning.rolling.amounts import Amounts
from upgrade_flows.planning.rolling.bound import lower_bound
from upgrade_flows.planning.rolling.targets import Pool


def bound(hosts, instances, given):
    return lower_bound(Ground(Fleet(tuple(hosts), tuple(instances)), given))


def test_amounts_are_compared_in_every_class():
    amounts = Amounts([{"VCPU": 1, "DISK_GB": 1}])
    have = amounts.pack({"VCPU": 4, "DISK_GB": 100})
    assert amounts.fits(amounts.pack({"VCPU": 4, "DISK_GB": 100}), have)
    assert not amounts.fits(amounts.pack({"VCPU": 5}), have)
    assert amounts.lacking(amounts.pack({"VCPU": 5, "DISK_GB": 101}), have) == ["DISK_GB", "VCPU"]
    assert amounts.lacking(amounts.pack({"DISK_GB": 101}), have) == ["DISK_GB"]


def test_a_share_is_rounded_up():
    amounts = Amounts([{"VCPU": 1}])
    assert amounts.amount(amounts.share(amounts.pack({"VCPU": 7}), 0.5), "VCPU") == 4


@pytest.mark.parametrize("seed", range(20))
def test_a_pool_finds_a_host_wherever_a_search_through_all_does(seed):
    chance = random.Random(seed)
    hosts = tuple(
        Host(f"h{n:02}", {"VCPU": chance.randint(1, 16), "DISK_GB": chance.randint(1, 50)}, 1)
        for n in range(30)
    )
    needs = [{"VCPU": chance.randint(0, 16), "DISK_GB": chance.randint(0, 50)} for _ in range(40)]
    ground = Ground(Fleet(hosts, (Instance("i", "h00", needs[0]),)), rules())
    pool = Pool(ground, [0] * len(hosts))
    inside = [n for n in range(30) if chance.random() < 0.7]
    for n in inside:
        pool.add(n)
    for need in needs:
        packed = ground.pack(need)
        fitting = {n for n in inside if ground.fits(packed, ground.capacity[n])}
        for roomiest in (True, False):
            found = pool.find((0,), packed, lambda to: True, roomiest)
            assert found in fitting or (found == -1 and not fitting)


def test_work_is_divided_by_the_hosts_that_may_be_out():
    assert bound([host(n) for n in "abcd"], [], rules(2)) == Bound(200, "work")


def test_a_host_is_out_for_its_drain_too():
    moving = [instance(str(n), "a", 1, move_s=10) for n in range(3)]
    assert bound([host("a"), host("b")], moving, rules(1, per_host=2)) == Bound(215, "work")


def test_no_more_hosts_can_be_out_than_can_be_spared():
    full = [instance(n, n, 2) for n in "abcd"]
    assert bound([host(n) for n in "abcd"], full, rules(4)) == Bound(220, "work")


def test_capacity_counts_what_is_free():
    full = [instance(n, n, 1) for n in "abc"]
    sized = [host("a", 4), host("b", 4), host("c", 2, out_s=1)]
    # 7 are free of 10; a and b are 8 together, out for 110 s each, and c is 2 for 11 s
    assert bound(sized, full, rules(3)) == Bound(129, "capacity", "VCPU")


def test_migrations_share_what_may_run_together():
    moving = [instance(str(n), "ab"[n % 2], 1, move_s=100) for n in range(4)]
    assert bound([host(n) for n in "abcd"], moving, rules(4, per_host=4, total=1)) == Bound(
        500, "bandwidth"
    )


def test_nothing_is_faster_than_its_longest_host():
    assert bound([host("a"), host("b", out_s=900)], [], rules(2)) == Bound(
        900, "critical path", "b"
    )


def test_nothing_to_do_takes_no_time():
    assert bound([host("a", upgraded=True)], [], rules()) == Bound(0, "nothing to do")
