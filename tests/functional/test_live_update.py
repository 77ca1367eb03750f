"""``live_update`` of a real guest that serves from a data volume: there, back, and there for good.

What counts is what its users see (the state goes on, at the same address) and what the cloud's
services say of it, before and after, compared whole.
"""

from __future__ import annotations

import pytest

from tests.expectations import unexpected
from tests.functional import live, whole
from tests.functional.instances import changes, truth
from tests.lab import api
from upgrade_flows.errors import RequestError
from upgrade_flows.model.report import State
from upgrade_flows.reports import build, text


class Story:
    """One guest: updated, rolled back, updated again, committed."""


@pytest.fixture(scope="module")
def story(updates):
    story = Story()
    (story.guest,) = live.make(live.Wish("story", 100))
    for _ in range(3):
        story.guest.ask("bump")
    story.was = story.guest.ask()
    story.first, story.cloud = truth(story.guest.id), whole.listing()

    story.plan = updates.plan(story.guest)
    with story.guest.polled() as story.polled:
        story.run_id = updates.run(story.plan)
    story.result = updates.result(story.run_id, story.guest)
    story.now = story.guest.ask("bump")
    story.second = live.told(story.result["server_id"], story.guest)
    story.original = truth(story.guest.id)
    story.report = text.text(build.build(updates.journal, story.run_id), width=200)
    return story


def test_the_service_goes_on_with_its_state_under_the_new_kernel(story):
    assert story.was["kernel"].startswith(live.OLD_KERNEL)
    assert story.now["kernel"].startswith(live.NEW_KERNEL)
    assert (story.was["count"], story.now["count"]) == (3, 4)
    assert story.now["hostname"] == story.was["hostname"]


def test_nobody_else_but_the_two_has_ever_answered(story):
    assert story.polled.boots == [story.was["boot_id"], story.now["boot_id"]]


def test_the_port_is_the_same_one_with_its_mac_and_its_address(story):
    (port,) = story.second["ports"].values()
    assert (port["id"], port["mac_address"]) == (story.guest.port, story.guest.mac)
    assert [ip["ip_address"] for ip in port["fixed_ips"]] == [story.guest.address]
    assert (port["status"], port["binding:host_id"]) == ("ACTIVE", live.HERE)


def test_the_services_tell_no_other_difference_than_what_the_plan_declared(story):
    found = changes(story.first, story.second)
    assert unexpected(found, "live-update", "changed", "openstack") == {}
    assert story.result["undeclared"] == []


def test_the_original_is_frozen_and_has_no_port_and_no_data(story):
    server = story.original["server"]
    assert (server["status"], server["name"]) == ("PAUSED", story.guest.name)
    assert (story.original["ports"], story.original["volumes"]) == ({}, {})


def test_the_report_has_the_blackout_and_the_calls_that_it_is_made_of(story):
    moved = story.result["moved"]
    calls = [(call["call"], call["item"]) for call in moved["calls"]]
    assert sorted(calls) == [
        ("attach port", story.guest.port),
        ("attach volume", story.guest.volume),
        ("detach port", story.guest.port),
        ("detach volume", story.guest.volume),
    ]
    assert moved["unavoidable_s"] == pytest.approx(sum(call["seconds"] for call in moved["calls"]))
    # what it says of itself begins a little before, and ends a little after
    seen = story.polled.http.longest
    assert seen - 1 < moved["blackout_s"] < seen + 5
    print(f"blackout {moved}, seen from outside {story.polled}")
    for word in ("Blackout, measured", *[call for call, _ in calls], *[i for _, i in calls]):
        assert word in story.report


@pytest.fixture(scope="module")
def rolled_back(updates, story):
    with story.guest.polled() as story.polled_back:
        updates.engine().rollback(story.run_id)
    story.back = story.guest.ask()
    story.third, story.cloud_back = truth(story.guest.id), whole.listing()
    return updates.journal.subject(story.run_id, story.guest.id)


def test_rollback_lets_the_original_go_on_where_it_was_with_the_state_of_now(story, rolled_back):
    assert (rolled_back.state, rolled_back.residue) == (State.UNDONE, ())
    assert story.back == {**story.was, "count": story.now["count"]}
    assert story.polled_back.boots == [story.now["boot_id"], story.was["boot_id"]]


def test_after_rollback_the_services_say_what_they_said_before(story, rolled_back):
    assert changes(story.first, story.third) == {}


def test_after_rollback_nothing_of_ours_is_left_in_the_whole_cloud(story, rolled_back):
    assert whole.difference(story.cloud, story.cloud_back) == {}


@pytest.fixture(scope="module")
def committed(updates, story, rolled_back):
    plan = updates.plan(story.guest, grace_s=3600)
    run_id = updates.run(plan)
    story.updated = updates.result(run_id, story.guest)
    updates.engine().commit(run_id)
    story.last, story.cloud_last = story.guest.ask("bump"), whole.listing()
    return updates.journal.subject(run_id, story.guest.id)


def test_commit_leaves_one_instance_that_has_the_name_and_all_that_was_its(story, committed):
    assert (committed.state, committed.error) == (State.SETTLED, "")
    assert (story.last["count"], story.last["kernel"]) == (5, story.now["kernel"])
    now = truth(committed.result["server_id"])
    found = changes(story.first, now)
    assert unexpected(found, "live-update", "committed", "openstack") == {}


def test_after_commit_the_old_root_disk_is_all_that_is_left_and_says_until_when(story, committed):
    found = whole.difference(story.cloud, story.cloud_last)
    new, old = committed.result["server_id"], story.guest.id
    assert found.pop(f"servers.{old}")[1] is None
    assert found.pop(f"servers.{new}")[0] is None
    image_id = story.updated["way_back"]["image"]
    assert found.pop(f"images.{image_id}")[1]["status"] == "active"
    image = api.shared("lab-admin").image.get_image(image_id)
    assert float(image.properties["upgrade_flows_until"]) > 0
    # whatever else is different is that the volume, the port and the room are the new one's
    left = {path: pair for path, pair in found.items() if new not in f"{path} {pair}"}
    left = {path: pair for path, pair in left.items() if old not in f"{path} {pair}"}
    assert left == {}


def test_what_is_committed_cannot_be_rolled_back(updates, story, committed):
    run_id = updates.journal.runs()[0].id
    with pytest.raises(RequestError):
        updates.engine().rollback(run_id, [story.guest.id])
