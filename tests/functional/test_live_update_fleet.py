"""A fleet of real guests: one is updated and captured, and the others follow with its image.

Ten small guests, in waves after a canary.  One of them carries a word in its metadata with which
the service does not pass its probe: it goes back to its original.
"""

from __future__ import annotations

import json

import pytest

from tests.functional import live, whole
from tests.functional.instances import changes, truth
from tests.lab import api
from tests.lab.hosts import seed as guests
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest

FLAVOR, IMAGE = guests.FLAVOR["name"], guests.IMAGE
CAPTURED = f"{live.OURS}captured"
WISHES = [
    live.Wish(f"fleet-{n}", 110 + n, (live.HERE, live.THERE)[n % 2], FLAVOR, IMAGE, data=False)
    for n in range(10)
]
#: guests that bring up themselves what is plugged into them, with a web server without state
PLAIN = {
    "settings": {"network": False},
    "probes": [{"http": "/boot_id"}, {"ssh": "! grep -q spoiled /run/meta_data.json"}],
    "answer_s": 5,
    "grace_s": 0,
}


def says(guest):
    """Return what the web server of a guest says of it."""
    told = json.loads(guest.page("cgi-bin/state", 60))
    return {key: told[key] for key in ("boot_id", "kernel", "mark")}


class Story:
    """The model, its image, and what became of the fleet in two runs."""


@pytest.fixture(scope="module")
def captured(updates):
    """Update one guest, put a mark on it, commit it, and capture it."""
    wish = live.Wish("model", 109, live.HERE, FLAVOR, IMAGE, data=False)
    (model,) = live.make(wish)
    run_id = updates.run(updates.plan(model, **PLAIN))
    updated = updates.result(run_id, model)["server_id"]
    updates.engine().commit(run_id)
    model.page("cgi-bin/mark?captured")
    options = {"name": CAPTURED, "probes": [{"console": "GUEST-READY"}]}
    request = UpgradeRequest("capture", Scope(servers=(updated,)), Target(options=options))
    run_id = updates.run(updates.runs.planned(request))
    updates.engine().commit(run_id)
    return updates.journal.subject(run_id, updated)


@pytest.fixture(scope="module")
def story(updates, captured):
    story = Story()
    story.fleet = live.make(*WISHES)
    by_id = {guest.id: guest for guest in story.fleet}
    order = [by_id[action.subject] for action in plan(updates, story.fleet).actions]
    # what comes right after the canary
    story.canary, story.spoiled = order[:2]
    owner = api.connect("lab-demo")
    owner.compute.set_server_metadata(story.spoiled.id, service="spoiled")
    story.first = {guest.name: truth(guest.id) for guest in story.fleet}
    story.was = {guest.name: says(guest) for guest in story.fleet}
    story.cloud = whole.listing()

    rollout = Rollout(at_a_time=1, canaries=1, max_failures=0)
    story.plan = plan(updates, story.fleet, rollout)
    story.run_id = updates.run(story.plan)
    story.state = updates.journal.run(story.run_id).state
    story.records = updates.runs.outcomes(story.run_id)
    story.back = (says(story.spoiled), truth(story.spoiled.id))
    return story


def plan(updates, fleet, rollout=Rollout()):
    return updates.plan(*fleet, rollout=rollout, image=CAPTURED, **PLAIN)


def in_state(records, state):
    return {name for name, record in records.items() if record.state is state}


def test_what_is_captured_is_an_image_of_the_updated_one_that_has_booted(captured):
    assert (captured.state, captured.error) == (State.SETTLED, "")
    image = api.shared("lab-admin").image.find_image(CAPTURED)
    assert image.status == "active"


def test_the_canary_is_updated_alone_before_any_other(updates, story):
    first = story.plan.waves[0]
    assert ([action.name for action in first.actions], first.canary) == ([story.canary.name], True)
    assert story.records[story.canary.name].state is State.CHANGED
    begun = [record.started for name, record in story.records.items() if record.started]
    assert story.records[story.canary.name].ended < sorted(begun)[1]


def test_one_that_fails_its_probe_is_back_on_its_original(story):
    record = story.records[story.spoiled.name]
    assert (record.state, record.residue) == (State.FAILED, ())
    assert "spoiled" in record.error
    said, told = story.back
    assert said == story.was[story.spoiled.name]
    assert changes(story.first[story.spoiled.name], told) == {}


def test_without_a_budget_for_failures_the_rollout_halts(story):
    assert story.state == "halted"
    assert in_state(story.records, State.FAILED) == {story.spoiled.name}
    assert in_state(story.records, State.CHANGED) == {story.canary.name}
    assert len(in_state(story.records, State.PENDING)) == 8


@pytest.fixture(scope="module")
def rolled_out(updates, story):
    """Keep what has been done, and go on with a budget of one failure."""
    updates.engine().commit(story.run_id, [story.canary.id])
    updates.engine().rollback(story.run_id)
    names = tuple(guest.name for guest in story.fleet)
    rollout = Rollout(at_a_time=4, max_failures=1)
    again = updates.plan(*names, rollout=rollout, image=CAPTURED, **PLAIN)
    story.unchanged = again.unchanged
    story.again = {action.name for wave in again.waves for action in wave.actions}
    run_id = updates.run(again)
    story.second_state = updates.journal.run(run_id).state
    records = updates.runs.outcomes(run_id)
    updates.engine().commit(run_id)
    story.now = {guest.name: says(guest) for guest in story.fleet}
    story.cloud_now = whole.listing()
    return records


def test_what_has_the_image_already_is_not_updated_again(story, rolled_out):
    assert story.unchanged == (story.records[story.canary.name].result["server_id"],)
    assert story.again == {guest.name for guest in story.fleet} - {story.canary.name}


def test_with_a_budget_of_one_the_rollout_goes_on(story, rolled_out):
    assert in_state(rolled_out, State.FAILED) == {story.spoiled.name}
    assert len(in_state(rolled_out, State.CHANGED)) == 8


def test_in_the_end_the_fleet_runs_what_was_captured_but_for_the_one_that_failed(story, rolled_out):
    for guest in story.fleet:
        was, now = story.was[guest.name], story.now[guest.name]
        if guest == story.spoiled:
            assert now == was
            continue
        assert (was["mark"], now["mark"]) == ("", "captured")
        assert now["kernel"].startswith(live.NEW_KERNEL)


def test_nothing_of_ours_is_left_and_each_name_is_there_once(story, rolled_out):
    servers = api.shared("lab-admin").compute.servers(all_projects=True)
    ours = sorted(one.name for one in servers if one.name.startswith(f"{live.OURS}fleet"))
    assert ours == sorted(guest.name for guest in story.fleet)
    found = whole.difference(story.cloud, story.cloud_now)
    # nine instances have other ids, by which the ports and the room are held
    told = [path for path in found if not path.startswith(("servers.", "allocations.", "ports."))]
    assert told == []
    assert sum(path.startswith("servers.") for path in found) == 2 * 9
    assert sum(path.startswith("allocations.") for path in found) == 2 * 9
    ports = {path.rpartition(".")[2] for path in found if path.startswith("ports.")}
    assert ports == {"device_id"}
