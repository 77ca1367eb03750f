"""Three conductors that are killed at random moments, on the real cloud: nothing is lost."""

from __future__ import annotations

import random

import pytest

from tests.expectations import marked, unexpected
from tests.functional.instances import Wish, changes, make, truth
from tests.functional.killing import Killer, Operator
from tests.functional.runs import Runs
from tests.lab import agents, api
from upgrade_flows.model.report import State

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
HOME, AWAY = "fake5", "fake6"
KILLS = 20
#: nobody's steps may be broken off so often; that a subject is set aside then is for other tests
MOST_TRIES = 100

SHOWN = {
    "rebind": Wish("fleet-rebind", HOME, nics=2),
    "cold-migrate": Wish("fleet-cold", HOME, data_volume=True),
    "shelve": Wish("fleet-shelve", HOME),
    "recreate": Wish("fleet-recreate", HOME, volume_backed=True, data_volume=True),
    "snapshot": Wish("fleet-snapshot", HOME, data_volume=True),
}
STRATEGIES = list(SHOWN)
KEPT = ("rebind", "cold-migrate", "shelve")  # their rollback gives back the same instance


@pytest.fixture(scope="module")
def story(fleet, cloud, tmp_path_factory):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {seed}")
    killer, operator = Killer(fleet, random.Random(seed)), Operator(fleet)
    runs = Runs(cloud, tmp_path_factory.mktemp("plans"))
    _modes(OLD)
    ids = make(SHOWN.values())
    first = {name: truth(server) for name, server in ids.items()}

    _modes(NEW)
    run = operator.submit(runs.plan({ids[SHOWN[name].name]: name for name in SHOWN}, AWAY))
    killer.until(operator.ended(run))
    changed = operator.outcomes(run)
    second = {
        name: truth(record.result["server_id"])
        for name, record in changed.items()
        if record.state is State.CHANGED
    }
    _modes(OLD)
    operator.type("rollback", run, "--yes", "--no-watch")
    killer.until(operator.ended(run))
    undone = operator.outcomes(run)

    rounds = 0
    while killer.kills < KILLS and rounds < 5:  # the instances that are the same as before
        rounds += 1
        _modes(NEW)
        again = operator.submit(runs.plan({ids[SHOWN[n].name]: n for n in KEPT}, AWAY))
        killer.until(operator.ended(again))
        _modes(OLD)
        operator.type("rollback", again, "--yes", "--no-watch")
        killer.until(operator.ended(again))
    yield {
        "first": first, "second": second, "changed": changed, "undone": undone, "run": run,
        "kills": killer.kills, "journal": operator.journal,
    }  # fmt: skip
    operator.journal.close()


def _modes(mode):
    for host in (HOME, AWAY):
        agents.set_mode(host, mode, wait=False)
    agents.wait_reported(HOME, AWAY)


def test_conductors_were_killed_twenty_times_and_more_than_one_did_the_work(story):
    print(f"killed {story['kills']} times")
    assert story["kills"] >= KILLS
    events = story["journal"].events(story["run"])
    assert len({event.owner for event in events if event.step}) > 3


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_instance_is_changed_as_if_nothing_had_happened(story, strategy):
    name = SHOWN[strategy].name
    record = story["changed"][name]
    assert (record.state, record.error) == (State.CHANGED, "")
    found = changes(story["first"][name], story["second"][name])
    assert unexpected(found, strategy, "changed", "openstack") == {}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_instance_is_rolled_back_as_if_nothing_had_happened(story, strategy):
    name = SHOWN[strategy].name
    assert story["undone"][name].state in (State.UNDONE, State.RESIDUE)
    admin = api.shared("lab-admin")
    (server,) = admin.compute.servers(all_projects=True, name=f"^{name}$")
    found = changes(story["first"][name], truth(server.id))
    assert unexpected(found, strategy, "rolled back", "openstack") == {}


def test_no_step_began_before_the_one_before_it_had_ended(story):
    """Nobody worked on an instance twice at once: a step that runs again was cut off before."""
    for subject in story["journal"].subjects(story["run"]):
        open_step, owner = None, None
        for event in story["journal"].events(story["run"], subject):
            if event.what in ("started", "reverting"):
                assert open_step is None or owner != event.owner
                open_step, owner = event.step, event.owner
            elif event.step:
                assert (event.step, event.owner) == (open_step, owner)
                open_step = None


def test_nothing_of_ours_is_left_over(story):
    admin = api.shared("lab-admin")
    servers = [
        server
        for server in admin.compute.servers(all_projects=True, details=True)
        if server.name.startswith("fleet-")
    ]
    assert len(servers) == len(SHOWN)
    assert [server.name for server in servers if marked(server.tags)] == []
