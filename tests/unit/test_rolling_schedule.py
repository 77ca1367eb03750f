"""Small clouds whose whole schedule can be read."""

from __future__ import annotations

import pytest

from tests.unit.rolling_story import host, instance, planned, rules, story
from upgrade_flows.errors import RequestError
from upgrade_flows.planning.rolling import Bound, Canary, Fleet, Group, plan


def hosts(names, **more):
    return [host(name, **more) for name in names]


def one_each(names):
    return [instance(f"i{name}", name) for name in names]


def test_the_first_host_moves_to_an_old_one_and_the_others_to_upgraded_ones():
    roll = planned(hosts("abc"), one_each("abc"), rules())
    assert story(roll) == [
        "a 0-10-110 ia>b@0-10",
        "b 110-130-230 ia>a@110-120 ib>a@120-130",
        "c 230-240-340 ic>b@230-240",
    ]
    assert roll.makespan == 340
    assert roll.bound == Bound(330, "work")
    assert roll.twice == {"ia": "no room on upgraded hosts when a was drained"}


def test_an_empty_host_is_first_and_then_nothing_moves_twice():
    roll = planned(hosts("abc"), [instance("1", "b"), *one_each("bc")], rules())
    assert story(roll) == [
        "a 0-0-100",
        "b 100-120-220 1>a@100-110 ib>a@110-120",
        "c 220-230-330 ic>b@220-230",
    ]
    assert roll.twice == {}
    assert roll.moves_per_instance == 1
    assert roll.gap == 0


def test_a_host_begins_as_soon_as_another_is_back_and_not_when_a_wave_is():
    slow = host("a", out_s=500)
    roll = planned([slow, *hosts("bcd")], [], rules(2))
    assert story(roll) == ["a 0-0-500", "b 0-0-100", "c 100-100-200", "d 200-200-300"]


def test_time_is_bought_with_second_moves_and_moves_with_time():
    quick = planned(hosts("abcdef"), one_each("abcdef"), rules(6))
    frugal = planned(hosts("abcdef"), one_each("abcdef"), rules(6, prefer="moves"))
    assert (quick.makespan, quick.moved.total()) == (230, 9)
    assert (frugal.makespan, frugal.moved.total()) == (460, 7)


def test_migrations_in_all_are_limited():
    moving = [instance("1", "a", 1), instance("2", "a", 1), instance("3", "b", 1)]
    roll = planned(hosts("abcd"), moving, rules(2, per_host=2, total=1))
    assert story(roll) == [
        "c 0-0-100",
        "d 0-0-100",
        "a 100-120-220 1>c@100-110 2>c@110-120",
        "b 120-130-230 3>c@120-130",
    ]


def test_canaries_bake_before_others_begin():
    canary = Canary(each=1, bake_s=50)
    roll = planned(hosts("abcd"), [instance("1", "a")], rules(4, canary=canary))
    assert story(roll) == [
        "b 0-0-100",
        "a 150-160-260 1>b@150-160",
        "c 150-150-250",
        "d 150-150-250",
    ]
    assert roll.bound == Bound(260, "critical path", "canaries")


def test_every_zone_has_its_own_canaries():
    zones = [host("a", az="1"), host("b", az="1"), host("c", az="2", out_s=300), host("d", az="2")]
    roll = planned(zones, [], rules(4, canary=Canary(hosts=("a", "c"), bake_s=50)))
    assert story(roll) == ["c 0-0-300", "a 0-0-100", "b 150-150-250", "d 350-350-450"]


def test_a_failure_domain_has_no_more_hosts_out_than_allowed():
    racks = [host(name, failure_domain=f"r{n // 2}") for n, name in enumerate("abcd")]
    roll = planned(racks, [], rules(4, out_per_domain=1))
    assert story(roll) == ["a 0-0-100", "c 0-0-100", "b 100-100-200", "d 100-100-200"]


def test_a_zone_has_no_more_hosts_out_than_allowed():
    zones = [host(name, az=f"z{n // 2}") for n, name in enumerate("abcd")]
    roll = planned(zones, [], rules(4, out_per_az=1))
    assert story(roll) == ["a 0-0-100", "c 0-0-100", "b 100-100-200", "d 100-100-200"]


def test_members_of_an_anti_affinity_group_never_share_a_host():
    apart = Group("g", "anti-affinity", ("ia", "ib"))
    roll = planned(hosts("abc"), one_each("ab"), rules(), [apart])
    assert story(roll) == [
        "c 0-0-100",
        "a 100-110-210 ia>c@100-110",
        "b 210-220-320 ib>a@210-220",
    ]


def test_members_of_an_affinity_group_go_to_the_same_host():
    wide = [host("a", 4), host("b", 6), host("c", 2)]
    moving = [instance("1", "b"), instance("2", "b"), instance("3", "b")]
    roll = planned(wide, moving, rules(), [Group("g", "affinity", ("1", "3"))])
    assert {move.target for move in roll.moves if move.instance in ("1", "3")} == {"a"}
    assert {move.target for move in roll.moves if move.instance == "2"} == {"c"}


def test_a_soft_policy_is_followed_where_there_is_a_choice():
    apart = Group("g", "soft-anti-affinity", ("1", "2"))
    done = [host("a", upgraded=True), host("b", upgraded=True)]
    roll = planned([*done, host("c")], [instance("1", "a"), instance("2", "c")], rules(), [apart])
    assert [(move.instance, move.target) for move in roll.moves] == [("2", "b")]


def test_a_soft_policy_does_not_hold_up_an_upgrade():
    apart = Group("g", "soft-anti-affinity", ("1", "2"))
    done = host("a", upgraded=True)
    roll = planned([done, host("c")], [instance("1", "a"), instance("2", "c")], rules(), [apart])
    assert [(move.instance, move.target) for move in roll.moves] == [("2", "a")]


def test_pins_traits_and_aggregates_are_kept():
    some = [
        host("a", az="1", traits=("SSD",), aggregates=("gold",)),
        host("b", az="1", traits=("SSD",)),
        host("c", az="1", traits=("SSD",), aggregates=("gold",)),
        host("d", az="2", traits=("SSD",), aggregates=("gold",)),
        host("e", az="1", aggregates=("gold",)),
    ]
    picky = instance("1", "a", az="1", required_traits=("SSD",), required_aggregates=("gold",))
    roll = planned(some, [picky], rules())
    assert [move.target for move in roll.moves] == ["c"]


def test_a_host_with_an_instance_that_cannot_move_is_left_and_says_why():
    fixed = instance("1", "a", movable=False, reason="it has a device")
    roll = planned(hosts("ab"), [fixed], rules())
    assert story(roll) == ["b 0-0-100"]
    assert roll.left == {"a": "1 cannot be moved: it has a device"}
    assert roll.stuck == {"1": "a is not upgraded: 1 cannot be moved: it has a device"}


def test_an_instance_that_may_stop_stays_and_is_paused_for_the_upgrade():
    fixed = instance("1", "a", movable=False, stops=True)
    roll = planned(hosts("ab"), [fixed], rules())
    assert story(roll) == ["b 0-0-100", "a 100-100-200"]
    assert roll.pauses == {"1": 100.0}


def test_pauses_add_up():
    roll = planned(hosts("abc"), [instance(f"i{n}", n, pause_s=0.5) for n in "abc"], rules())
    assert roll.pauses == {"ia": 1.0, "ib": 0.5, "ic": 0.5}


def test_without_room_nothing_begins_and_the_reason_is_said():
    roll = planned(hosts("ab"), [instance(n, n, 3) for n in "ab"], rules())
    assert story(roll) == []
    assert roll.left["a"] == "without it too little VCPU would be left in service"


def test_spare_capacity_stays_free():
    cloud = hosts("abcd"), [instance("1", "a"), instance("2", "b")]
    assert planned(*cloud, rules(4, spare=0.0)).makespan == 220
    assert planned(*cloud, rules(4, spare=0.5)).makespan == 420


def test_an_excluded_host_is_neither_upgraded_nor_given_anything():
    roll = planned([host("a", excluded="it is broken"), *hosts("bc")], one_each("b"), rules())
    assert story(roll) == ["c 0-0-100", "b 100-110-210 ib>c@100-110"]
    assert roll.left == {"a": "it is broken"}


def test_cells_do_not_exchange_instances():
    cells = [host("a", cell="1"), host("b", cell="2"), host("c", cell="2")]
    roll = planned(cells, one_each("c"), rules())
    assert [(move.instance, move.target) for move in roll.moves] == [("ic", "b")]


def test_the_same_cloud_is_planned_in_the_same_way_whatever_its_order():
    cloud = Fleet(tuple(hosts("abcdef")), tuple(one_each("abcdef")))
    turned = Fleet(cloud.hosts[::-1], cloud.instances[::-1])
    assert plan(cloud, rules(2)) == plan(turned, rules(2))


@pytest.mark.parametrize(
    ("fleet", "message"),
    [
        (Fleet((host("a"), host("a"))), "host a is there twice"),
        (Fleet((host("a"),), (instance("1", "b"),)), "instance 1: its host b is unknown"),
        (Fleet((host("a", out_s=0),)), "host a: out_s is 0; it must be 1 or more"),
        (Fleet((), (), (Group("g", "near", ()),)), "group g: its policy 'near' is unknown"),
        (Fleet((), (), (Group("g", "affinity", ("1",)),)), "group g: its member 1 is unknown"),
    ],
)
def test_a_fleet_that_contradicts_itself_is_refused(fleet, message):
    with pytest.raises(RequestError, match=message):
        plan(fleet, rules())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (rules(0), "out_of_service is 0; it must be 1 or more"),
        (rules(spare=1.0), "spare is 1.0; it must be at least 0 and less than 1"),
        (rules(prefer="luck"), "prefer is 'luck'; it must be 'time' or 'moves'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(given, message):
    with pytest.raises(RequestError, match=message):
        plan(Fleet(()), given)
