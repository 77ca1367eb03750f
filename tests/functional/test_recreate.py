"""Every strategy of ``recreate`` on real Nova, Neutron, Cinder, Glance and Placement.

The hosts run Nova's fake driver: there are no guests, but every API, record, allocation,
binding and attachment is real.  What the services said before and after is compared whole.
"""

from __future__ import annotations

import pytest

from tests.expectations import ROLLED_BACK, marked, unexpected
from tests.functional.instances import Wish, changes, make, truth
from tests.functional.runs import Runs
from tests.lab import agents, api, seed
from upgrade_flows.model.report import State

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
HOME, AWAY = "fake1", "fake2"

#: strategy, and the instances that it is shown with
SHOWN = {
    "rebind": (
        Wish("rebind-1", HOME, floating_ip=True),
        Wish("rebind-2", HOME, volume_backed=True, nics=2, data_volume=True, status="SHUTOFF"),
    ),
    "cold-migrate": (
        Wish("cold-1", HOME, nics=2, data_volume=True, floating_ip=True),
        Wish("cold-2", HOME, volume_backed=True, status="SHUTOFF"),
    ),
    "shelve": (
        Wish("shelve-1", HOME, nics=2, floating_ip=True),
        Wish("shelve-2", HOME, volume_backed=True, data_volume=True, status="SHUTOFF"),
    ),
    "recreate": (
        Wish("recreate-1", HOME, volume_backed=True, nics=2, data_volume=True, floating_ip=True),
        Wish("recreate-2", HOME, volume_backed=True, status="SHUTOFF"),
    ),
    "snapshot": (
        Wish("snapshot-1", HOME, nics=2, data_volume=True, floating_ip=True),
        Wish("snapshot-2", HOME, status="SHUTOFF"),
    ),
}
NAMES = [wish.name for wishes in SHOWN.values() for wish in wishes]
STRATEGY = {wish.name: name for name, wishes in SHOWN.items() for wish in wishes}


class Story:
    """One run over all instances: changed, rolled back, changed again, committed."""

    def __init__(self, cloud, folder):
        self.runs = Runs(cloud, folder)
        self.ids = {}

    def modes(self, mode):
        for host in (HOME, AWAY):
            agents.set_mode(host, mode, wait=False)
        agents.wait_reported(HOME, AWAY)

    def run(self):
        strategies = {self.ids[name]: STRATEGY[name] for name in NAMES}
        return self.runs.run(self.runs.plan(strategies, AWAY))


@pytest.fixture(scope="module")
def story(cloud, tmp_path_factory):
    story = Story(cloud, tmp_path_factory.mktemp("journal"))
    story.modes(OLD)
    story.ids = make(wish for wishes in SHOWN.values() for wish in wishes)
    story.first = {name: truth(server) for name, server in story.ids.items()}
    story.modes(NEW)
    story.run_id = story.run()
    story.changed = story.runs.outcomes(story.run_id)
    story.second = {
        name: truth(record.result["server_id"])
        for name, record in story.changed.items()
        if record.state is State.CHANGED
    }
    return story


@pytest.mark.parametrize("name", NAMES)
def test_every_instance_is_changed(story, name):
    record = story.changed[name]
    assert (record.state, record.error, record.residue) == (State.CHANGED, "", ())


@pytest.mark.parametrize("name", NAMES)
def test_every_port_is_in_the_new_mode(story, name):
    ports = story.second[name]["ports"].values()
    assert {port["binding:vif_details"]["vhostuser_mode"] for port in ports} == {"server"}
    assert {port["status"] for port in ports} <= {"ACTIVE", "DOWN"}


@pytest.mark.parametrize("name", NAMES)
def test_the_services_tell_no_other_difference_than_what_was_declared(story, name):
    found = changes(story.first[name], story.second[name])
    assert unexpected(found, STRATEGY[name], "changed", "openstack") == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_report_names_the_difference_and_nothing_of_it_is_undeclared(story, name):
    result = story.changed[name].result
    assert result["undeclared"] == []
    assert any(field.startswith("vif_modes[") for field in result["identity_difference"])


@pytest.fixture(scope="module")
def rolled_back(story):
    story.modes(OLD)
    story.rolled_back_to = story.runs.engine().rollback(story.run_id)
    records = story.runs.outcomes(story.run_id)
    third = {}
    for name, record in records.items():
        server = story.ids[name]
        if STRATEGY[name] in ("recreate", "snapshot"):  # rebuilt: found by its name
            (found,) = api.shared("lab-admin").compute.servers(all_projects=True, name=f"^{name}$")
            server = found.id
        third[name] = truth(server)
    return records, third


@pytest.mark.parametrize("name", NAMES)
def test_rollback_gives_back_the_original(story, rolled_back, name):
    records, third = rolled_back
    assert records[name].state is ROLLED_BACK[STRATEGY[name]]
    found = changes(story.first[name], third[name])
    assert unexpected(found, STRATEGY[name], "rolled back", "openstack") == {}
    for residue in records[name].residue:
        assert "was rebuilt as" in residue.why


def test_after_rollback_nothing_of_ours_is_left_but_the_image_of_what_was_rebuilt(
    story, rolled_back
):
    admin = api.shared("lab-admin")
    used = {
        truth_["server"]["image"]["id"]
        for name, truth_ in rolled_back[1].items()
        if STRATEGY[name] == "snapshot"
    }
    ours = {i.id for i in admin.image.images() if i.name.startswith(story.run_id)}
    assert ours == used
    servers = admin.compute.servers(all_projects=True, details=True)
    assert [s.name for s in servers if marked(s.tags)] == []
    assert [key.name for key in admin.compute.keypairs()] == []


@pytest.fixture(scope="module")
def committed(story, rolled_back):
    """Change everything again, and commit."""
    admin = api.shared("lab-admin")
    by_name = {s.name: s.id for s in admin.compute.servers(all_projects=True)}
    story.ids = {name: by_name[name] for name in NAMES}
    story.modes(NEW)
    # what was rebuilt is ours now, and names a key that our user does not have
    admin.compute.create_keypair(name=seed.KEYPAIR, public_key=seed.PUBLIC_KEY)
    run_id = story.run()
    story.runs.engine().commit(run_id)
    admin.compute.delete_keypair(seed.KEYPAIR)
    return story.runs.outcomes(run_id)


@pytest.mark.parametrize("name", NAMES)
def test_commit_settles_every_instance_in_the_power_state_it_had(story, committed, name):
    record = committed[name]
    assert (record.state, record.error) == (State.SETTLED, "")
    now = truth(record.result["server_id"])
    details = [port["binding:vif_details"] for port in now["ports"].values()]
    assert {detail["vhostuser_mode"] for detail in details} == {"server"}
    found = changes(story.first[name], now)
    assert unexpected(found, STRATEGY[name], "committed", "openstack") == {}


def test_after_commit_there_is_one_instance_of_each_name_and_no_key_of_ours(story, committed):
    admin = api.shared("lab-admin")
    names = sorted(
        server.name
        for server in admin.compute.servers(all_projects=True)
        if server.name.rpartition("-")[0] in SHOWN_PREFIXES
    )
    assert names == sorted(NAMES)
    assert [key.name for key in admin.compute.keypairs()] == []


SHOWN_PREFIXES = {name.rpartition("-")[0] for name in NAMES}
