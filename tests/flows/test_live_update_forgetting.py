"""Nova rewrites its network cache some time after ports have left, and deletes by that cache."""

from __future__ import annotations

import pytest
from taskflow import engines

from tests.flows.live_scenes import action_for, as_before, build, cloud_with, context, serving
from tests.flows.scenes import Sabotage, sabotage
from upgrade_flows import errors
from upgrade_flows.flows import capability

#: seconds by which the cache is late
LATE_S = 40.0


def scene(late_s=LATE_S):
    cloud, server = cloud_with("image-hot", made_by_nova=False)
    cloud.durations["compute.forget_port"] = late_s
    return cloud, server, action_for("image-hot", cloud, server)


def settled(cloud, action, outcome):
    engines.run(capability.get("live_update").settle(context(cloud, action), action, outcome))


def test_a_surrogate_that_is_deleted_leaves_the_original_its_ports():
    cloud, server, action = scene()
    before = as_before(cloud.state())
    with pytest.raises(Sabotage):
        engines.run(sabotage(build(cloud, action), f"compare-surrogate:{server}"))
    assert as_before(cloud.state()) == before
    assert serving(cloud) == [server]


def test_an_original_that_is_deleted_leaves_the_surrogate_its_ports():
    cloud, _, action = scene()
    outcome = engines.run(build(cloud, action))["outcome"]
    settled(cloud, action, outcome)
    assert serving(cloud) == [outcome["server_id"]]
    ports = cloud.direct.network.ports(device_id=outcome["server_id"])
    assert {port.mac_address for port in ports} == {port["mac"] for port in action.details["ports"]}
    assert {port.binding_host for port in ports} == {"h1"}


def test_nova_is_told_to_look_at_a_port_that_it_would_not_forget_by_itself():
    cloud, _, action = scene(late_s=1e9)
    outcome = engines.run(build(cloud, action))["outcome"]
    settled(cloud, action, outcome)
    assert serving(cloud) == [outcome["server_id"]]


def test_a_server_whose_ports_nova_does_not_forget_is_not_deleted():
    cloud, server, action = scene(late_s=1e9)
    outcome = engines.run(build(cloud, action))["outcome"]
    cloud.faults.fail("compute.refresh_port", errors.Conflict("no host"), times=None)
    with pytest.raises(errors.Conflict, match="no host"):
        settled(cloud, action, outcome)
    assert server in {one.id for one in cloud.direct.compute.servers()}
    assert serving(cloud) == [outcome["server_id"]]
