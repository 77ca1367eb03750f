"""The validator: a good roll passes, and each way to spoil it is noticed."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.rolling_story import host, instance, rules
from upgrade_flows.planning.rolling import Canary, Fleet, Group, Move, Roll, Window
from upgrade_flows.planning.rolling.check import check

HOSTS = tuple(host(name, az="1", failure_domain="r") for name in "abc")
FLEET = Fleet(HOSTS, (instance("1", "b"), instance("2", "c")))
GOOD = Roll(
    windows=(Window("a", 0, 0, 100), Window("b", 100, 110, 210), Window("c", 210, 220, 320)),
    moves=(Move("1", "b", "a", 100, 110), Move("2", "c", "b", 210, 220)),
    makespan=320,
)


def spoiled(move=None, window=None, **changes):
    """Return the good roll with its last move or window changed."""
    moves, windows = list(GOOD.moves), list(GOOD.windows)
    if move:
        moves[-1] = dataclasses.replace(moves[-1], **move)
    if window:
        windows[-1] = dataclasses.replace(windows[-1], **window)
    return dataclasses.replace(GOOD, moves=tuple(moves), windows=tuple(windows), **changes)


def with_hosts(*found, instances=FLEET.instances, groups=()):
    return Fleet(found, instances, groups)


def test_a_roll_that_keeps_everything_passes():
    assert check(FLEET, rules(), GOOD) == []


@pytest.mark.parametrize(
    ("roll", "said"),
    [
        (spoiled(move={"target": "c"}), "2 is moved to c, which takes no instances"),
        (spoiled(move={"source": "b", "target": "a"}), "2 is not on b"),
        (spoiled(move={"start": 190, "end": 200}), "2 leaves c, which is not being drained"),
        (spoiled(move={"end": 221}), "2 is not moved in 10 s"),
        (spoiled(move={"end": 230}), "c is taken out of service with 2 on it"),
        (spoiled(window={"start": 110}), "2 hosts are out of service"),
        (spoiled(window={"end": 300}), "c is not out for 100 s after its drain"),
        (spoiled(window={"failed": "no"}), "c is upgraded and left as it was, or neither"),
        (spoiled(stuck={"1": "no"}), "1 ends on a, and the result says otherwise"),
    ],
)
def test_a_broken_schedule_is_noticed(roll, said):
    assert any(said in text for text in check(FLEET, rules(), roll))


@pytest.mark.parametrize(
    ("fleet", "given", "said"),
    [
        (with_hosts(host("a", 1), *HOSTS[1:]), rules(), "a has too little VCPU for 1"),
        (
            with_hosts(host("a", 1), HOSTS[1], host("c", 2, az="1")),
            rules(),
            "without b too little VCPU is left in service",
        ),
        (
            with_hosts(*HOSTS, instances=(instance("1", "b", az="2"), FLEET.instances[1])),
            rules(),
            "1 must not be on a",
        ),
        (
            with_hosts(host("a", cell="x"), *HOSTS[1:]),
            rules(),
            "1 must not be on a",
        ),
        (FLEET, rules(spare=0.7), "without a too little VCPU is left in service"),
        (FLEET, rules(canary=Canary(1, 60)), "b does not wait for a"),
        (
            with_hosts(*HOSTS, instances=(*FLEET.instances[:1], instance("2", "c", movable=False))),
            rules(),
            "2 cannot be moved",
        ),
        (
            with_hosts(*HOSTS[:2], host("c", az="1", excluded="no")),
            rules(),
            "c is begun although it is not to be upgraded",
        ),
    ],
)
def test_the_same_schedule_is_wrong_elsewhere(fleet, given, said):
    assert any(said in text for text in check(fleet, given, GOOD))


def test_a_group_that_meets_is_noticed():
    apart = Group("g", "anti-affinity", ("1", "2"))
    roll = dataclasses.replace(GOOD, moves=(GOOD.moves[0], Move("2", "c", "a", 210, 220)))
    assert check(dataclasses.replace(FLEET, groups=(apart,)), rules(), roll) == [
        "at 210 s: 2 is moved to a, where its group g is"
    ]


def test_a_group_that_is_torn_apart_is_noticed():
    pair = (instance("1", "c"), instance("2", "c"))
    fleet = Fleet(HOSTS, pair, (Group("g", "affinity", ("1", "2")),))
    windows = (Window("a", 0, 0, 100), Window("b", 100, 100, 200), Window("c", 200, 220, 320))
    moves = (Move("1", "c", "a", 200, 210), Move("2", "c", "b", 210, 220))
    assert check(fleet, rules(), Roll(windows, moves, 320)) == [
        "at 210 s: 2 is moved away from its group g",
        "at 320 s: group g is no longer together",
    ]


def test_too_many_migrations_are_noticed():
    pair = (instance("1", "c", 1), instance("2", "c", 1))
    windows = (Window("a", 0, 0, 100), Window("b", 100, 100, 200), Window("c", 200, 210, 310))
    moves = (Move("1", "c", "a", 200, 210), Move("2", "c", "b", 200, 210))
    roll = Roll(windows, moves, 310)
    fleet = Fleet(HOSTS, pair)
    assert check(fleet, rules(per_host=1), roll) == ["at 200 s: c has 2 migrations"]
    assert check(fleet, rules(per_host=2, total=1), roll) == ["at 200 s: 2 migrations run"]


def test_going_back_to_a_host_that_is_not_upgraded_is_noticed():
    fleet = Fleet((host("a", upgraded=True), host("b")), (instance("1", "a"),))
    roll = Roll((Window("b", 20, 30, 130),), (Move("1", "a", "b", 0, 10),), 130)
    said = check(fleet, rules(), roll)
    assert "at 0 s: 1 is moved back from an upgraded host to b" in said


@pytest.mark.parametrize("limit", ["out_per_az", "out_per_domain"])
def test_too_many_hosts_of_one_place_are_noticed(limit):
    fleet = Fleet(HOSTS)
    windows = (Window("a", 0, 0, 100), Window("b", 0, 0, 100), Window("c", 100, 100, 200))
    place = "1" if limit == "out_per_az" else "r"
    assert check(fleet, rules(2, **{limit: 1}), Roll(windows, (), 200)) == [
        f"at 0 s: 2 hosts of {place} are out of service"
    ]
