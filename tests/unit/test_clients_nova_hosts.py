"""Compute hosts as Nova shows them: services, hypervisors and aggregates."""

import pytest
import requests_mock

from tests.unit.clients_http import NOVA, Listing, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import Aggregate, HostService, Hypervisor

DETAIL = f"{NOVA}/os-hypervisors/detail"


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def hypervisor(host, hostname="", **more):
    return {
        "id": f"id-{host}",
        "hypervisor_hostname": hostname or host,
        "hypervisor_type": "QEMU",
        "hypervisor_version": 8002003,
        "service": {"host": host, "id": "svc", "disabled_reason": None},
        "cpu_info": {"arch": "x86_64", "model": "Cascadelake-Server-noTSX"},
        **more,
    }


def test_a_service_is_read_as_it_must_be_restored(http):
    http.get(
        f"{NOVA}/os-services?binary=nova-compute&host=h1",
        json={
            "services": [
                {
                    "id": "svc",
                    "host": "h1",
                    "status": "disabled",
                    "state": "down",
                    "zone": "az1",
                    "disabled_reason": "broken fan",
                    "forced_down": True,
                    "updated_at": "2026-01-01T00:00:00.000000",
                }
            ]
        },
    )
    assert cloud_on(http).compute.service("h1") == HostService(
        host="h1",
        id="svc",
        enabled=False,
        up=False,
        disabled_reason="broken fan",
        forced_down=True,
        availability_zone="az1",
        updated="2026-01-01T00:00:00.000000",
    )


@pytest.mark.parametrize("call", ["service", "hypervisor"])
def test_an_unknown_host_is_not_found(http, call):
    http.get(f"{NOVA}/os-services", json={"services": []})
    http.get(DETAIL, json={"hypervisors": []})
    with pytest.raises(errors.NotFound, match="host h9"):
        getattr(cloud_on(http).compute, call)("h9")


def test_the_cpu_is_asked_of_an_older_microversion_than_the_uptime(http):
    pattern = f"{DETAIL}?hypervisor_hostname_pattern=h1"
    http.get(pattern, json={"hypervisors": [hypervisor("h10"), hypervisor("h1")]})
    line = " 10:00:00 up 3 days,  1:05,  0 users,  load average: 0.00, 0.00, 0.00\n"
    http.get(f"{NOVA}/os-hypervisors/id-h1", json={"hypervisor": {"uptime": line}})
    assert cloud_on(http).compute.hypervisor("h1") == Hypervisor(
        host="h1",
        id="id-h1",
        hostname="h1",
        kind="QEMU",
        version=8002003,
        cpu={"arch": "x86_64", "model": "Cascadelake-Server-noTSX"},
        uptime=line.strip(),
    )
    sent = [r for r in http.request_history if "os-hypervisors" in r.url]
    asked = [r.headers["X-OpenStack-Nova-API-Version"] for r in sent]
    assert asked == ["2.87", "2.100"]


def test_a_host_that_is_called_otherwise_than_its_hypervisor_is_found_all_the_same(http):
    gone = {
        "itemNotFound": {"message": "No hypervisor matching 'cmp1' could be found.", "code": 404}
    }
    items = [hypervisor(f"cmp{n}.example.org", f"node-{n}") for n in range(25)]
    http.get(DETAIL, json=Listing("hypervisors", items, at_most=10))
    http.get(f"{DETAIL}?hypervisor_hostname_pattern=cmp21", status_code=404, json=gone)
    http.get(f"{NOVA}/os-hypervisors/id-cmp21.example.org", json={"hypervisor": {"uptime": None}})
    found = cloud_on(http).compute.hypervisor("cmp21.example.org")
    assert (found.hostname, found.uptime) == ("node-21", "")


@pytest.mark.parametrize(
    ("info", "cpu"),
    [("", {}), (None, {}), ('{"model": "EPYC"}', {"model": "EPYC"}), ("fake", {"model": "fake"})],
)
def test_a_cpu_that_a_driver_writes_as_text_is_read_too(http, info, cpu):
    http.get(DETAIL, json={"hypervisors": [hypervisor("h1", cpu_info=info)]})
    assert [item.cpu for item in cloud_on(http).compute.hypervisors()] == [cpu]


def test_an_aggregate_is_known_by_its_uuid(http):
    item = {
        "id": 1,
        "uuid": "a-1",
        "name": "fast",
        "availability_zone": None,
        "hosts": ["h1", "h2"],
        "metadata": {"ssd": "true"},
    }
    http.get(f"{NOVA}/os-aggregates", json={"aggregates": [item]})
    assert cloud_on(http).compute.aggregates() == [
        Aggregate("a-1", "fast", ("h1", "h2"), "", {"ssd": "true"})
    ]
