"""What is planned of a live update is what its flow does, wherever the surrogate goes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from taskflow import engines

from tests.flows.live_scenes import SERIAL, cloud_with, serving
from tests.flows.scenes import PLUGINS, VAULT
from upgrade_flows import errors
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows import capability
from upgrade_flows.model import inventory
from upgrade_flows.model.plan import Action
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.plugins.registry import Registry
from upgrade_flows.plugins.workload.simulated import SimulatedWorkload
from upgrade_flows.steps.base import Context


def plugins(cloud: FakeCloud) -> Registry:
    return dataclasses.replace(PLUGINS, workload={"simulated": SimulatedWorkload(cloud)})


def planned(cloud: FakeCloud, *servers: str, **options: Any) -> list[Action]:
    scope = Scope(servers=servers)
    said = {"image": "debian-new", "workload": "simulated", "grace_s": 0, "room_s": 60, **options}
    request = UpgradeRequest("live_update", scope, Target(options=said))
    plan = make_plan(request, collect(cloud, scope), plugins(cloud))
    assert plan.findings == ()
    return list(plan.actions)


def change(cloud: FakeCloud, action: Action) -> dict[str, Any]:
    """Do what is planned, and return the outcome."""
    assert verify(cloud, plugins(cloud), action) is None
    flow = capability.get("live_update").change(context(cloud, action), action)
    return engines.run(flow)["outcome"]


def context(cloud: FakeCloud, action: Action) -> Context:
    run_id = f"20261128-{action.subject[:6]}"
    return Context(run_id, cloud, plugins(cloud), settings=SERIAL, vault=VAULT)


def fill(cloud: FakeCloud, host: str, but_for: int = 0) -> None:
    used = cloud.world.host(host).used["MEMORY_MB"]
    cloud.set_capacity(host, MEMORY_MB=used + but_for)


@pytest.mark.parametrize("kind", ["image-hot", "volume-hot"])
@pytest.mark.parametrize(
    ("options", "strategy", "host"),
    [
        ({}, "other-host", "h2"),
        ({"elsewhere": False}, "make-room", "h1"),
    ],
)
def test_the_surrogate_serves_where_it_was_planned_to(kind, options, strategy, host):
    cloud, server = cloud_with(kind)
    other = cloud.add_server("other", host="h1")
    fill(cloud, "h1")
    (action,) = planned(cloud, server, **options)
    assert action.strategy == strategy

    outcome = change(cloud, action)

    assert serving(cloud) == [outcome["server_id"]]
    assert cloud.direct.compute.server(outcome["server_id"]).host == host
    moved = "h1" if strategy == "other-host" else action.details["moves"][0]["target"]
    assert cloud.direct.compute.server(other).host == moved


def test_a_surrogate_of_an_anti_affinity_group_joins_it_on_a_host_of_its_own():
    cloud, server = cloud_with("image-hot")
    group = cloud.add_group("anti-affinity")
    cloud.world.join_group(server, group)
    cloud.add_server("peer", host="h2", group=group)
    (action,) = planned(cloud, server)

    outcome = change(cloud, action)

    assert cloud.direct.compute.server(outcome["server_id"]).host == "h3"
    assert outcome["server_id"] in cloud.world.groups[group].members


def test_who_waits_for_room_gets_it_when_the_first_is_committed_and_not_before():
    cloud, first = cloud_with("image-hot")
    second = cloud.add_server("db", host="h1")
    cloud.guests[second] = {"serves": True}
    fill(cloud, "h1", but_for=2048)
    one, two = planned(cloud, first, second, elsewhere=False)
    assert (one.strategy, two.strategy) == ("own-host", "wait-for-room")
    outcome = change(cloud, one)

    with pytest.raises(errors.TimedOut, match="room for the surrogate of db on h1"):
        change(cloud, two)
    assert serving(cloud) == [second, outcome["server_id"]]

    settle = capability.get("live_update").settle(context(cloud, one), one, outcome)
    engines.run(settle)
    last = change(cloud, two)
    assert set(serving(cloud)) == {outcome["server_id"], last["server_id"]}


def test_an_owner_with_a_long_id_is_named_by_tags_that_nova_takes():
    user = "0123456789abcdef" * 4
    tags = inventory.owner_tags(user)
    assert max(map(len, tags)) <= 60
    server = inventory.Server("id", "web", "ACTIVE", user_id="us", tags=("blue", *reversed(tags)))
    assert server.owner_id == user


@pytest.mark.parametrize("kind", ["image-hot", "volume-hot", "volume-update"])
def test_what_was_updated_once_is_updated_again_with_the_key_of_its_owner(kind):
    cloud, server = cloud_with(kind)
    cloud.add_image("debian-newer")
    public = cloud.direct.compute.public_key("user-1", "key-1")
    for image in ("debian-new", "debian-newer"):
        (action,) = planned(cloud, server, image=image)
        outcome = change(cloud, action)
        engines.run(capability.get("live_update").settle(context(cloud, action), action, outcome))
        server = outcome["server_id"]

    now = cloud.direct.compute.server(server)
    assert (now.name, now.user_id, now.owner_id) == ("web", "upgrade-flows", "user-1")
    assert (now.key_name, now.tags) == ("key-1", ("blue", "upgrade-flows-owner=user-1"))
    assert cloud.state()["keypairs"] == {"user-1": {"key-1": public}}
    assert serving(cloud) == [server]
