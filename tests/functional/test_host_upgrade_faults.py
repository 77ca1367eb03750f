"""What goes wrong during a rolling host upgrade: it ends as announced, and ``resume`` goes on."""

from __future__ import annotations

import threading
import time

import pytest

from tests.functional import rolling
from tests.functional.instances import Wish, make, owner
from tests.functional.rolling import Rolling
from tests.lab import api, hosts, messaging, processes, reset
from tests.lab.settings import Settings as LabSettings
from upgrade_flows.flows.host_upgrade.options import CHOICE
from upgrade_flows.model.report import State

SHORT = {"reboot_s": 30.0, "compute_s": 30.0, "live_migration_s": 8.0, "arrival_s": 60.0}


@pytest.fixture
def runs(cloud, tmp_path):
    reset.reset()
    hosts.mend()
    hosts.old(*rolling.FAKE)
    runs = Rolling(cloud, tmp_path, **SHORT)
    yield runs
    runs.journal.close()
    hosts.mend()


def ended(runs, run_id):
    """Return state and error of every host."""
    found = runs.journal.subjects(run_id)
    return {name: (record.state, record.error) for name, record in found.items()}


def test_what_is_in_the_way_is_named_before_anything_is_touched(runs):
    ids = make([Wish("rescued", "fake1"), Wish("asked", "fake2"), Wish("resized", "fake3")])
    rolling.put(ids["rescued"], "RESCUE")
    owner().compute.set_server_metadata(ids["asked"], **{CHOICE: "notify"})
    api.shared("lab-admin").compute.migrate_server(ids["resized"], host="fake4")
    rolling.reaches(owner(), ids["resized"], "VERIFY_RESIZE")
    plan = runs.plan(["fake1", "fake2", "fake4", "fake5"])
    assert [action.subject for action in plan.actions] == ["fake5"]
    found = {finding.subject: finding.message for finding in plan.findings}
    assert found == {
        "fake1": f"rescued ({ids['rescued']}) is in the way: it is being rescued",
        "fake2": f"asked ({ids['asked']}) is in the way: its owner wants to be asked first"
        f" ({CHOICE}=notify)",
        "fake4": f"resized ({ids['resized']}) is in the way: a resize or migration of it waits to"
        " be confirmed",
    }
    assert {rolling.says(host) for host in rolling.FAKE} == {("enabled", None)}


def test_a_live_migration_that_fails_is_tried_elsewhere_and_at_last_done_cold(runs):
    ids = make([Wish("fails", "fake1"), Wish("goes", "fake1")])
    hosts.set_behaviour("fake1", {ids["fails"]: {"live": "fail"}})
    limits = {"attempts": 2, "migrations_per_host": 2}
    plan = runs.plan(["fake1", "fake2", "fake3"], may_cold=True, limits=limits)
    run_id = runs.run(plan)
    assert {state for state, _ in ended(runs, run_id).values()} == {State.CHANGED}
    (moves,) = [
        record.result["moves"]
        for name, record in runs.journal.subjects(run_id).items()
        if name == "fake1"
    ]
    assert {move["name"]: move["how"] for move in moves} == {"fails": "cold", "goes": "live"}
    tried = [e for e in runs.journal.events(run_id) if e.what == "unmoved" and "fails" in e.detail]
    assert len(tried) == 2
    assert {status for _, status in rolling.standing().values()} == {"ACTIVE"}


def test_without_leave_to_restart_it_the_instance_runs_on_and_its_host_is_held(runs):
    ids = make([Wish("fails", "fake1"), Wish("goes", "fake1")])
    hosts.set_behaviour("fake1", {ids["fails"]: {"live": "fail"}})
    plan = runs.plan(["fake1", "fake2", "fake3"], limits={"attempts": 2})
    run_id = runs.run(plan)
    state, error = ended(runs, run_id)["fake1"]
    assert state is State.HELD
    assert f"1 instance could not leave fake1: fails ({ids['fails']}): not migrated in" in error
    assert rolling.says("fake1") == ("disabled", f"upgrade-flows {run_id}: host upgrade")
    standing = rolling.standing()
    assert standing["fails"] == ("fake1", "ACTIVE")
    assert standing["goes"][0] != "fake1"

    hosts.set_behaviour("fake1", {})
    runs.engine().resume(run_id)
    assert {state for state, _ in ended(runs, run_id).values()} == {State.CHANGED}
    assert rolling.says("fake1") == ("enabled", None)


@pytest.mark.parametrize(("may_pause", "how"), [(True, "forced"), (False, "aborted")])
def test_a_live_migration_that_never_converges_is_ended(runs, may_pause, how):
    ids = make([Wish("hot", "fake1")])
    hosts.set_behaviour("fake1", {ids["hot"]: {"live": "never"}})
    plan = runs.plan(["fake1", "fake2"], may_pause=may_pause, may_cold=True, limits={"attempts": 1})
    run_id = runs.run(plan)
    assert {state for state, _ in ended(runs, run_id).values()} == {State.CHANGED}
    assert how in {event.what for event in runs.journal.events(run_id)}
    (move,) = runs.journal.subjects(run_id)["fake1"].result["moves"]
    assert move["how"] == ("live" if may_pause else "cold")
    assert rolling.standing()["hot"][1] == "ACTIVE"


def test_a_host_that_does_not_come_back_is_held_and_the_run_goes_on_when_it_is_there(runs):
    make([Wish("one", "fake2")])
    hosts.stay_down("fake1")
    hosts.stay_down("fake3")
    plan = runs.plan(["fake1", "fake2"])
    first = plan.actions[0].subject
    hosts.mend("fake1", "fake2", "fake3")
    hosts.stay_down(first)
    run_id = runs.run(plan)
    state, error = ended(runs, run_id)[first]
    assert state is State.HELD
    assert f"host {first} did not come back within 30 s" in error
    (other,) = {"fake1", "fake2"} - {first}
    assert ended(runs, run_id)[other] == (State.PENDING, "")
    assert rolling.says(other) == ("enabled", None)
    assert runs.journal.run(run_id).state == "parked"

    hosts.power_on(first)
    runs.engine().resume(run_id)
    assert {state for state, _ in ended(runs, run_id).values()} == {State.CHANGED}
    assert hosts.boots(first) >= 2


def test_a_nova_compute_that_stays_down_holds_its_host_which_can_be_skipped(runs):
    plan = runs.plan(["fake1", "fake2"])
    first, other = (action.subject for action in plan.actions)
    hosts.without_compute(first)
    run_id = runs.run(plan)
    state, error = ended(runs, run_id)[first]
    assert state is State.HELD
    assert f"nova-compute of {first} has not been heard of within 30 s" in error

    engine = runs.engine()
    engine.skip(run_id, [first])
    engine.resume(run_id)
    assert ended(runs, run_id) == {
        first: (State.SKIPPED, error),
        other: (State.CHANGED, ""),
    }
    assert rolling.says(first) == ("disabled", f"upgrade-flows {run_id}: host upgrade")


def test_a_package_that_does_not_install_holds_its_host_and_rollback_brings_it_back(runs):
    make([Wish("one", "fake1")])
    plan = runs.plan(["fake1", "fake2"])
    first = plan.actions[0].subject
    before = rolling.software(first)
    hosts.break_package(first)
    run_id = runs.run(plan)
    assert ended(runs, run_id)[first][0] is State.HELD
    assert "lab-kernel" in ended(runs, run_id)[first][1]
    hosts.break_package(first, False)
    runs.engine().rollback(run_id)
    assert ended(runs, run_id)[first][0] is State.UNDONE
    assert rolling.software(first) == before
    assert rolling.says(first) == ("enabled", None)


def test_a_restart_of_the_message_bus_in_the_middle_loses_nothing(runs):
    ids = make([Wish(f"bus-{n}", f"fake{n}") for n in (1, 2, 3)])
    plan = runs.plan(["fake1", "fake2", "fake3"], limits={"migrations_per_host": 2})
    engine = runs.engine()
    run_id = engine.start(plan)
    thread = threading.Thread(target=engine.run, args=(run_id,))
    thread.start()
    end = time.monotonic() + 120
    while not any(e.what == "moving" for e in runs.journal.events(run_id)):
        assert time.monotonic() < end
        time.sleep(0.2)
    processes.stop(messaging.BROKER, grace=20)
    time.sleep(2)
    messaging.start(LabSettings.load())
    thread.join(400)
    assert not thread.is_alive()
    rounds = 0
    while {s for s, _ in ended(runs, run_id).values()} != {State.CHANGED} and rounds < 3:
        rounds += 1  # a call that was under way when the bus went may hold its host
        runs.engine().resume(run_id)
    assert {state for state, _ in ended(runs, run_id).values()} == {State.CHANGED}
    assert set(rolling.standing()) == {f"bus-{n}" for n in (1, 2, 3)}
    assert {status for _, status in rolling.standing().values()} == {"ACTIVE"}
    assert len(ids) == 3
