"""``kill -9`` of the real command line at random moments, on the real cloud: nothing is lost."""

from __future__ import annotations

import random

import pytest

from tests.expectations import marked, unexpected
from tests.functional.instances import Wish, changes, make, truth
from tests.functional.killing import CommandLine
from tests.functional.runs import Runs
from tests.lab import agents, api
from upgrade_flows.model.report import State

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
HOME, AWAY = "fake5", "fake6"
KILLS = 20
THERE = 12  # of them on the way there
SECONDS = (1.2, 3.5)  # until a kill

SHOWN = {
    "rebind": Wish("kill-rebind", HOME, nics=2),
    "cold-migrate": Wish("kill-cold", HOME, data_volume=True),
    "shelve": Wish("kill-shelve", HOME),
    "recreate": Wish("kill-recreate", HOME, volume_backed=True, data_volume=True),
    "snapshot": Wish("kill-snapshot", HOME, data_volume=True),
}
STRATEGIES = list(SHOWN)


@pytest.fixture(scope="module")
def story(lab, cloud, tmp_path_factory):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {seed}")
    folder = tmp_path_factory.mktemp("journal")
    runs = Runs(cloud, folder)
    command = CommandLine(lab.clouds_yaml, runs.url, random.Random(seed), SECONDS)
    _modes(OLD)
    ids = make(SHOWN.values())
    first = {name: truth(server) for name, server in ids.items()}
    _modes(NEW)
    plan_file = folder / "plan.json"
    strategies = {ids[wish.name]: name for name, wish in SHOWN.items()}
    plan_file.write_text(runs.plan(strategies, AWAY).to_json())

    arguments = ["run", str(plan_file), "--yes"]
    while command.kills < THERE and not command.killed_or_done(*arguments):
        known = runs.journal.runs()
        arguments = ["resume", known[0].id] if known else arguments
    first_round = command.kills
    code, said = command.to_its_end("resume", runs.journal.runs()[0].id)
    assert code == 0, said
    changed = runs.outcomes(runs.journal.runs()[0].id)
    second = {
        name: truth(record.result["server_id"])
        for name, record in changed.items()
        if record.state is State.CHANGED
    }

    _modes(OLD)
    run_id = runs.journal.runs()[0].id
    while command.kills < KILLS and not command.killed_or_done("rollback", run_id, "--yes"):
        pass
    code, said = command.to_its_end("rollback", run_id, "--yes")
    return {
        "ids": ids, "first": first, "second": second, "changed": changed, "run": run_id,
        "undone": runs.outcomes(run_id), "kills": (first_round, command.kills),
        "rollback": (code, said),
    }  # fmt: skip


def _modes(mode):
    for host in (HOME, AWAY):
        agents.set_mode(host, mode, wait=False)
    agents.wait_reported(HOME, AWAY)


def test_it_was_killed_on_the_way_there_and_on_the_way_back(story):
    there, both = story["kills"]
    print(f"killed {there} times on the way there, {both - there} times on the way back")
    assert there >= THERE // 2
    assert both >= THERE


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
    assert story["undone"][name].state in (State.UNDONE, State.RESIDUE), story["rollback"]
    admin = api.shared("lab-admin")
    (server,) = admin.compute.servers(all_projects=True, name=f"^{name}$")
    found = changes(story["first"][name], truth(server.id))
    assert unexpected(found, strategy, "rolled back", "openstack") == {}


def test_nothing_of_ours_is_left_over(story):
    admin = api.shared("lab-admin")
    servers = [
        server
        for server in admin.compute.servers(all_projects=True, details=True)
        if server.name.startswith("kill-")
    ]
    assert len(servers) == len(SHOWN)
    assert [server.name for server in servers if marked(server.tags)] == []
    used = {server.image.id for server in servers if server.image and server.image.id}
    images = {i.id for i in admin.image.images() if i.name.startswith(story["run"])}
    assert images <= used
    holders = {server.id for server in servers}
    ports = {p for name in story["first"] for p in story["first"][name]["ports"]}
    assert {admin.network.get_port(port).device_id for port in ports} <= holders
