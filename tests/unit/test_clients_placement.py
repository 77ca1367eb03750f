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
