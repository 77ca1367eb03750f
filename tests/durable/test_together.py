"""Conductors and command lines meet at one subject, and one of them at a time works on it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.durable.scene import LONG_S, Scene, until
from tests.durable.toy import SharedCloud, once
from tests.unit.engine_toy import make_engine, make_plan
from upgrade_flows import errors
from upgrade_flows.engine.operations import Engine
from upgrade_flows.model.report import State

BOTH = pytest.mark.parametrize(
    "scene", [("redis", "postgresql"), ("etcd", "mariadb")], indirect=True, ids="-".join
)


def command_line(scene: Scene, owner: str = "command line") -> Engine:
    """Return what the command line works with, in a process that no conductor is in."""
    return make_engine(scene.journal, SharedCloud(scene.stage, owner), owner=owner)


@contextlib.contextmanager
def at_work(call, *args) -> Iterator[None]:
    """Have something done meanwhile."""
    failed = []

    def work() -> None:
        try:
            call(*args)
        except Exception as exc:
            failed.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert failed == []


def overlaps(scene: Scene) -> list[str]:
    """Return the steps that began while another one of their subject had not ended."""
    found, open_step = [], {}
    for deed in scene.stage.deeds("begin", "end", "fail"):
        now = f"{deed.what} by {deed.owner}"
        if deed.moment != "begin":
            open_step.pop(deed.subject, None)
        elif deed.subject in open_step:
            found.append(f"{now} in {open_step[deed.subject]}")
        else:
            open_step[deed.subject] = now
    return found


@BOTH
def test_what_a_conductor_works_on_is_refused_to_the_command_line(scene: Scene):
    scene.stage.order(hold={"restore:a do": 2.0})
    scene.begin("one")
    run = scene.submit(make_plan("a"))
    scene.await_deed("restore:a do")
    engine = command_line(scene)
    for refused in (engine.resume, engine.rollback, engine.run):
        with pytest.raises(errors.SubjectBusy, match=f"a is being worked on by run {run} .*one"):
            refused(run)
    with pytest.raises(errors.SubjectBusy, match=f"a is changing in run {run}"):
        engine.start(make_plan("a"))
    scene.reaches(run, "changed")

    assert scene.stage.times() == once("a")
    assert overlaps(scene) == []


@BOTH
def test_what_the_command_line_works_on_waits_for_the_conductor(scene: Scene):
    scene.stage.order(hold={"restore:a do": 2.0})
    scene.begin("one")
    engine = command_line(scene)
    first = engine.start(make_plan("a"))
    with at_work(engine.run, first):
        scene.await_deed("restore:a do", "command line")
        with pytest.raises(errors.SubjectBusy, match=f"a is changing in run {first}"):
            scene.orders.start(make_plan("a"), submitted=True)
        second = scene.journal.create_run(make_plan("a"), submitted=True)  # it was not asked
        scene.post(second)
        until("it is refused", lambda: "a is being worked on by run" in scene.log("one"))
        assert scene.journal.subject(second, "a").state is State.PENDING
    scene.reaches(second, "changed")

    assert scene.journal.run(first).state == "changed"
    assert scene.stage.times() == once("a") + once("a")
    assert overlaps(scene) == []


@BOTH
def test_of_all_that_want_the_same_subjects_at_once_one_does_each(scene: Scene):
    names = [f"s{number}" for number in range(16)]
    scene.stage.order(pace=(0.0, 0.05))
    scene.begin("one", "two", jobs=1)
    engines = [command_line(scene, f"command line {number}") for number in range(2)]
    over, refused = threading.Event(), []

    def insist(engine: Engine) -> None:
        while not over.is_set():
            try:
                engine.resume(run)
            except errors.SubjectBusy as exc:
                refused.append(exc)
                time.sleep(0.01)

    run = scene.submit(make_plan(*names, at_a_time=2))
    with at_work(insist, engines[0]), at_work(insist, engines[1]):
        try:
            scene.reaches(run, "changed")
        finally:
            over.set()

    assert scene.stage.times() == once(*names)
    assert overlaps(scene) == []
    assert scene.unrecorded(run) == []
    assert refused
