"""Which of the things that bear our marks are left-overs, and which are never touched."""

from __future__ import annotations

import pytest

from tests.flows import capture_scenes, live_scenes, rolling_scenes, scenes
from upgrade_flows import gc
from upgrade_flows.flows import capability
from upgrade_flows.gc import Kind, Known, Standing, Thing, things

RUN, OTHER = "20261120-3386d9", "20261119-aaaaaa"
#: the end of the day of the run, and an hour
MIDNIGHT, HOUR = 1_795_219_200.0, 3600.0
NOW = MIDNIGHT + 10 * HOUR


def thing(kind=Kind.PORT, run=RUN, **more):
    return Thing(kind, "id-1", f"{run}/create-port:x", run, created=things.day_after(run), **more)


def fate(one, runs=None, run="", older_than_s=None, now=NOW):
    (verdict,) = gc.sort([one], Known(runs or {}), now, run, older_than_s)
    return verdict.delete, verdict.why


def test_what_belongs_to_a_run_that_is_not_over_is_never_touched():
    for more in ({}, {"until": NOW - 1}, {"used": "server x"}):
        for options in ({}, {"run": RUN}, {"older_than_s": 0.0}):
            verdict = fate(thing(**more), {RUN: Standing.OPEN}, **options)
            assert verdict == (False, "its run is not over")


@pytest.mark.parametrize("standing", [Standing.OVER, Standing.SETTLED])
def test_what_a_run_that_is_over_has_left_is_deleted(standing):
    assert fate(thing(), {RUN: standing}) == (True, "its run is over")


def test_what_an_unknown_run_has_left_is_only_listed():
    assert fate(thing()) == (False, "its run is not in the journal: say --run or --older-than")
    assert fate(thing(run="")) == (False, "nobody knows whose it is: say --run or --older-than")


def test_what_an_unknown_run_has_left_is_deleted_if_the_run_is_named():
    assert fate(thing(), run=RUN) == (True, "its run is not in the journal, and was named")
    assert gc.sort([thing()], Known(), NOW, run=OTHER) == ()


@pytest.mark.parametrize(("hours", "delete"), [(9, True), (10, True), (11, False)])
def test_what_an_unknown_run_has_left_is_deleted_if_it_is_old_enough(hours, delete):
    assert fate(thing(), older_than_s=hours * HOUR)[0] is delete


def test_what_says_no_day_is_not_deleted_for_its_age():
    one = Thing(Kind.KEY, "key-1", "key-1", mark="upgrade-flows-" + "0" * 20)
    assert fate(one, older_than_s=0.0) == (False, "nobody knows whose it is, nor how old it is: say"
                                                  " --run")  # fmt: skip


@pytest.mark.parametrize("runs", [{}, {RUN: Standing.OVER}, {RUN: Standing.SETTLED}])
def test_what_is_kept_for_a_while_is_deleted_when_that_is_over_and_not_before(runs):
    one = thing(Kind.IMAGE, until=NOW)
    assert fate(one, runs, now=NOW - 1) == (False, "kept for a while")
    assert fate(one, runs, now=NOW - 1, run=RUN, older_than_s=0.0)[0] is False
    assert fate(one, runs, now=NOW) == (True, "it was kept for a while, which is over")


def test_room_is_held_for_somebody_at_work_whose_run_is_neither_over_nor_given_up():
    one = thing(Kind.HOLD, until=NOW + 1)
    assert fate(one, older_than_s=0.0) == (False, "kept for a while")
    assert fate(one, run=RUN) == (True, "its run is not in the journal, and was named")
    assert fate(one, {RUN: Standing.OVER}) == (True, "its run is over")
    assert fate(one, {RUN: Standing.OPEN}, run=RUN) == (False, "its run is not over")


def test_an_old_root_volume_is_deleted_by_its_own_mark_whatever_its_name():
    one = Thing(Kind.VOLUME, "v", "somebody's own name", until=NOW - 1)
    assert fate(one) == (True, "it was kept for a while, which is over")


def test_what_somebody_uses_is_kept():
    for runs in ({}, {RUN: Standing.OVER}):
        verdict = fate(thing(used="server web", until=NOW - 1), runs, run=RUN, older_than_s=0.0)
        assert verdict == (False, "in use by server web")


def test_a_volume_of_a_run_that_was_committed_may_be_an_instances():
    assert fate(thing(Kind.VOLUME), {RUN: Standing.SETTLED})[0] is False
    assert fate(thing(Kind.VOLUME, until=NOW - 1), {RUN: Standing.SETTLED})[0] is True


def test_what_a_server_of_ours_holds_goes_with_it_or_not_at_all():
    held = thing(held_by="server-1")
    server = Thing(Kind.SERVER, "server-1", "x", RUN, created=MIDNIGHT)
    assert [v.delete for v in gc.sort([held, server], Known(), NOW, run=RUN)] == [True, True]
    kept = Thing(Kind.SERVER, "server-1", "x", RUN, used="its owner: it holds port p")
    assert [
        (v.thing.kind, v.delete, v.why) for v in gc.sort([held, kept], Known(), NOW, run=RUN)
    ] == [
        (Kind.SERVER, False, "in use by its owner: it holds port p"),
        (Kind.PORT, False, "held by server server-1, which is kept"),
    ]


def test_a_mark_that_the_journal_knows_tells_the_run():
    mark = things.short_tag(RUN, "boot-surrogate:x")
    one = Thing(Kind.SERVER, "s", "x", mark=mark)
    known = Known({RUN: Standing.OPEN}, {mark: RUN})
    (verdict,) = gc.sort([one], known, NOW, older_than_s=0.0)
    assert (verdict.thing.run, verdict.why) == (RUN, "its run is not over")


def test_things_are_sorted_as_they_are_removed():
    found = [Thing(kind, kind, "x", RUN) for kind in reversed(Kind)]
    assert [v.thing.kind for v in gc.sort(found, Known(), NOW)] == [
        "server", "port", "snapshot", "volume", "image", "key", "hold", "lock",
    ]  # fmt: skip


# the marks


@pytest.mark.parametrize(
    ("name", "run"),
    [
        (f"{RUN}/create-health-port:x", RUN),
        (f"{RUN}/snapshot-server:a:b", RUN),
        (f"{RUN}/", ""),
        (f"{RUN}", ""),
        (f"my {RUN}/create-port:x", ""),
        ("20261120-3386D9/create-port:x", ""),
        ("20261120-3386d9f/create-port:x", ""),
        ("", ""),
    ],
)
def test_only_a_whole_tag_is_a_name_of_ours(name, run):
    assert things.run_of(name) == run


def test_locks_and_holds_say_their_run():
    assert things.run_of_lock(f"upgrade-flows {RUN}") == RUN
    assert things.run_of_lock(f"upgrade-flows {RUN}: live update") == RUN
    assert things.run_of_lock("upgrade-flows is great") == ""
    assert things.run_of_lock(None) == ""
    assert things.of_hold(f"{RUN}/1795176000") == (RUN, 1_795_176_000.0)
    assert things.of_hold("somebody") == ("", None)


def test_a_run_is_no_older_than_the_end_of_its_day():
    assert things.day_after(RUN) == MIDNIGHT
    assert things.day_after("20261399-3386d9") is None


def test_a_short_tag_is_told_as_the_steps_tell_it():
    cloud, server = scenes.cloud_with("recreate")
    flow = scenes.build("recreate", cloud, server)
    (step,) = [s for s in scenes.steps_of(flow) if s.name == f"create-replacement:{server}"]
    assert things.short_tag("run-1", step.name) == step.short_tag


def test_every_step_that_makes_servers_is_known():
    def names(flow):
        return {step.name.partition(":")[0] for step in scenes.steps_of(flow)}

    found = set()
    for case in ("recreate", "snapshot"):
        found |= names(scenes.build(case, *scenes.cloud_with(case)))
    for case in ("image-hot", "volume-hot"):
        cloud, server = live_scenes.cloud_with(case)
        found |= names(live_scenes.build(cloud, live_scenes.action_for(case, cloud, server)))
    found |= names(capture_scenes.build("image", *capture_scenes.cloud_with("image")))
    cloud = rolling_scenes.FakeCloud(hosts=("h1", "h2"))
    (action,) = rolling_scenes.plan_for(cloud, "h1").actions
    context = rolling_scenes.context(cloud)
    found |= names(capability.get("host_upgrade").change(context, action))
    assert set(things.MAKERS) <= found
