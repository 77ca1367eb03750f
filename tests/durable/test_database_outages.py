"""The database is away, hangs or crashes in the middle of a run: nothing is done unrecorded."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import sqlalchemy as sa

from tests.durable.scene import TTL_S, Scene, until
from tests.durable.toy import once, steps_of
from tests.unit.engine_toy import make_plan
from upgrade_flows.engine import schema

NAMES = tuple(f"s{number}" for number in range(10))


def on(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    """Return what has a test run on these boards and databases."""
    return pytest.mark.parametrize("scene", pairs, indirect=True, ids="-".join)


def begin_run(scene: Scene) -> str:
    """Have two conductors in the middle of a run."""
    scene.stage.order(pace=(0.1, 0.3))
    scene.begin("one", "two")
    run = scene.submit(make_plan(*NAMES, at_a_time=4))
    until("it is in the middle", lambda: len(scene.stage.deeds("end")) >= 15)
    return run


def leave_away(scene: Scene, seconds: float) -> None:
    """Start the database again after a while in which no step may have begun."""
    # a step that was on record just before may begin just after
    quiet = time.time() + 0.2
    time.sleep(seconds)
    again = time.time()
    scene.database.start()
    assert [deed for deed in scene.stage.deeds() if quiet < deed.time < again] == []


def ended_well(scene: Scene, run: str) -> None:
    """Assert that every step was done once, and was on record before."""
    scene.reaches(run, "changed")
    assert scene.stage.times() == once(*NAMES)
    assert scene.unrecorded(run) == []


@pytest.mark.parametrize(
    ("scene", "seconds"),
    [(("redis", "postgresql"), 30), (("etcd", "mariadb"), 8)],
    indirect=["scene"],
    ids=["postgresql", "mariadb"],
)
def test_steps_wait_for_a_database_that_is_away_for_longer_than_the_ttl(
    scene: Scene, seconds: float
):
    run = begin_run(scene)
    scene.database.stop()
    leave_away(scene, seconds)
    ended_well(scene, run)


@on(("redis", "postgresql"), ("zookeeper", "mariadb"))
def test_nothing_is_lost_by_a_crash_of_the_database(scene: Scene):
    run = begin_run(scene)
    for _ in range(2):
        scene.database.kill()
        leave_away(scene, 1.0)
        before = len(scene.stage.deeds())
        until("it goes on", lambda before=before: len(scene.stage.deeds()) > before)
    ended_well(scene, run)


@on(("redis", "postgresql"), ("redis", "mariadb"))
def test_a_database_that_hangs_for_longer_than_the_ttl_is_waited_for(scene: Scene):
    run = begin_run(scene)
    scene.database.pause()
    leave_away(scene, TTL_S + 2)
    ended_well(scene, run)


@on(("redis", "mariadb"), ("redis", "postgresql"))
def test_a_conductor_that_dies_while_the_database_is_away_is_replaced(scene: Scene):
    run = begin_run(scene)
    scene.database.stop()
    scene.kill("one")
    leave_away(scene, 3.0)
    scene.reaches(run, "changed")

    again = scene.stage.times() - once(*NAMES)
    assert again <= Counter(scene.last_of("one"))
    assert scene.stage.times().keys() == once(*NAMES).keys()
    assert scene.stage.effects() == steps_of(*NAMES)
    assert scene.unrecorded(run) == []


@on(("redis", "postgresql"), ("redis", "mariadb"))
def test_who_froze_in_a_transaction_does_not_hold_the_others_up_for_long(scene: Scene):
    run = scene.submit(make_plan("a"))
    locked = sa.select(schema.runs.c.id).where(schema.runs.c.id == run).with_for_update()
    with scene.journal.engine.connect() as frozen:  # as if its host was cut off just now
        frozen.execute(locked)
        scene.begin("one")
        until("it was begun", lambda: scene.begun("observe:a do"), 25)
        frozen.invalidate()
    scene.reaches(run, "changed")
