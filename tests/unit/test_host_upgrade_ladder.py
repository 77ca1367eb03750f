"""An instance that has to leave its host, as a story: what is seen when, what is done."""

from __future__ import annotations

import dataclasses

import pytest

from upgrade_flows.cloud.api import Migration
from upgrade_flows.flows.host_upgrade.drain.ladder import Act, Mover, after_failure, next_act
from upgrade_flows.flows.host_upgrade.drain.policy import Policy
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.flows.host_upgrade.rules import How
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps.base import Settings

#: a guest of 1 GiB has 10 + 20 seconds for its live migration
POLICY = Policy(live_s=10, live_s_per_gib=20, abort_s=5, cold_s=100, arrival_s=50)

RESTING = Server("i1", "web", "ACTIVE")
MIGRATING = Server("i1", "web", "MIGRATING", task_state="migrating")
BROKEN = Server("i1", "web", "ERROR", fault="disk full")
REBOOTING = Server("i1", "web", "REBOOT", task_state="rebooting")
BUILDING = Server("i1", "web", "BUILD")
LIVE = Migration("m1", "running", "live-migration", "h1", "h2")
QUEUED = dataclasses.replace(LIVE, status="queued")
PREPARING = dataclasses.replace(LIVE, status="preparing")
COLD = Migration("m1", "migrating", "migration", "h1", "h2")

SEEN = {
    "resting": (RESTING, None),
    "live": (MIGRATING, LIVE),
    "queued": (MIGRATING, QUEUED),
    "preparing": (MIGRATING, PREPARING),
    "cold": (MIGRATING, COLD),
    "error": (BROKEN, None),
    "rebooting": (REBOOTING, None),
    "building": (BUILDING, None),
}


def story(seen, policy=POLICY, mover=None):
    """Tell what is done at each moment; what is ordered happens, as the loop notes it."""
    mover = mover or Mover("i1", "web", How.LIVE, memory_mb=1024)
    done = []
    for now, what in seen:
        act, _ = next_act(mover, *SEEN[what], now, policy)
        done.append(str(act))
        if act is Act.START:
            mover.begin("h2", now)
        elif act is Act.FORCE:
            mover.forced = now
        elif act is Act.ABORT:
            mover.aborted = now
        elif act is Act.ENDED:
            after_failure(mover, policy, "no room")
        elif act is Act.GIVE_UP:
            mover.given_up = "so"
    return done


def test_a_migration_in_time_is_left_alone():
    seen = [(0, "resting"), (1, "queued"), (2, "live"), (30, "live")]
    assert story(seen) == ["start", "nothing", "nothing", "nothing"]


def test_one_that_is_late_is_aborted_and_tried_again():
    seen = [(0, "resting"), (30, "live"), (31, "live"), (33, "live"), (34, "resting"),
            (35, "resting")]  # fmt: skip
    assert story(seen) == ["start", "nothing", "abort", "nothing", "ended", "start"]


def test_one_that_is_late_is_forced_where_the_guest_may_stand_still():
    seen = [(0, "resting"), (31, "live"), (60, "live"), (62, "live")]
    assert story(seen, dataclasses.replace(POLICY, may_pause=True)) == [
        "start",
        "force",
        "nothing",
        "abort",
    ]


def test_one_that_does_not_run_yet_cannot_be_forced_and_is_aborted():
    seen = [(0, "resting"), (31, "preparing")]
    assert story(seen, dataclasses.replace(POLICY, may_pause=True)) == ["start", "abort"]


def test_the_time_of_one_that_waits_behind_others_begins_when_its_turn_comes():
    seen = [(0, "resting"), (50, "queued"), (90, "queued"), (91, "live"), (119, "live"),
            (121, "live")]  # fmt: skip
    assert story(seen) == ["start", "nothing", "nothing", "nothing", "nothing", "abort"]


def test_one_that_waits_behind_others_for_ever_is_given_up():
    assert story([(0, "resting"), (1, "queued"), (102, "queued")]) == [
        "start",
        "nothing",
        "give up",
    ]


def test_one_that_cannot_be_aborted_is_given_up_and_left_alone_then():
    seen = [(0, "resting"), (31, "live"), (36, "live"), (37, "live"), (38, "live")]
    assert story(seen) == ["start", "abort", "nothing", "give up", "nothing"]


def test_a_migration_that_somebody_else_began_has_its_time_from_when_it_is_seen():
    assert story([(100, "live"), (130, "live"), (131, "live")]) == ["nothing", "nothing", "abort"]


def test_a_cold_migration_has_its_own_deadline():
    mover = Mover("i1", "web", How.COLD, memory_mb=1024)
    seen = [(0, "resting"), (1, "cold"), (101, "cold"), (102, "cold")]
    assert story(seen, mover=mover) == ["start", "nothing", "nothing", "give up"]


@pytest.mark.parametrize("task", ["rebooting", "building"])
def test_what_nova_is_at_is_waited_for_and_given_up_at_last(task):
    seen = [(0, task), (50, task), (51, task)]
    assert story(seen) == ["nothing", "nothing", "give up"]


def test_what_was_waited_for_is_started_when_nova_is_through_with_it():
    assert story([(0, "rebooting"), (20, "resting")]) == ["nothing", "start"]


def test_an_instance_in_error_is_given_up_at_once():
    assert story([(0, "error")]) == ["give up"]
    assert story([(0, "resting"), (3, "error")]) == ["start", "give up"]


def test_three_attempts_that_come_to_nothing_are_the_last():
    seen = [(second, "resting") for second in range(8)]
    assert story(seen) == ["start", "ended"] * 3 + ["nothing"] * 2


def test_after_the_last_live_attempt_comes_one_cold_one_where_that_is_allowed():
    mover = Mover("i1", "web", How.LIVE, memory_mb=1024)
    policy = dataclasses.replace(POLICY, may_cold=True, attempts=2)
    seen = [(second, "resting") for second in range(4)]
    assert story(seen, policy, mover) == ["start", "ended", "start", "ended"]
    assert (mover.how, mover.fell, mover.given_up) == (How.COLD, True, "")
    assert story([(4, "resting"), (5, "resting")], policy, mover) == ["start", "ended"]
    assert mover.given_up == "not migrated in 2 attempts; the last one: no room"


@pytest.mark.parametrize(
    ("seen", "policy", "why"),
    [
        ("error", POLICY, "it is in ERROR: disk full"),
        ("rebooting", POLICY, "Nova has been at it for 50 s: rebooting"),
        ("cold", POLICY, "Nova has been at it for 100 s: migrating"),
        ("live", POLICY, "the live migration did not come to its end within 30 s, and could not be"
                         " aborted: migration m1 is running"),
    ],
)  # fmt: skip
def test_giving_up_says_why(seen, policy, why):
    mover = Mover("i1", "web", How.LIVE, memory_mb=1024, waiting_since=0, since=0, aborted=0)
    assert next_act(mover, *SEEN[seen], 1000, policy) == (Act.GIVE_UP, why)


def test_one_attempt_is_told_in_the_singular():
    mover = Mover("i1", "web", How.LIVE)
    after_failure(mover, dataclasses.replace(POLICY, attempts=1), "no room")
    assert mover.given_up == "not migrated in 1 attempt; the last one: no room"


def test_what_was_tried_is_remembered_and_the_attempts_have_one_beginning():
    mover = Mover("i1", "web", How.LIVE)
    mover.begin("h2", 5.0)
    after_failure(mover, POLICY, "no room")
    mover.begin("h3", 9.0)
    assert mover == Mover(
        "i1", "web", How.LIVE, target="h3", since=9.0, first=5.0, attempts=1, tried=["h2"]
    )


def test_the_policy_is_made_of_the_options_and_the_deadlines_of_the_process():
    options = Options(
        "simulated",
        may_pause=True,
        may_cold=True,
        limits={"attempts": 5, "migrations_per_host": 1},
    )
    settings = Settings(
        arrival_s=1, live_migration_s=2, live_migration_s_per_gib=3, cold_migration_s=4
    )
    assert Policy.of(options, settings) == Policy(
        at_a_time=1, attempts=5, may_pause=True, may_cold=True, live_s=2, live_s_per_gib=3,
        cold_s=4, abort_s=120.0, arrival_s=1,
    )  # fmt: skip


def test_a_larger_guest_has_more_time():
    assert [Policy().live_deadline(mb) for mb in (0, 1024, 16384)] == [120.0, 150.0, 600.0]
