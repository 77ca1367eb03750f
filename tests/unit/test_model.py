"""The data that travels: JSON both ways, digests that notice, requests that are refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from upgrade_flows.errors import PlanChanged, RequestError
from upgrade_flows.model import codec, identity
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    FloatingIP,
    Inventory,
    Port,
    Quota,
    Room,
    Server,
)
from upgrade_flows.model.plan import Action, Plan, Wave
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest

SERVER = Server(
    id="s1",
    name="web",
    status="ACTIVE",
    flavor=Flavor("f1", "m1.tiny", 1, 64, 1),
    image_id="i1",
    addresses=("10.0.0.5", "10.0.0.6"),
)
PORT_A = Port("pa", "n1", "fa:16:3e:00:00:01", fixed_ips=(("sub", "10.0.0.6"),))
PORT_B = Port("pb", "n1", "fa:16:3e:00:00:02", fixed_ips=(("sub", "10.0.0.5"),))
REQUEST = UpgradeRequest("recreate", Scope(servers=("web",)))
PLAN = Plan(
    id="p1",
    created="2026-01-01T00:00:00+00:00",
    cloud_id="https://keystone/v3#RegionOne",
    request=REQUEST,
    waves=(Wave("all", (Action("recreate", "s1", "web", "rebind"),)),),
).sealed()


@pytest.mark.parametrize(
    "value",
    [
        SERVER,
        PORT_A,
        PLAN,
        REQUEST,
        Inventory("cloud", "now", servers=(SERVER,), rooms={"h1": Room({"VCPU": 2}, {})}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_survives_a_round_trip_through_json(value):
    plain = json.loads(json.dumps(codec.to_plain(value)))
    assert codec.from_plain(type(value), plain) == value


def test_what_is_no_json_is_refused_by_name():
    with pytest.raises(TypeError, match="b'raw' cannot be written as JSON"):
        codec.to_plain({"a": b"raw"})


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(RequestError, match=r"unknown key servrs \(known: everything, hosts"):
        UpgradeRequest.from_plain({"capability": "recreate", "scope": {"servrs": ["web"]}})


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (UpgradeRequest("recreate", Scope()), "the scope is empty"),
        (UpgradeRequest("recreate", Scope(everything=True), rollout=Rollout(0)), "at_a_time is 0"),
        (
            UpgradeRequest("recreate", Scope(everything=True), Target(), Rollout(1, -1)),
            "max_failures is -1",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_, reason):
    with pytest.raises(RequestError, match=reason):
        request_.check()


def test_a_plan_reads_back_as_it_was_written():
    assert Plan.from_json(PLAN.to_json()) == PLAN


def test_an_edited_plan_is_noticed():
    edited = json.loads(PLAN.to_json())
    edited["waves"][0]["actions"][0]["strategy"] = "snapshot"
    with pytest.raises(PlanChanged, match="plan p1 was edited"):
        Plan.from_json(json.dumps(edited)).check_for(PLAN.cloud_id)


def test_a_plan_of_another_cloud_is_refused():
    with pytest.raises(PlanChanged, match="was made for the cloud https://keystone"):
        PLAN.check_for("https://elsewhere/v3#RegionOne")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 99}', "waves: []"])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(RequestError, match="not a plan"):
        Plan.from_json(text)


def test_ports_are_recorded_in_the_order_of_the_addresses():
    recorded = identity.of(SERVER, (PORT_A, PORT_B), ())
    assert [port.id for port in recorded.ports] == ["pb", "pa"]


def test_the_difference_of_an_instance_to_itself_is_empty():
    recorded = identity.of(SERVER, (PORT_A,), (AttachedVolume("v1"),))
    assert identity.difference(recorded, recorded) == {}


def test_each_difference_is_named_with_its_two_values():
    before = identity.of(
        SERVER, (PORT_A, PORT_B), (AttachedVolume("v1", tag="db"),), vif_modes={"pa": "old"}
    )
    after = identity.of(
        dataclasses.replace(SERVER, name="other"),
        (dataclasses.replace(PORT_A, mac_address="fa:16:3e:ff:ff:ff"),),
        (AttachedVolume("v1"),),
        vif_modes={"pa": "new"},
    )
    found = identity.difference(before, after)
    assert found["name"] == ["web", "other"]
    assert found["ports[pa].mac_address"] == ["fa:16:3e:00:00:01", "fa:16:3e:ff:ff:ff"]
    assert found["ports[pb]"][1] is None
    assert found["volumes[v1].tag"] == ["db", ""]
    assert found["vif_modes[pa]"] == ["old", "new"]
    assert set(found) == {
        "name", "ports[pa].mac_address", "ports[pb]", "volumes[v1].tag", "vif_modes[pa]",
    }  # fmt: skip


def test_a_swapped_order_of_nics_is_a_difference():
    before = identity.of(SERVER, (PORT_A, PORT_B), ())
    swapped = dataclasses.replace(SERVER, addresses=("10.0.0.6", "10.0.0.5"))
    after = identity.of(swapped, (PORT_A, PORT_B), ())
    assert identity.difference(before, after) == {"ports.order": [["pb", "pa"], ["pa", "pb"]]}


def test_a_lost_floating_ip_is_a_difference():
    before = identity.of(SERVER, (PORT_A,), (), (FloatingIP("f", "203.0.113.9", "pa"),))
    after = identity.of(SERVER, (PORT_A,), ())
    assert identity.difference(before, after) == {"ports[pa].floating_ips": [["203.0.113.9"], []]}


def test_a_declaration_covers_its_field_and_nothing_else():
    found = {"id": ["a", "b"], "vif_modes[pa]": ["old", "new"], "name": ["x", "y"]}
    assert identity.undeclared(found, ("id", "vif_modes")) == ("name",)


def test_room_counts_what_is_used_and_a_class_that_is_missing_is_none():
    room = Room({"VCPU": 4, "MEMORY_MB": 1024}, {"VCPU": 3})
    assert room.fits({"VCPU": 1, "MEMORY_MB": 1024})
    assert not room.fits({"VCPU": 2})
    assert not room.fits({"DISK_GB": 1})
    assert room.fits({"VCPU": 1, "DISK_GB": 0})


def test_a_quota_of_minus_one_is_no_limit():
    quota = Quota({"instances": -1, "cores": 2}, {"instances": 900, "cores": 2})
    assert quota.room("instances", 1)
    assert not quota.room("cores", 1)
