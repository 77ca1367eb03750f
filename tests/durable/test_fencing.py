"""A conductor stands still for longer than its TTL, loses its work, and does no harm with it."""

from __future__ import annotations

import signal
import time

import pytest

from tests.durable.scene import Scene, until
from tests.durable.toy import once, steps_of
from tests.unit.engine_toy import make_plan

EVERY_BOARD = pytest.mark.parametrize(
    "scene",
    [("redis", "mariadb"), ("etcd", "postgresql"), ("zookeeper", "mariadb")],
    indirect=True,
    ids="-".join,
)


def stand_still(scene: Scene, what: str, owner: str) -> None:
    """Stop a conductor in the middle of a step."""
    scene.await_deed(what, owner)
    scene.send(owner, signal.SIGSTOP)
    ended = [deed.what for deed in scene.stage.deeds("end") if deed.owner == owner]
    assert what not in ended


def go_on(scene: Scene, owner: str) -> float:
    """Let a conductor go on, and return when; it finds out that its subject is taken."""
    before = len(scene.log(owner))
    now = time.time()
    scene.send(owner, signal.SIGCONT)
    until(f"{owner} knows", lambda: "is lost: this process was not" in scene.log(owner)[before:])
    return now


def nothing_more_by(scene: Scene, run: str, subject: str, owner: str, step: str) -> None:
    """Assert that a stale owner ended its step, at the most, and left no other trace."""
    taken = scene.taken_over(subject, owner).time
    later = [d for d in scene.stage.deeds() if d.owner == owner and d.subject == subject]
    assert [d for d in later if d.time >= taken] == []
    ended = [d for d in scene.stage.deeds("end") if d.owner == owner and d.time >= taken]
    assert [d.what for d in ended if d.subject == subject] == [step]
    owners = [event.owner for event in scene.journal.events(run, subject)]
    assert owner not in owners[owners.index(scene.taken_over(subject, owner).owner) :]


@EVERY_BOARD
def test_a_conductor_that_stood_still_does_nothing_more_and_stays_healthy(scene: Scene):
    scene.stage.order(pace=(0.02, 0.05), hold={"restore:a do": 1.0})
    scene.begin("one")
    run = scene.submit(make_plan("a", "b", at_a_time=1))
    stand_still(scene, "restore:a do", "one")
    scene.begin("two")
    scene.taken_over("a", "one")
    scene.reaches(run, "changed")
    go_on(scene, "one")

    nothing_more_by(scene, run, "a", "one", "restore:a do")
    assert scene.stage.times() - once("a", "b") == {"restore:a do": 1}
    assert scene.unrecorded(run) == []
    assert scene.journal.run(run).state == "changed"

    scene.end("two")
    other = scene.submit(make_plan("c", "d"))
    scene.reaches(other, "changed")
    assert {d.owner for d in scene.stage.deeds() if d.subject in ("c", "d")} == {"one"}
    scene.end("one")


@pytest.mark.parametrize("scene", [("redis", "postgresql")], indirect=True, ids="-".join)
def test_who_wakes_while_another_is_in_the_middle_of_the_subject_does_not_interfere(scene: Scene):
    slow = ("restore:a do", "do:left-a do", "do:right-a do")
    scene.stage.order(hold=dict.fromkeys(slow, 1.0))
    scene.begin("one")
    run = scene.submit(make_plan("a"))
    stand_still(scene, "restore:a do", "one")
    scene.begin("two")
    scene.await_deed("do:left-a do", "two")
    go_on(scene, "one")
    assert scene.begun("verify:a do") is None  # two is still in the middle of it
    scene.reaches(run, "changed")

    nothing_more_by(scene, run, "a", "one", "restore:a do")
    assert scene.stage.times() - once("a") == {"restore:a do": 1}
    assert scene.stage.effects() == steps_of("a")


@EVERY_BOARD
def test_a_conductor_that_stood_still_in_an_undo_undoes_nothing_more(scene: Scene):
    scene.begin("one")
    run = scene.submit(make_plan("a"))
    scene.reaches(run, "changed")
    scene.stage.order(hold={"do:left-a undo": 1.0})
    scene.orders.rollback(run)
    scene.post(run)
    stand_still(scene, "do:left-a undo", "one")
    scene.begin("two")
    scene.reaches(run, "undone")
    go_on(scene, "one")

    nothing_more_by(scene, run, "a", "one", "do:left-a undo")
    again = scene.stage.times() - once("a") - once("a", verb="undo")
    assert again == {"do:left-a undo": 1}
    assert scene.stage.effects() == set()
    assert scene.journal.run(run).state == "undone"
    scene.end("one")
