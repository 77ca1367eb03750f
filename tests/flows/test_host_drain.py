"""A host is emptied on the fake cloud, whatever its instances and their migrations do."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.draining import Scene
from upgrade_flows import errors
from upgrade_flows.flows.host_upgrade.options import CHOICE


@pytest.fixture
def scene():
    return Scene()


def large(scene):
    scene.cloud.add_flavor("small")
    return scene.cloud.add_flavor("large", memory_mb=4096)


def moved(found):
    return [(m["name"], m["source"], m["target"], m["how"], m["attempts"]) for m in found["moves"]]


def test_instances_of_every_state_leave_or_stay_as_they_are(scene):
    states = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR", "SHELVED")
    servers = [scene.add(status.lower(), status, target="h2") for status in states]
    off = scene.add("off", metadata={CHOICE: "poweroff"})

    found = scene.drain()

    assert scene.where(*servers, off) == [
        ("h2", "ACTIVE"),
        ("h2", "SHUTOFF"),
        ("h2", "PAUSED"),
        ("h1", "SUSPENDED"),
        ("h1", "ERROR"),
        ("", "SHELVED_OFFLOADED"),
        ("h1", "ACTIVE"),
    ]
    assert sorted(moved(found)) == [
        ("active", "h1", "h2", "live", 1),
        ("paused", "h1", "h2", "live", 1),
        ("shelved", "h1", "", "offload", 1),
        ("shutoff", "h1", "h2", "cold", 1),
    ]
    assert sorted(one["name"] for one in found["stayed"]) == ["error", "suspended"]
    assert found["poweroff"] == [off]
    assert scene.notes.held == []


def test_a_host_without_instances_is_empty_at_once(scene):
    assert scene.drain() == {"moves": [], "stayed": [], "poweroff": []}
    assert scene.notes.told == []


def test_the_largest_goes_first_to_its_planned_host(scene):
    scene.add("large", target="h3", flavor=large(scene))
    scene.add("small", target="h4")
    scene.drain(options={"limits": {"migrations_per_host": 1}})
    assert scene.said() == [
        ("moving", "large", "live", "h3"),
        ("moved", "large", "live", "h3"),
        ("moving", "small", "live", "h4"),
        ("moved", "small", "live", "h4"),
    ]


def test_a_live_migration_that_fails_goes_to_another_host(scene):
    web = scene.add("web", target="h3")
    scene.cloud.faults.break_result("compute.live_migrate", "failed", times=1)
    assert moved(scene.drain()) == [("web", "h1", "h2", "live", 2)]
    assert scene.said("moving", "unmoved") == [
        ("moving", "web", "live", "h3"),
        ("unmoved", "web", "live", "h3"),
        ("moving", "web", "live", "h2"),
    ]
    assert scene.where(web) == [("h2", "ACTIVE")]


def test_where_there_is_one_other_host_only_it_is_tried_again():
    scene = Scene("h1", "h2")
    scene.add("web")
    scene.cloud.faults.break_result("compute.live_migrate", "failed", times=2)
    assert moved(scene.drain()) == [("web", "h1", "h2", "live", 3)]


@pytest.mark.parametrize("trouble", [{"enabled": False}, {"up": False}])
def test_a_planned_host_that_is_out_of_service_is_passed_over(scene, trouble):
    scene.add("web", target="h3")
    scene.cloud.change_host("h3", **trouble)
    assert moved(scene.drain()) == [("web", "h1", "h2", "live", 1)]


def test_a_host_without_room_is_passed_over(scene):
    scene.add("web")
    scene.cloud.set_capacity("h2", MEMORY_MB=1024)
    assert moved(scene.drain()) == [("web", "h1", "h3", "live", 1)]


def test_an_instance_for_which_there_is_no_room_is_named_in_the_end(scene):
    web = scene.add("web")
    for name in ("h2", "h3", "h4"):
        scene.cloud.set_capacity(name, VCPU=0)
    began = scene.cloud.clock.time()
    with pytest.raises(errors.StepFailed) as caught:
        scene.drain()
    assert str(caught.value) == (
        f"1 instance could not leave h1: web ({web}): no host of the plan that is in service has"
        " room for it"
    )
    assert 100 < scene.cloud.clock.time() - began < 120


def test_one_that_never_converges_is_forced_where_guests_may_stand_still(scene):
    web = scene.add("web", target="h2")
    scene.cloud.set_dirty_rate(web, 2 << 30)
    found = scene.drain(options={"may_pause": True})
    assert moved(found) == [("web", "h1", "h2", "live", 1)]
    assert [what for what, *_ in scene.said()] == ["moving", "forced", "moved"]
    assert scene.cloud.count("compute.abort_migration") == 0


def test_one_that_never_converges_is_tried_elsewhere_where_they_may_not_and_runs_on(scene):
    web = scene.add("web", target="h2")
    other = scene.add("other", target="h2")
    scene.cloud.set_dirty_rate(web, 2 << 30)
    with pytest.raises(errors.StepFailed) as caught:
        scene.drain()
    assert [(w, t) for w, name, _, t in scene.said("moving", "aborted") if name == "web"] == [
        ("moving", "h2"), ("aborted", "h2"), ("moving", "h3"), ("aborted", "h3"),
        ("moving", "h4"), ("aborted", "h4"),
    ]  # fmt: skip
    assert scene.where(web, other) == [("h1", "ACTIVE"), ("h2", "ACTIVE")]
    assert str(caught.value).startswith(
        f"1 instance could not leave h1: web ({web}): not migrated in 3 attempts; the last one:"
    )
    assert "to h4: cancelled" in str(caught.value)


def test_one_that_never_converges_is_restarted_elsewhere_where_that_is_allowed(scene):
    web = scene.add("web", target="h2")
    scene.cloud.set_dirty_rate(web, 2 << 30)
    found = scene.drain(options={"may_cold": True, "limits": {"attempts": 1}})
    assert [how for *_, how, _ in scene.said("moving")] == ["live", "cold"]
    assert (moved(found)[0][3], scene.where(web)) == ("cold", [("h2", "ACTIVE")])


def test_a_migration_that_cannot_be_aborted_is_named_and_left(scene):
    web = scene.add("web")
    scene.cloud.faults.stuck("compute.live_migrate")
    scene.cloud.faults.fail("compute.abort_migration", errors.Conflict("too late"), times=None)
    with pytest.raises(errors.StepFailed, match=r"could not be\s+aborted: migration .* is running"):
        scene.drain()
    assert scene.where(web) == [("h1", "MIGRATING")]
    assert scene.cloud.count("compute.live_migrate") == 1


def test_a_migration_that_is_completed_counts_only_when_the_instance_is_elsewhere(scene):
    web = scene.add("web", target="h2")
    scene.cloud.faults.break_result("compute.live_migrate", "completed", times=1)

    def heal(call, args, phase):
        if scene.cloud.clock.monotonic() > 30:
            scene.cloud.change_server(web, status="ACTIVE", task_state=None)
            scene.cloud.faults._hooks.clear()

    scene.cloud.faults.hook(heal)
    scene.drain()
    (said,) = [facts["why"] for what, facts in scene.notes.told if what == "unmoved"]
    assert "is completed, but the instance is on h1 as before" in said
    assert scene.where(web) == [("h3", "ACTIVE")]


def test_one_that_breaks_on_its_way_is_named_where_it_is_and_the_others_leave(scene):
    bad, good = scene.add("bad", target="h2"), scene.add("good", target="h3")
    scene.cloud.faults.break_result("compute.live_migrate", "ERROR", subject=bad)
    with pytest.raises(errors.StepFailed) as caught:
        scene.drain()
    assert str(caught.value) == (
        f"1 instance could not leave h1: bad ({bad}): failed on its way: it is in ERROR on h2:"
        " the migration failed after the guest had gone"
    )
    assert scene.where(bad, good) == [("h2", "ERROR"), ("h3", "ACTIVE")]


def test_all_that_could_not_leave_are_named(scene):
    one, two = scene.add("one", "RESCUE"), scene.add("two", "VERIFY_RESIZE")
    web = scene.add("web", target="h2")
    with pytest.raises(errors.StepFailed) as caught:
        scene.drain()
    assert str(caught.value) == (
        f"2 instances could not leave h1: one ({one}): it is being rescued (openstack server"
        f" unrescue {one}); two ({two}): a resize or migration of it waits to be confirmed"
        f" (openstack server resize confirm {two} (or revert))"
    )
    assert scene.where(web) == [("h2", "ACTIVE")]


def test_a_device_that_the_plan_knew_of_keeps_an_instance_from_being_migrated_live(scene):
    nfv = scene.add("nfv", target="h2")
    scene.drain(options={"may_cold": True}, obstacles={nfv: "port p1 is a device of its host"})
    assert scene.said("moving") == [("moving", "nfv", "cold", "h2")]


def test_what_nova_is_at_is_waited_for_and_then_moved_live(scene):
    web = scene.add("web", task_state="image_uploading")

    def done(call, args, phase):
        if scene.cloud.clock.monotonic() > 20 and call == "compute.servers":
            scene.cloud.change_server(web, task_state=None)
            scene.cloud.faults._hooks.clear()

    scene.cloud.faults.hook(done)
    assert moved(scene.drain()) == [("web", "h1", "h2", "live", 1)]


def test_an_instance_that_cannot_be_forced_to_wait_is_moved_as_its_owner_wants_by_then(scene):
    first, web = scene.add("first", flavor=large(scene)), scene.add("web")

    def change_of_mind(call, args, phase):
        if call == "compute.live_migrate" and args[0] == first and phase == "after":
            scene.cloud.change_server(web, metadata={CHOICE: "cold"})

    scene.cloud.faults.hook(change_of_mind)
    scene.drain(options={"limits": {"migrations_per_host": 1}})
    assert [how for _, name, how, _ in scene.said("moved") if name == "web"] == ["cold"]


def test_a_resize_of_its_owner_is_not_confirmed_for_them(scene):
    first, web = scene.add("first", flavor=large(scene)), scene.add("web")

    def resize(call, args, phase):
        if call == "compute.live_migrate" and args[0] == first and phase == "after":
            scene.cloud.direct.compute.migrate(web, "h4")
            records = scene.cloud.world.migrations[web]
            records[-1] = dataclasses.replace(records[-1], kind="resize")

    scene.cloud.faults.hook(resize)
    scene.drain(options={"limits": {"migrations_per_host": 1}})
    assert scene.where(first, web) == [("h2", "ACTIVE"), ("h4", "VERIFY_RESIZE")]
    assert scene.cloud.count("compute.confirm_migration") == 0


def test_one_that_has_left_but_is_never_confirmed_is_given_up_and_named(scene):
    off = scene.add("off", "SHUTOFF", target="h2")
    no = errors.Conflict("not now")
    scene.cloud.faults.fail("compute.confirm_migration", no, times=None)
    with pytest.raises(errors.StepFailed) as failed:
        scene.drain()
    assert f"off ({off}): it is on h2, but VERIFY_RESIZE: its migration has not come" in str(
        failed.value
    )
    assert scene.where(off) == [("h2", "VERIFY_RESIZE")]
