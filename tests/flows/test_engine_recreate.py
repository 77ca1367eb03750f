"""Every strategy of ``recreate`` through the engine: changed, rolled back, changed, committed.

The same story is told on a real cloud in ``tests/functional/test_recreate.py``, held to the same
expectations.
"""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tests.expectations import MAY_DIFFER, ROLLED_BACK, marked, unexpected
from tests.flows.difference import difference
from tests.flows.scenes import CASES, NEW, OLD, PLUGINS, cloud_with, plan_for
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Gate, Wave
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.steps.base import Settings

ROOTS = {
    "rebind": ("image", "volume"),
    "cold-migrate": ("image", "volume"),
    "shelve": ("image", "volume"),
    "recreate": ("volume",),
    "snapshot": ("image",),
}
SHOWN = {
    f"{strategy}-{root}-{nics}-{status}": (strategy, root, nics, status)
    for strategy, roots in ROOTS.items()
    for root, nics, status in itertools.product(roots, (1, 2), ("ACTIVE", "SHUTOFF"))
}
EVERY = pytest.mark.parametrize("name", SHOWN)


class Story:
    """One run over all instances: changed, rolled back, changed again, committed."""

    def __init__(self, folder, steps_at_a_time):
        self.steps_at_a_time = steps_at_a_time
        self.journal = Journal.open(f"sqlite:///{folder}/journal.db")
        self.cloud = FakeCloud(hosts=("h1", "h2"), mode=OLD)
        self.cloud.add_key("user-1", "key-1")
        self.ids = {name: self.make(name) for name in SHOWN}

    def make(self, name):
        _, root, nics, status = SHOWN[name]
        return self.cloud.add_server(
            name,
            host="h1",
            boot_volume=root == "volume",
            nics=nics,
            data_volumes=nics - 1,
            floating_ip=nics == 2,
            status=status,
            key="key-1",
            metadata={"role": name},
            tags=("blue", "night"),
            description=f"the instance {name}",
            user_data="I2Nsb3VkLWNvbmZpZwo=",
            delete_on_termination=True,
        )

    def modes(self, mode):
        for host in ("h1", "h2"):
            self.cloud.set_mode(host, mode)

    def plan(self):
        """One plan over all: each instance with the strategy that it is to show."""
        plans = {}
        for strategy in ROOTS:
            ids = tuple(self.ids[name] for name in SHOWN if SHOWN[name][0] == strategy)
            request = UpgradeRequest("recreate", Scope(servers=ids), Target(strategy))
            plans[strategy] = make_plan(request, collect(self.cloud, Scope(servers=ids)), PLUGINS)
        assert [finding for plan in plans.values() for finding in plan.findings] == []
        actions = tuple(action for plan in plans.values() for action in plan.actions)
        wave = Wave("all", actions, 4, Gate(max_failures=len(actions)))
        return dataclasses.replace(plans["rebind"], waves=(wave,)).sealed()

    def engine(self):
        def still(action):
            return verify(self.cloud, PLUGINS, action)

        return Engine(
            self.journal, self.cloud, PLUGINS, Settings(), verify=still,
            steps_at_a_time=self.steps_at_a_time,
        )  # fmt: skip

    def run(self):
        engine = self.engine()
        run_id = engine.start(self.plan())
        engine.run(run_id)
        return run_id

    def records(self, run_id):
        names = {server: name for name, server in self.ids.items()}
        return {names[s]: record for s, record in self.journal.subjects(run_id).items()}

    def truth(self, server_id):
        """Return all that the cloud says of an instance, read without any code under test."""
        state = self.cloud.state(bindings=True)
        server = state["servers"][server_id]
        ports = {
            key: port for key, port in state["ports"].items() if port["device_id"] == server_id
        }
        held = {item["volume_id"] for item in server["volumes"]}
        return {
            "server": server,
            "ports": ports,
            "volumes": {key: state["volumes"][key] for key in held},
            "floating_ips": {
                key: ip for key, ip in state["floating_ips"].items() if ip["port_id"] in ports
            },
        }

    def by_name(self):
        servers = self.cloud.state()["servers"].values()
        return {server["name"]: server["id"] for server in servers if server["name"] in SHOWN}


@pytest.fixture(scope="module", params=(1, 4), ids=("one-step-at-a-time", "four-steps"))
def story(request, tmp_path_factory):
    story = Story(tmp_path_factory.mktemp("journal"), request.param)
    story.first = {name: story.truth(server) for name, server in story.ids.items()}
    story.modes(NEW)
    story.run_id = story.run()
    story.changed = story.records(story.run_id)
    yield story
    story.journal.close()


@pytest.fixture(scope="module")
def second(story):
    return {name: story.truth(r.result["server_id"]) for name, r in story.changed.items()}


@pytest.fixture(scope="module")
def rolled_back(story, second):
    story.modes(OLD)
    story.engine().rollback(story.run_id)
    story.after_rollback = story.cloud.state()
    return story.records(story.run_id), {n: story.truth(s) for n, s in story.by_name().items()}


@pytest.fixture(scope="module")
def committed(story, rolled_back):
    """Change everything again, and commit.

    Nova names us as the user of what was rebuilt, so that its key is looked for with us now.
    """
    story.ids = story.by_name()
    own = story.cloud.direct.compute.own_user_id()
    story.cloud.add_key(own, "key-1", story.cloud.direct.compute.public_key("user-1", "key-1"))
    story.modes(NEW)
    run_id = story.run()
    story.engine().commit(run_id)
    return story.records(run_id), {n: story.truth(s) for n, s in story.by_name().items()}


@EVERY
def test_every_instance_is_changed_and_its_ports_are_in_the_new_mode(story, second, name):
    record = story.changed[name]
    assert (record.state, record.error, record.residue) == (State.CHANGED, "", ())
    ports = second[name]["ports"].values()
    assert {port["vif_details"]["vhostuser_mode"] for port in ports} == {"server"}


@EVERY
def test_nothing_else_differs_than_what_the_strategy_may_change(story, second, name):
    found = difference(story.first[name], second[name])
    assert unexpected(found, SHOWN[name][0], "changed", "fake") == {}


@EVERY
def test_the_outcome_names_the_difference_and_nothing_of_it_is_undeclared(story, name):
    result = story.changed[name].result
    assert result["undeclared"] == []
    fields = {field.partition("[")[0] for field in result["identity_difference"]}
    assert "vif_modes" in fields
    assert fields <= MAY_DIFFER["changed"][SHOWN[name][0]]
    assert (result["measured_downtime_s"] is not None) == (SHOWN[name][3] == "ACTIVE")


@EVERY
def test_rollback_gives_back_the_original_exactly(story, rolled_back, name):
    records, third = rolled_back
    strategy = SHOWN[name][0]
    assert records[name].state is ROLLED_BACK[strategy]
    found = difference(story.first[name], third[name])
    assert unexpected(found, strategy, "rolled back", "fake") == {}
    if ROLLED_BACK[strategy] is State.RESIDUE:
        (left,) = records[name].residue
        assert f"was rebuilt as {third[name]['server']['id']}" in left.why


@EVERY
def test_commit_settles_every_instance_in_the_power_state_it_had(story, committed, name):
    records, fourth = committed
    assert (records[name].state, records[name].error) == (State.SETTLED, "")
    found = difference(story.first[name], fourth[name])
    assert unexpected(found, SHOWN[name][0], "committed", "fake") == {}


def test_after_rollback_nothing_of_ours_is_left(story, rolled_back):
    state = story.after_rollback
    assert sorted(server["name"] for server in state["servers"].values()) == sorted(SHOWN)
    assert marked(tag for server in state["servers"].values() for tag in server["tags"]) == []
    names = {image["id"]: image["name"] for image in state["images"].values()}
    used = {server["image_id"] for server in state["servers"].values()} - {""}
    assert {name for image, name in names.items() if image not in used} <= {"debian"}
    assert set(state["keypairs"]) == {"user-1"}


def test_after_commit_there_is_one_instance_of_each_name_and_keys_are_left_alone(story, committed):
    state = story.cloud.state()
    assert sorted(server["name"] for server in state["servers"].values()) == sorted(SHOWN)
    public = state["keypairs"]["user-1"]["key-1"]
    assert state["keypairs"] == {"user-1": {"key-1": public}, "upgrade-flows": {"key-1": public}}


@pytest.mark.parametrize("case", CASES)
def test_a_rollback_on_a_host_without_the_old_mode_says_which_port_is_not_as_it_was(case, tmp_path):
    cloud, server = cloud_with(case)
    ports = [port.id for port in cloud.direct.network.ports(device_id=server)]
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    engine = Engine(journal, cloud, PLUGINS, Settings())
    run = engine.start(plan_for(case, cloud, server))
    engine.run(run)

    assert engine.rollback(run) == "residue"

    whys = [item.why for item in journal.subject(run, server).residue]
    journal.close()
    said = [why for why in whys if f"no longer binds it as {OLD}" in why]
    assert any(port in why for port in ports for why in said)
    (now,) = cloud.state()["servers"].values()
    assert (now["status"], now["name"], now["locked"]) == ("ACTIVE", "web", False)
