"""Who holds what on a host, as Placement has it."""

import pytest
import requests_mock

from tests.unit.clients_http import PLACEMENT, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import Provider, Stock

PROVIDERS = f"{PLACEMENT}/resource_providers"
ROOT = {"uuid": "r", "name": "h1", "parent_provider_uuid": None, "root_provider_uuid": "r"}
CHILD = {"uuid": "c", "name": "h1_NUMA0", "parent_provider_uuid": "r", "root_provider_uuid": "r"}
VCPU = {"total": 10, "reserved": 2, "allocation_ratio": 1.6, "min_unit": 1}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        mocker.get(f"{PROVIDERS}?name=h1", json={"resource_providers": [ROOT]})
        mocker.get(f"{PROVIDERS}?name=h9", json={"resource_providers": []})
        mocker.get(f"{PROVIDERS}?in_tree=r", json={"resource_providers": [CHILD, ROOT]})
        yield mocker


def test_the_provider_of_a_host_comes_before_its_parts(http):
    for uuid, traits in (("r", ["HW_CPU_X86_AVX", "COMPUTE_STATUS_DISABLED"]), ("c", [])):
        http.get(f"{PROVIDERS}/{uuid}/inventories", json={"inventories": {"VCPU": VCPU}})
        http.get(f"{PROVIDERS}/{uuid}/traits", json={"traits": traits})
        http.get(f"{PROVIDERS}/{uuid}/aggregates", json={"aggregates": ["a-2", "a-1"]})
    stocks = {"VCPU": Stock(10, 2, 1.6)}
    aggregates = ("a-1", "a-2")
    assert cloud_on(http).placement.providers("h1") == (
        Provider("r", "h1", "", stocks, ("COMPUTE_STATUS_DISABLED", "HW_CPU_X86_AVX"), aggregates),
        Provider("c", "h1_NUMA0", "r", stocks, (), aggregates),
    )
    assert stocks["VCPU"].capacity == 12


def test_what_a_consumer_holds_on_the_parts_of_a_host_is_added_up(http):
    held = {"s1": {"resources": {"VCPU": 2, "MEMORY_MB": 64}}, "m1": {"resources": {"VCPU": 1}}}
    http.get(f"{PROVIDERS}/r/allocations", json={"allocations": held})
    http.get(f"{PROVIDERS}/c/allocations", json={"allocations": {"s1": {"resources": {"VCPU": 4}}}})
    assert cloud_on(http).placement.consumers("h1") == {
        "s1": {"VCPU": 6, "MEMORY_MB": 64},
        "m1": {"VCPU": 1},
    }


@pytest.mark.parametrize("call", ["providers", "consumers"])
def test_a_host_that_placement_does_not_know_is_not_found(http, call):
    with pytest.raises(errors.NotFound, match="no resource provider h9"):
        getattr(cloud_on(http).placement, call)("h9")


def test_what_a_consumer_holds_is_told_by_provider(http):
    body = {
        "allocations": {"r": {"resources": {"VCPU": 2}, "generation": 4}},
        "consumer_generation": 1,
    }
    http.get(f"{PLACEMENT}/allocations/s1", json=body)
    assert cloud_on(http).placement.allocations("s1") == {"r": {"VCPU": 2}}


def test_an_unknown_consumer_holds_nothing(http):
    http.get(f"{PLACEMENT}/allocations/s9", json={"allocations": {}})
    assert cloud_on(http).placement.allocations("s9") == {}


def has(http, **providers):
    """Let providers have VCPUs and memory: total and used of each, by the provider's id."""
    for uuid, kinds in providers.items():
        inventories = {kind: {"total": total} for kind, (total, _) in kinds.items()}
        usages = {kind: used for kind, (_, used) in kinds.items()}
        http.get(f"{PROVIDERS}/{uuid}/inventories", json={"inventories": inventories})
        http.get(f"{PROVIDERS}/{uuid}/usages", json={"usages": usages})


def test_room_is_held_for_a_new_consumer_of_our_type_where_the_host_has_it(http):
    has(http, r={"MEMORY_MB": (512, 0)}, c={"VCPU": (4, 0)})
    http.put(f"{PLACEMENT}/allocations/mine", status_code=204)
    resources = {"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 0}
    cloud_on(http).placement.hold("mine", "h1", resources, "us", "run/1")
    assert http.last_request.json() == {
        "allocations": {
            "r": {"resources": {"MEMORY_MB": 64}},
            "c": {"resources": {"VCPU": 2}},
        },
        "consumer_generation": None,
        "consumer_type": "UPGRADE_FLOWS",
        "project_id": "us",
        "user_id": "run/1",
    }
    assert http.last_request.headers["OpenStack-API-Version"] == "placement 1.39"


def test_room_is_held_at_a_part_that_has_it_left(http):
    has(http, r={"VCPU": (4, 3)}, c={"VCPU": (4, 2)})
    http.put(f"{PLACEMENT}/allocations/mine", status_code=204)
    cloud_on(http).placement.hold("mine", "h1", {"VCPU": 2}, "us", "run/1")
    assert http.last_request.json()["allocations"] == {"c": {"resources": {"VCPU": 2}}}


def test_a_placement_that_knows_no_types_is_told_none(http):
    has(http, r={"VCPU": (4, 0)}, c={})
    http.put(f"{PLACEMENT}/allocations/mine", status_code=204)
    cloud = cloud_on(http)
    cloud.placement.__dict__["_version"] = (1, 37)
    cloud.placement.hold("mine", "h1", {"VCPU": 2}, "us", "run/1")
    assert "consumer_type" not in http.last_request.json()


@pytest.mark.parametrize(
    ("resources", "why"), [({"VCPU": 9}, "would violate"), ({"FPGA": 1}, "h1 has no FPGA")]
)
def test_room_that_is_not_there_is_a_conflict(http, resources, why):
    has(http, r={"VCPU": (4, 0)}, c={})
    refused = {"errors": [{"detail": "Unable to allocate: would violate inventory constraints"}]}
    http.put(f"{PLACEMENT}/allocations/mine", status_code=409, json=refused)
    with pytest.raises(errors.Conflict, match=why):
        cloud_on(http).placement.hold("mine", "h1", resources, "us", "run/1")


def test_what_is_not_held_is_released_all_the_same(http):
    http.delete(f"{PLACEMENT}/allocations/mine", status_code=404, json={"errors": []})
    cloud_on(http).placement.release("mine")
    assert http.last_request.method == "DELETE"


def test_a_consumer_tells_its_project_and_its_user(http):
    held = {"allocations": {"r": {"resources": {"VCPU": 2}}}, "project_id": "p", "user_id": "u"}
    http.get(f"{PLACEMENT}/allocations/mine", json=held)
    http.get(f"{PLACEMENT}/allocations/none", json={"allocations": {}})
    assert cloud_on(http).placement.holder("mine") == ("p", "u")
    assert cloud_on(http).placement.holder("none") is None
