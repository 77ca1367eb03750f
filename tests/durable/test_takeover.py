"""A conductor is killed in the middle of a step, and others go on where it was."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.durable.scene import TTL_S, Scene
from tests.durable.toy import once, steps_of
from tests.unit.engine_toy import make_plan

#: seconds after the TTL within which another conductor has to be at work
LATE_S = 1.0
#: what a busy machine may add to it: the tests run side by side, and so do the servers
NOISE_S = 3.0

NAMES = ("a", "b", "c", "d", "e", "f")

EVERY_BOARD = pytest.mark.parametrize(
    "scene",
    [("redis", "postgresql"), ("etcd", "mariadb"), ("zookeeper", "postgresql")],
    indirect=True,
    ids="-".join,
)


@EVERY_BOARD
def test_the_work_of_a_killed_conductor_goes_on_within_its_ttl_and_a_second(
    scene: Scene, record_property
):
    scene.stage.order(pace=(0.1, 0.3), hold={"restore:c do": 1.0})
    scene.begin("one", "two", "three")
    run = scene.submit(make_plan(*NAMES, at_a_time=3))
    victim = scene.await_deed("restore:c do").owner
    killed = scene.kill(victim)
    next_deed = scene.taken_over("c", victim)
    took = next_deed.time - killed
    record_property("takeover_s", round(took, 2))
    scene.reaches(run, "changed")

    assert next_deed.what == "restore:c do"  # not the one before, nor the one after
    assert took < TTL_S + LATE_S + NOISE_S
    again = scene.stage.times() - once(*NAMES)
    assert again["restore:c do"] == 1
    assert again <= Counter(scene.last_of(victim))
    assert scene.stage.times().keys() == once(*NAMES).keys()
    assert scene.stage.effects() == steps_of(*NAMES)
    assert scene.unrecorded(run) == []


@pytest.mark.parametrize("scene", [("redis", "mariadb")], indirect=True, ids="-".join)
def test_an_undo_that_was_cut_off_goes_on_backwards(scene: Scene):
    scene.begin("one", "two", "three")
    run = scene.submit(make_plan("a", "b", at_a_time=2))
    scene.reaches(run, "changed")
    scene.stage.order(pace=(0.05, 0.1), hold={"do:left-a undo": 1.0})
    scene.orders.rollback(run)
    scene.post(run)
    victim = scene.await_deed("do:left-a undo").owner
    killed = scene.kill(victim)
    took = scene.taken_over("a", victim).time - killed
    scene.reaches(run, "undone")

    assert took < TTL_S + LATE_S + NOISE_S
    again = scene.stage.times() - once("a", "b") - once("a", "b", verb="undo")
    assert again["do:left-a undo"] == 1
    assert again <= Counter(scene.last_of(victim))
    assert scene.stage.effects() == set()
    assert scene.unrecorded(run) == []


@pytest.mark.parametrize("scene", [("redis", "postgresql")], indirect=True, ids="-".join)
def test_a_conductor_that_is_asked_to_end_hands_over_at_once_and_nothing_runs_twice(scene: Scene):
    scene.stage.order(pace=(0.05, 0.1), hold={"restore:c do": 1.0})
    scene.begin("one", "two")
    run = scene.submit(make_plan(*NAMES, at_a_time=3))
    leaving = scene.await_deed("restore:c do").owner
    scene.end(leaving)
    ended = max(d.time for d in scene.stage.deeds("end") if d.owner == leaving)
    scene.reaches(run, "changed")

    assert scene.taken_over("c", leaving).time - ended < TTL_S
    assert scene.stage.times() == once(*NAMES)
    assert scene.processes[leaving].returncode == 0


@pytest.mark.parametrize("scene", [("redis", "postgresql")], indirect=True, ids="-".join)
def test_a_failed_change_that_was_cut_off_on_its_way_back_never_turns_forward_again(scene: Scene):
    scene.stage.order(hold={"do:left-a undo": 1.0}, fail=["verify:a do"])
    scene.begin("one", "two")
    run = scene.submit(make_plan("a"))
    victim = scene.await_deed("do:left-a undo").owner
    scene.stage.order()  # what failed would succeed now
    scene.kill(victim)
    scene.reaches(run, "failed")

    again = scene.stage.times() - once("a") - once("a", verb="undo")
    assert again == {"do:left-a undo": 1}
    assert scene.journal.subject(run, "a").error == "verify:a: verify:a do was to fail"
    assert scene.stage.effects() == set()
