"""How busy hosts are, for the policies that place a surrogate by it."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.scenes import PLUGINS
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import HostUnreachable, RequestError
from upgrade_flows.flows import capability
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan
from upgrade_flows.plugins.host.simulated import SimulatedHosts

BUSY = {"h2": (0.9, 0.1), "h3": (0.1, 0.9)}


class Measured(SimulatedHosts):
    """Hosts that say how busy they are; h1 does not answer."""

    def look(self, host, settings):
        if host == "h1":
            raise HostUnreachable("h1 does not answer")
        cpu, memory = BUSY[host]
        return {"boot_id": "x", "cpu_utilization": cpu, "memory_utilization": memory}


def crowded():
    cloud = FakeCloud(hosts=("h1", "h2", "h3"))
    memory = cloud.placement.rooms()["h1"].capacity["MEMORY_MB"] * 2 // 3
    big = cloud.add_flavor("big", vcpus=1, memory_mb=memory)
    server = cloud.add_server("web", host="h1", flavor=big)
    cloud.add_image("debian-new")
    plugins = dataclasses.replace(PLUGINS, host={"measured": Measured(cloud)})
    return cloud, server, plugins


def planned(policy, **options):
    cloud, server, plugins = crowded()
    scope = Scope(servers=(server,))
    target = Target(options={"image": "debian-new", "placement": policy, **options})
    request = UpgradeRequest("live_update", scope, target)
    inventory = collect(cloud, scope, traits=True)
    return make_plan(request, inventory, plugins)


@pytest.mark.parametrize(
    ("policy", "host"), [("cpu_utilization_balance", "h3"), ("memory_utilization_balance", "h2")]
)
def test_the_surrogate_goes_to_the_host_that_is_least_busy_by_its_own_word(policy, host):
    plan = planned(policy, measure={"plugin": "measured", "settings": {}})

    (action,) = plan.actions
    assert action.details["target_host"] == host
    assert "UF-LU-032" not in {finding.id for finding in plan.findings}


def test_without_being_told_how_to_ask_it_says_what_the_policy_does_not_know():
    plan = planned("cpu_utilization_balance")

    assert "UF-LU-032" in {finding.id for finding in plan.findings}


def test_an_unknown_host_plugin_is_refused():
    with pytest.raises(RequestError, match="no host plugin 'telepathy'"):
        planned("striping", measure={"plugin": "telepathy"})


def test_a_plugin_must_be_named():
    with pytest.raises(RequestError, match="plugin is missing"):
        capability.get("live_update").look(
            UpgradeRequest("live_update", Scope(everything=True), Target(
                options={"image": "x", "measure": {"settings": {}}})),
            collect(FakeCloud(), Scope(everything=True)), PLUGINS, print,
        )  # fmt: skip
