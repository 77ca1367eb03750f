"""What owners, other runs, other processes and a failing API do while a host is emptied."""

from __future__ import annotations

import pytest

from tests.flows.draining import Scene
from upgrade_flows import errors

ONE_AT_A_TIME = {"limits": {"migrations_per_host": 1}}


@pytest.fixture
def scene():
    """A scene with a large instance, which goes first, and a small one that waits for it."""
    scene = Scene()
    scene.cloud.add_flavor("small")
    large = scene.cloud.add_flavor("large", memory_mb=4096)
    scene.first = scene.add("first", target="h2", flavor=large)
    scene.web = scene.add("web", target="h3")
    return scene


def once_the_first_is_on_its_way(scene, do, call="compute.live_migrate"):
    """Have something done right after the first migration was accepted."""
    done = []

    def hook(name, args, phase):
        if name == call and phase == "after" and not done:
            done.append(True)
            do()

    scene.cloud.faults.hook(hook)


def ways(scene):
    return [(what, name, how, target) for what, name, how, target in scene.said("moving", "moved")]


@pytest.mark.parametrize("victim", ["first", "web"])
def test_an_instance_that_its_owner_deletes_is_gone_and_no_failure(scene, victim):
    server = getattr(scene, victim)
    once_the_first_is_on_its_way(scene, lambda: scene.cloud.direct.compute.delete(server))
    found = scene.drain(options=ONE_AT_A_TIME)
    assert [move["name"] for move in found["moves"]] == [
        name for name in ("first", "web") if name != victim
    ]
    assert scene.notes.held == []


def test_an_instance_that_its_owner_stops_leaves_as_one_that_is_off(scene):
    once_the_first_is_on_its_way(scene, lambda: scene.cloud.direct.compute.stop(scene.web))
    scene.drain(options=ONE_AT_A_TIME)
    assert scene.said("moved")[1:] == [("moved", "web", "cold", "h3")]
    assert scene.where(scene.web) == [("h3", "SHUTOFF")]


def test_an_instance_that_appears_meanwhile_leaves_as_well(scene):
    new = []
    once_the_first_is_on_its_way(scene, lambda: new.append(scene.cloud.add_server("new", "h1")))
    scene.drain(options=ONE_AT_A_TIME)
    assert [host for host, _ in scene.where(scene.first, scene.web, *new)] == ["h2", "h3", "h2"]


def test_an_instance_that_breaks_while_it_waits_is_named(scene):
    once_the_first_is_on_its_way(
        scene,
        lambda: scene.cloud.change_server(scene.web, status="ERROR", power_state=1, fault="oops"),
    )
    with pytest.raises(errors.StepFailed) as caught:
        scene.drain(options=ONE_AT_A_TIME)
    assert str(caught.value) == (
        f"1 instance could not leave h1: web ({scene.web}): it is in ERROR: oops"
    )


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_host_ever_sends_or_receives_more_migrations_than_it_may(limit):
    scene = Scene("h1", "h2", "h3")
    scene.cloud.world.max_concurrent_live_migrations = 0
    for number in range(6):
        scene.add(f"live{number}", target="h2")
        scene.add(f"off{number}", "SHUTOFF", target="h3")
    guest = scene.cloud.add_server("guest", host="h3")
    scene.cloud.direct.compute.live_migrate(guest, "h2")  # somebody else's
    most = {"h1": 0, "h2": 0, "h3": 0}

    def count(call, args, phase):
        for host in most:
            under_way = [
                m
                for m in scene.cloud.direct.compute.migrations_of_host(host)
                if m.status != "finished"
            ]
            most[host] = max(most[host], len(under_way))

    scene.cloud.faults.hook(count)
    scene.drain(options={"limits": {"migrations_per_host": limit}})
    assert most["h1"] == limit
    assert max(most.values()) == limit


def test_an_instance_that_another_run_works_on_is_waited_for(scene):
    scene.notes.busy[scene.web] = errors.SubjectBusy("web is worked on by run-2")

    def let_go(call, args, phase):
        if scene.cloud.clock.monotonic() > 60:
            scene.notes.busy.clear()

    scene.cloud.faults.hook(let_go)
    scene.drain()
    assert scene.where(scene.first, scene.web) == [("h2", "ACTIVE"), ("h3", "ACTIVE")]
    assert scene.cloud.clock.monotonic() > 60


def test_an_instance_that_another_run_never_lets_go_is_named(scene):
    scene.notes.busy[scene.web] = errors.SubjectBusy("web is worked on by run-2")
    with pytest.raises(
        errors.StepFailed, match=f"web \\({scene.web}\\): web is worked on by run-2"
    ):
        scene.drain()
    assert scene.where(scene.first, scene.web) == [("h2", "ACTIVE"), ("h1", "ACTIVE")]


def test_every_instance_is_held_while_it_moves_and_only_then(scene):
    seen = []

    def note(call, args, phase):
        if call == "compute.live_migrate" and phase == "before":
            seen.append((args[0], list(scene.notes.held)))

    scene.cloud.faults.hook(note)
    scene.drain(options=ONE_AT_A_TIME)
    assert seen == [(scene.first, [scene.first]), (scene.web, [scene.web])]
    assert scene.notes.held == []


@pytest.mark.parametrize("error", [errors.Unavailable("timeout"), errors.Conflict("try again")])
@pytest.mark.parametrize(
    ("call", "status"),
    [("compute.live_migrate", "ACTIVE"), ("compute.migrate", "SHUTOFF"),
     ("compute.offload", "SHELVED")],
)  # fmt: skip
def test_an_order_whose_answer_is_lost_is_carried_out_once(call, status, error):
    scene = Scene()
    server = scene.add("web", status, target="h2")
    scene.cloud.faults.fail(call, error, when="after")
    scene.drain()
    where = "" if status == "SHELVED" else "h2"
    assert [host for host, _ in scene.where(server)] == [where]
    assert scene.cloud.count(call) == 1
    assert [what for what, *_ in scene.said("moved")] == ["moved"]


@pytest.mark.parametrize("call", ["compute.live_migrate", "compute.migrate", "compute.offload"])
def test_an_order_that_never_arrived_is_given_again(call):
    status = {"compute.live_migrate": "ACTIVE", "compute.migrate": "SHUTOFF"}.get(call, "SHELVED")
    scene = Scene()
    scene.add("web", status)
    scene.cloud.faults.fail(call, errors.Unavailable("timeout"))
    scene.drain()
    assert scene.cloud.count(call) == 2


def test_an_outage_of_the_api_is_waited_through(scene):
    for call in ("servers", "migrations_of_host", "service", "server"):
        name = f"compute.{call}"
        scene.cloud.faults.fail(name, errors.Unavailable("restarting"), nth=2, times=3)
    scene.cloud.faults.fail("placement.rooms", errors.Unavailable("restarting"), times=2)
    scene.add("other")
    scene.drain()
    assert [what for what, *_ in scene.said("moved")] == ["moved"] * 3


def test_an_outage_that_does_not_end_fails_the_drain(scene):
    scene.cloud.faults.fail("compute.servers", errors.Unavailable("gone"), times=None)
    with pytest.raises(errors.Unavailable, match="gone"):
        scene.drain()
    assert scene.cloud.clock.monotonic() > 100


def test_parked_it_lets_what_is_under_way_arrive_and_begins_nothing_more(scene):
    once_the_first_is_on_its_way(scene, lambda: setattr(scene.notes, "parks", True))
    with pytest.raises(errors.Parked, match="still to leave h1: 1"):
        scene.drain(options=ONE_AT_A_TIME)
    assert scene.where(scene.first, scene.web) == [("h2", "ACTIVE"), ("h1", "ACTIVE")]
    assert scene.notes.held == []

    scene.notes.parks = False
    assert [move["name"] for move in scene.drain()["moves"]] == ["web"]


def test_a_drain_that_may_not_park_goes_on_all_the_same(scene):
    scene.notes.parks = True
    assert len(scene.drain(parks=False)["moves"]) == 2


def test_one_that_only_lets_arrive_what_is_on_its_way_leaves_the_others(scene):
    off = scene.add("off", "SHUTOFF", target="h4")
    scene.cloud.direct.compute.migrate(off, "h4")
    found = scene.drain(starts=False)
    assert [move["name"] for move in found["moves"]] == ["off"]
    assert scene.where(scene.first, scene.web, off) == [
        ("h1", "ACTIVE"),
        ("h1", "ACTIVE"),
        ("h4", "SHUTOFF"),
    ]


@pytest.mark.parametrize("passed", [0, 3, 7])
def test_who_takes_over_sees_a_cold_migration_through_wherever_it_is(passed):
    scene = Scene()
    off = scene.add("off", "SHUTOFF")
    scene.cloud.direct.compute.migrate(off, "h3")
    made = scene.made()
    scene.cloud.clock.sleep(passed)
    assert [(m["name"], m["target"], m["how"]) for m in made.run()["moves"]] == [
        ("off", "h3", "cold")
    ]
    assert scene.where(off) == [("h3", "SHUTOFF")]
    assert scene.cloud.count("compute.migrate") == 0


def test_who_takes_over_counts_the_attempts_that_came_to_nothing():
    scene = Scene()
    web = scene.add("web")
    scene.cloud.faults.break_result("compute.live_migrate", "failed")
    since = scene.made()
    for _ in range(2):
        scene.cloud.direct.compute.live_migrate(web, "h3")
        scene.cloud.clock.sleep(30)
    with pytest.raises(errors.StepFailed, match="not migrated in 3 attempts"):
        since.run()
    assert scene.cloud.count("compute.live_migrate") == 1


def test_only_the_instances_that_are_meant_are_moved(scene):
    found = scene.drain(only={scene.web})
    assert [move["name"] for move in found["moves"]] == ["web"]
    assert scene.where(scene.first) == [("h1", "ACTIVE")]
