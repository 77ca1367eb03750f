"""The board's server is restarted, crashes, forgets everything: a run goes on all the same."""

from __future__ import annotations

import pytest

from tests.durable.scene import TTL_S, Scene, until
from tests.durable.toy import once, steps_of
from tests.unit.engine_toy import make_plan

MANY = tuple(f"s{number:02}" for number in range(40))

EVERY_BOARD = pytest.mark.parametrize(
    "scene",
    [("redis", "postgresql"), ("etcd", "mariadb"), ("zookeeper", "mariadb")],
    indirect=True,
    ids="-".join,
)
ON_REDIS = pytest.mark.parametrize("scene", [("redis", "postgresql")], indirect=True, ids="-".join)


def verified(scene: Scene) -> int:
    """Return how many subjects are at their last step, or done."""
    return sum(deed.step.startswith("verify") for deed in scene.stage.deeds())


@EVERY_BOARD
def test_a_run_survives_that_the_board_is_restarted_and_crashes_under_it(scene: Scene):
    scene.stage.order(pace=(0.05, 0.15))
    scene.begin("one", "two", jobs=3)
    run = scene.submit(make_plan(*MANY, at_a_time=6))
    until("a quarter is done", lambda: verified(scene) >= 10)
    scene.server.restart()
    until("half is done", lambda: verified(scene) >= 20)
    scene.server.kill()
    assert verified(scene) < 30  # still in the middle
    scene.server.start()
    scene.reaches(run, "changed", seconds=60)

    assert scene.stage.times() == once(*MANY)
    assert scene.unrecorded(run) == []
    assert {deed.owner for deed in scene.stage.deeds()} == {"one", "two"}
    for owner in ("one", "two"):
        scene.end(owner)


@EVERY_BOARD
def test_a_board_that_is_away_for_longer_than_the_ttl_stops_no_step_in_hand(scene: Scene):
    scene.stage.order(hold={"do:left-a do": TTL_S + 2, "do:left-b do": TTL_S + 2})
    scene.begin("one", "two")
    run = scene.submit(make_plan("a", "b", "c", at_a_time=2))
    for subject in ("a", "b"):
        scene.await_deed(f"do:left-{subject} do")
    scene.server.kill()
    scene.await_deed("verify:a do")  # the board is not needed for that
    scene.await_deed("verify:b do")
    assert scene.begun("observe:c do") is None
    scene.server.start()
    scene.reaches(run, "changed")

    assert scene.stage.times() == once("a", "b", "c")


@ON_REDIS
def test_all_jobs_that_the_board_forgets_are_done_once(scene: Scene, redis):
    scene.stage.order(pace=(0.05, 0.15))
    scene.begin("one", "two", jobs=2, sweep=2.0)
    run = scene.submit(make_plan(*MANY[:20], at_a_time=6))
    for part in (3, 8, 13):
        until("a part is done", lambda part=part: verified(scene) >= part)
        forget_everything(redis)
    scene.reaches(run, "changed", seconds=60)

    assert scene.stage.times() == once(*MANY[:20])
    assert scene.unrecorded(run) == []


@ON_REDIS
def test_a_job_that_was_forgotten_when_its_conductor_was_killed_is_found_by_the_sweep(
    scene: Scene, redis
):
    scene.stage.order(hold={"restore:a do": 1.0})
    scene.begin("one", "two", sweep=2.0)
    run = scene.submit(make_plan("a"))
    victim = scene.await_deed("restore:a do").owner
    killed = scene.kill(victim)
    forget_everything(redis)
    scene.reaches(run, "changed", seconds=TTL_S + 20)

    assert scene.taken_over("a", victim).time - killed > TTL_S / 2  # not before it counts as dead
    assert scene.stage.times() - once("a") == {"restore:a do": 1}
    assert scene.stage.effects() == steps_of("a")


@ON_REDIS
def test_a_run_that_was_submitted_while_the_board_was_away_is_begun(scene: Scene):
    scene.begin("one", sweep=2.0)
    scene.server.kill()
    run = scene.orders.start(make_plan("a"), submitted=True)
    scene.server.start()
    scene.reaches(run, "changed", seconds=40)
    assert scene.stage.times() == once("a")


def forget_everything(server) -> None:
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.flushall()
