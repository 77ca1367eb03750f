"""The other ways of a live update, side by side: to another host, from a volume, by a boot.

One guest goes to the other host and boots a new image from a volume, one has a clone of its
root volume updated offline, and one carries its data into a surrogate that boots with it.
"""

from __future__ import annotations

import json

import pytest

from tests.expectations import unexpected
from tests.functional import live, whole
from tests.functional.instances import changes, truth
from tests.functional.runs import together
from tests.lab import api
from upgrade_flows.model.report import State

AWAY, CLONED, BOOTED = "away", "cloned", "booted"
WISHES = {
    AWAY: live.Wish(AWAY, 102, volume_backed=True),
    CLONED: live.Wish(CLONED, 103, volume_backed=True),
    BOOTED: live.Wish(BOOTED, 104, host=live.THERE),
}
#: writes what /cgi-bin/state shows as the mark to the clone's first partition
UPDATE = """
mkdir -p /run/clone
mount -t vfat -o rw,sync "$(readlink -f "$UF_DEVICE")1" /run/clone &&
    echo updated >/run/clone/mark &&
    umount /run/clone
"""


class Story:
    """Three guests, updated in one run; the first is committed, the others go back."""


def mark(guest):
    """Return the mark on the root disk that a guest has booted from."""
    return json.loads(guest.page("cgi-bin/state"))["mark"]


def roots(told):
    """Return what is told of instances, and of them their root volumes for themselves."""
    volumes = told["volumes"]
    (root,) = [one for one in volumes.values() if one["device"] == "/dev/vda"]
    data = {name: one for name, one in volumes.items() if one is not root}
    server = {k: v for k, v in told["server"].items() if not k.endswith("volumes_attached")}
    return {**told, "volumes": data, "server": server}, root


@pytest.fixture(scope="module")
def story(updates):
    story = Story()
    made = live.make(*WISHES.values())
    story.guests = dict(zip(WISHES, made, strict=True))
    for guest in made:
        guest.ask("bump")
    story.was = {name: guest.ask() for name, guest in story.guests.items()}
    story.first = {name: truth(guest.id) for name, guest in story.guests.items()}
    story.cloud = whole.listing()

    away, cloned, booted = made
    hooks = {**live.HOOKS, "update": UPDATE}
    plan = together(
        [
            updates.plan(away, hosts=(live.THERE,)),
            updates.plan(cloned, update=True, settings=hooks),
            updates.plan(booted, workload="stateless", ready=[{"console": "GUEST-READY"}]),
        ]
    )
    story.actions = {action.name.removeprefix(live.OURS): action for action in plan.actions}
    story.run_id = updates.run(plan)
    story.results = {name: updates.result(story.run_id, g) for name, g in story.guests.items()}
    story.now = {name: guest.ask("bump") for name, guest in story.guests.items()}
    story.marks = {name: mark(guest) for name, guest in story.guests.items()}
    story.second = {
        name: live.told(one["server_id"], story.guests[name]) for name, one in story.results.items()
    }
    story.originals = {name: truth(guest.id) for name, guest in story.guests.items()}
    return story


@pytest.mark.parametrize("name", WISHES)
def test_the_state_goes_on_in_another_guest_at_the_same_address(story, name):
    assert (story.was[name]["count"], story.now[name]["count"]) == (1, 2)
    assert story.now[name]["boot_id"] != story.was[name]["boot_id"]
    (port,) = story.second[name]["ports"].values()
    assert (port["id"], port["mac_address"]) == (story.guests[name].port, story.guests[name].mac)


@pytest.mark.parametrize("name", [AWAY, BOOTED])
def test_a_new_image_has_the_new_kernel(story, name):
    assert story.now[name]["kernel"].startswith(live.NEW_KERNEL)


def test_an_updated_clone_has_what_the_update_wrote_and_the_original_has_not(story):
    assert story.marks[CLONED] == "updated"
    assert story.now[CLONED]["kernel"] == story.was[CLONED]["kernel"]


def test_a_surrogate_may_go_to_another_host(story):
    assert story.second[AWAY]["server"]["OS-EXT-SRV-ATTR:host"] == live.THERE
    assert story.originals[AWAY]["server"]["OS-EXT-SRV-ATTR:host"] == live.HERE


def test_a_workload_that_needs_a_boot_has_its_original_stopped_and_not_frozen(story):
    assert story.actions[BOOTED].details["restart"]
    states = {name: told["server"]["status"] for name, told in story.originals.items()}
    assert states == {AWAY: "PAUSED", CLONED: "PAUSED", BOOTED: "SHUTOFF"}


@pytest.mark.parametrize("name", [AWAY, CLONED])
def test_the_original_keeps_its_root_volume_and_the_surrogate_has_one_like_it(story, name):
    first, root = roots(story.first[name])
    second, new = roots(story.second[name])
    _, kept = roots(story.originals[name])
    assert kept["volumeId"] == root["volumeId"] != new["volumeId"]
    also = frozenset({"host"} if name == AWAY else ())
    found = changes(first, second)
    assert unexpected(found, "live-update", "changed", "openstack", also) == {}
    assert story.results[name]["undeclared"] == []


def test_the_services_tell_no_other_difference_of_what_was_booted_than_was_declared(story):
    found = changes(story.first[BOOTED], story.second[BOOTED])
    assert unexpected(found, "live-update", "changed", "openstack") == {}


@pytest.fixture(scope="module")
def ended(updates, story):
    back = [story.guests[name] for name in (CLONED, BOOTED)]
    updates.engine().rollback(story.run_id, [guest.id for guest in back])
    updates.engine().commit(story.run_id, [story.guests[AWAY].id])
    story.then = {name: guest.ask() for name, guest in story.guests.items()}
    story.cloud_then = whole.listing()
    return {name: updates.journal.subject(story.run_id, g.id) for name, g in story.guests.items()}


@pytest.mark.parametrize("name", [CLONED, BOOTED])
def test_rollback_gives_everything_back(story, ended, name):
    assert (ended[name].state, ended[name].residue) == (State.UNDONE, ())
    assert story.then[name]["count"] == 2
    assert story.then[name]["kernel"] == story.was[name]["kernel"]
    # the one that was stopped has booted; the one that was frozen goes on
    assert (story.then[name]["boot_id"] == story.was[name]["boot_id"]) == (name == CLONED)
    assert mark(story.guests[name]) == ""
    assert changes(story.first[name], truth(story.guests[name].id)) == {}


def test_commit_keeps_the_old_root_volume_and_says_until_when(story, ended):
    assert (ended[AWAY].state, ended[AWAY].residue) == (State.SETTLED, ())
    _, root = roots(story.first[AWAY])
    kept = api.shared("lab-admin").block_storage.get_volume(root["volumeId"])
    assert (kept.status, kept.attachments) == ("available", [])
    assert float(kept.metadata["upgrade_flows_until"]) > 0
    last, new = roots(truth(story.results[AWAY]["server_id"]))
    assert new["delete_on_termination"]
    first, _ = roots(story.first[AWAY])
    found = unexpected(
        changes(first, last), "live-update", "committed", "openstack", frozenset({"host"})
    )
    assert found == {}
    api.shared("lab-admin").block_storage.delete_volume(kept)


def test_nothing_else_is_left_in_the_whole_cloud(story, ended):
    guest = story.guests[AWAY]
    (_, old), (_, new) = roots(story.first[AWAY]), roots(story.second[AWAY])
    replaced = (guest.id, new["serverId"], old["volumeId"], new["volumeId"], guest.mac)
    found = whole.difference(story.cloud, story.cloud_then)
    left = {
        path: pair
        for path, pair in found.items()
        if not any(one in f"{path} {pair}" for one in replaced)
    }
    assert left == {}
