"""Where the second instance goes when there is no room for it beside the first."""

from __future__ import annotations

import threading
import time

import pytest

from tests.functional import whole
from tests.functional.crowd import Crowd, flavor
from tests.functional.instances import Wish, make, truth
from tests.functional.rolling import standing
from tests.functional.unmanned import PLAIN, Updates, but_for_new_ports
from upgrade_flows.model.report import State

PREFIX = "lr-"
OWN, ALONE = "fake1", "fake5"
HOSTS = ("fake1", "fake2", "fake3", "fake4", "fake5")
HERE = {**PLAIN, "elsewhere": False}
NOWHERE = {**HERE, "make_room": False}

#: which shares of CPU and memory are taken, so that the policies want different hosts
FULL = {
    "fake2": {"VCPU": 0.75, "MEMORY_MB": 0.05},
    "fake3": {"VCPU": 0.05, "MEMORY_MB": 0.5},
    "fake4": {"VCPU": 0.25, "MEMORY_MB": 0.25},
    "fake5": {"VCPU": 0.75, "MEMORY_MB": 0.6},
}
WANTED = {
    "striping": "fake4",
    "packing": "fake5",
    "cpu_allocation_balance": "fake3",
    "memory_allocation_balance": "fake2",
    # nothing measures the lab's hosts: what is allocated counts as used, and the plan says so
    "cpu_utilization_balance": "fake3",
    "memory_utilization_balance": "fake2",
}


class Scene:
    """A host with an instance and a neighbour, each of a third of it, and too little besides."""

    def __init__(self, cloud, folder):
        self.crowd = Crowd()
        self.updates = Updates(cloud, folder, PREFIX)
        self.needed = int(0.3 * self.crowd.capacity(OWN))
        flavor(f"{PREFIX}big", 4, self.needed)
        self.ids = self.make("subject", "neighbour", host=OWN)
        self.crowd.fill(OWN, MEMORY_MB=0.8)
        for host, shares in FULL.items():
            self.crowd.fill(host, **shares)

    @property
    def subject(self):
        return self.ids[f"{PREFIX}subject"]

    def make(self, *names, host):
        wishes = [Wish(PREFIX + name, host, flavor=f"{PREFIX}big") for name in names]
        return make(wishes)

    def action(self, options, *names):
        """Plan for the instance that the tests are about, and return its action."""
        plan = self.updates.asked([self.subject], options, HOSTS)
        (action,) = plan.actions
        return action

    def away(self):
        self.crowd.leave()
        self.updates.clear()


@pytest.fixture(scope="module")
def scene(patient, cloud, tmp_path_factory):
    at_first = whole.listing()
    scene = Scene(cloud, tmp_path_factory.mktemp("journal"))
    yield scene
    scene.away()
    assert whole.difference(at_first, whole.listing()) == {}


def lack(scene, host=OWN):
    return f"{scene.crowd.free(host)} MB of memory are free, {scene.needed} are needed"


@pytest.mark.parametrize("policy", WANTED)
def test_without_room_it_goes_to_the_host_that_the_policy_wants(scene, policy):
    action = scene.action({**PLAIN, "placement": policy})
    assert (action.strategy, action.details["target_host"]) == ("other-host", WANTED[policy])
    assert action.because == (
        f"not on its own host {OWN}: {lack(scene)}",
        f"{WANTED[policy]} by the placement policy {policy}",
    )


@pytest.mark.parametrize("policy", WANTED)
def test_where_it_must_not_leave_a_neighbour_goes_to_the_host_that_the_policy_wants(scene, policy):
    action = scene.action({**HERE, "placement": policy})
    assert (action.strategy, action.details["target_host"]) == ("make-room", OWN)
    assert action.details["moves"] == [
        {
            "server": scene.ids[f"{PREFIX}neighbour"],
            "name": f"{PREFIX}neighbour",
            "source": OWN,
            "target": WANTED[policy],
        }
    ]
    assert action.because[-1] == (
        f"{PREFIX}neighbour ({scene.needed} MB) makes room, and goes to {WANTED[policy]} by"
        f" {policy}"
    )


def test_where_nothing_may_be_done_it_is_refused_with_what_is_free_and_needed(scene):
    plan = scene.updates.asked([scene.subject], NOWHERE, HOSTS)
    assert plan.actions == ()
    (finding,) = plan.findings
    assert finding.id == "UF-LU-022"
    assert f"not on its own host {OWN}: {lack(scene)}" in finding.message
    assert finding.evidence[OWN] == {
        "MEMORY_MB": {"free": scene.crowd.free(OWN), "needed": scene.needed}
    }


@pytest.fixture(scope="module")
def elsewhere(scene):
    """Update the instance on another host, and take it back."""
    updates, before, was = scene.updates, whole.listing(), truth(scene.subject)
    run = updates.run(updates.asked([scene.subject], {**PLAIN, "placement": "striping"}, HOSTS))
    found = {"changed": updates.journal.subject(run, scene.subject), "there": standing()}
    updates.engine().rollback(run)
    return {
        **found,
        "undone": updates.journal.subject(run, scene.subject),
        "differs": but_for_new_ports(was, truth(scene.subject)),
        "left": whole.difference(before, whole.listing()),
    }


def test_it_is_updated_on_another_host_and_comes_back(elsewhere):
    assert (elsewhere["changed"].state, elsewhere["changed"].error) == (State.CHANGED, "")
    assert elsewhere["there"][f"{PREFIX}subject-surrogate"] == ("fake4", "ACTIVE")
    assert elsewhere["there"][f"{PREFIX}subject"] == (OWN, "PAUSED")
    assert (elsewhere["undone"].state, elsewhere["undone"].residue) == (State.UNDONE, ())
    assert elsewhere["differs"] == {}
    assert elsewhere["left"] == {}


@pytest.fixture(scope="module")
def made(scene, elsewhere):
    """Update the instance where a neighbour makes room, and take it back; again, and commit."""
    updates, found = scene.updates, []
    options = {**HERE, "placement": "memory_allocation_balance"}
    for end in ("rollback", "commit"):
        before = whole.listing()
        run = updates.run(updates.asked([scene.subject], options, HOSTS))
        there = standing()
        getattr(updates.engine(), end)(run)
        left = whole.difference(before, whole.listing())
        found.append((updates.journal.subject(run, scene.subject), there, standing(), left))
    return found


def test_a_neighbour_that_made_room_comes_back_when_the_update_is_taken_back(made):
    record, there, then, left = made[0]
    assert (record.state, record.error, record.residue) == (State.UNDONE, "", ())
    assert there[f"{PREFIX}neighbour"] == ("fake2", "ACTIVE")
    assert there[f"{PREFIX}subject-surrogate"] == (OWN, "ACTIVE")
    assert then[f"{PREFIX}neighbour"] == (OWN, "ACTIVE")
    assert then[f"{PREFIX}subject"] == (OWN, "ACTIVE")
    assert left == {}


def test_a_neighbour_that_made_room_stays_where_it_went_when_the_update_is_committed(made):
    record, _, then, _ = made[1]
    assert (record.state, record.error) == (State.SETTLED, "")
    ours = {name: place for name, place in then.items() if name.startswith(PREFIX)}
    assert ours == {
        f"{PREFIX}neighbour": ("fake2", "ACTIVE"),
        f"{PREFIX}subject": (OWN, "ACTIVE"),
    }


@pytest.fixture(scope="module")
def turns(scene):
    """Update two instances of a host with room for one at the same time, in two runs."""
    scene.crowd.leave(ALONE)
    ids = scene.make("one", "two", host=ALONE)
    scene.crowd.fill(ALONE, MEMORY_MB=0.65)
    updates = scene.updates
    together = updates.asked(ids.values(), NOWHERE, HOSTS)
    plans = {server: updates.asked([server], NOWHERE, HOSTS) for server in ids.values()}
    runs = {server: updates.engine().start(plan) for server, plan in plans.items()}
    threads = {
        server: threading.Thread(target=updates.engine().run, args=(run,))
        for server, run in runs.items()
    }

    def state(server):
        return updates.journal.subject(runs[server], server).state

    def events(server, what):
        found = updates.journal.events(runs[server], server)
        return [event for event in found if event.what == what]

    for thread in threads.values():
        thread.start()
    first = _one(lambda: [server for server in runs if state(server) is State.CHANGED])
    (second,) = set(runs) - {first}
    waited = _one(lambda: events(second, "waiting"))
    found = {
        "together": together,
        "first": [event.what for event in updates.journal.events(runs[first], first)],
        "meanwhile": (state(second), events(second, "waiting"), waited),
    }
    updates.engine().commit(runs[first])
    found["committed"] = updates.journal.subject(runs[first], first)
    for thread in threads.values():
        thread.join(300)
    found["second"] = updates.journal.subject(runs[second], second)
    found["names"] = {server: name for name, server in ids.items()}
    found["order"] = (first, second)
    found["standing"] = standing()
    return found


def _one(fetch, seconds=300):
    end = time.monotonic() + seconds
    while not (found := fetch()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return found[0]


def test_one_plan_for_both_says_that_they_take_turns(turns):
    actions = turns["together"].actions
    assert [action.strategy for action in actions] == ["own-host", "wait-for-room"]
    assert actions[1].because[-1] == f"waits for room: 1 of this plan fits on {ALONE} at a time"


def test_the_second_waits_for_room_and_the_first_is_not_disturbed(turns):
    assert "failed" not in turns["first"]
    assert "waiting" not in turns["first"]
    state, told, _ = turns["meanwhile"]
    assert state is State.CHANGING
    assert len(told) == 1
    assert f"room on {ALONE}" in told[0].detail


def test_the_second_goes_on_when_the_first_was_committed(turns):
    assert turns["committed"].state is State.SETTLED
    assert (turns["second"].state, turns["second"].error) == (State.CHANGED, "")
    first, second = (turns["names"][server] for server in turns["order"])
    ours = {
        name: place
        for name, place in turns["standing"].items()
        if name in (first, second, f"{first}-surrogate", f"{second}-surrogate")
    }
    assert ours == {
        first: (ALONE, "ACTIVE"),
        second: (ALONE, "PAUSED"),
        f"{second}-surrogate": (ALONE, "ACTIVE"),
    }
