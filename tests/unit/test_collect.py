"""A cloud is read in calls that grow with its pages; a scope means exactly what it says."""

import collections
import math

import pytest
import requests_mock

from tests.unit.clients_http import (
    CINDER,
    GLANCE,
    NEUTRON,
    NOVA,
    PLACEMENT,
    Listing,
    cloud_on,
)
from upgrade_flows import errors
from upgrade_flows.cloud.collect import collect, select
from upgrade_flows.model.inventory import Aggregate, Host, Inventory, Server
from upgrade_flows.model.request import Scope

HOSTS = 4


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def populated(http, count):
    """Return a cloud of ``count`` servers, each with a port and a volume."""
    numbers = range(count)
    listings = {
        f"{NOVA}/servers/detail": (
            "servers",
            [
                {
                    "id": f"s{n}",
                    "name": f"n{n}",
                    "status": "ACTIVE",
                    "tenant_id": f"p{n % 3}",
                    "user_id": "u",
                    "OS-EXT-SRV-ATTR:host": f"h{n % HOSTS}",
                }
                for n in numbers
            ],
        ),
        f"{NEUTRON}/v2.0/ports": (
            "ports",
            [
                {"id": f"port{n}", "network_id": "net", "mac_address": "m", "device_id": f"s{n}"}
                for n in numbers
            ],
        ),
        f"{CINDER}/volumes/detail": (
            "volumes",
            [{"id": f"v{n}", "name": "", "status": "in-use", "size": 1} for n in numbers],
        ),
        f"{NEUTRON}/v2.0/floatingips": ("floatingips", []),
        f"{NEUTRON}/v2.0/networks": ("networks", [{"id": "net"}]),
        f"{NEUTRON}/v2.0/agents": (
            "agents",
            [
                {"id": f"a{n}", "agent_type": kind, "host": f"h{n % HOSTS}", "alive": True}
                for n, kind in enumerate(
                    ["Metadata agent", "OVN Metadata agent", "DHCP agent"]
                    + ["Open vSwitch agent"] * HOSTS
                )
            ],
        ),
        f"{NOVA}/flavors/detail": ("flavors", [{"id": "f", "name": "m1"}]),
        f"{GLANCE}/v2/images": ("images", [{"id": "i", "name": "x", "status": "active"}]),
    }
    for url, (key, items) in listings.items():
        http.get(url, json=Listing(key, items))
    http.get(
        f"{NOVA}/os-services",
        json={
            "services": [
                {"id": n, "host": f"h{n}", "status": "enabled", "state": "up"} for n in range(HOSTS)
            ]
        },
    )
    http.get(f"{NOVA}/os-server-groups", json={"server_groups": []})
    http.get(
        f"{NOVA}/os-aggregates",
        json={"aggregates": [{"uuid": "a", "name": "fast", "hosts": ["h1"], "metadata": {}}]},
    )
    http.get(f"{NOVA}/limits", json={"limits": {"absolute": {"maxTotalInstances": 9}}})
    http.get(f"{NOVA}/os-keypairs", json={"keypairs": [{"keypair": {"name": "k"}}]})
    http.get(
        f"{PLACEMENT}/resource_providers",
        json={
            "resource_providers": [
                {"uuid": f"r{n}", "name": f"h{n}", "root_provider_uuid": f"r{n}"}
                for n in range(HOSTS)
            ]
        },
    )
    for n in range(HOSTS):
        path = f"{PLACEMENT}/resource_providers/r{n}"
        http.get(f"{path}/inventories", json={"inventories": {"VCPU": {"total": 8}}})
        http.get(f"{path}/usages", json={"usages": {"VCPU": 1}})
    return cloud_on(http)


@pytest.mark.parametrize("count", [10, 1000, 5000])
def test_calls_grow_with_pages_and_not_with_servers(http, count):
    cloud = populated(http, count)
    inventory = collect(cloud, Scope(everything=True))
    assert (len(inventory.servers), len(inventory.ports), len(inventory.volumes)) == (count,) * 3
    calls = collections.Counter(
        request.path for request in http.request_history if "keystone" not in request.url
    )
    pages = math.ceil(count / 1000)
    paged = ("/v2.1/servers/detail", "/v2.0/ports", "/v3/volumes/detail")
    assert [calls.pop(path) for path in paged] == [pages] * 3
    # Discovery (2), listings of one page, 2 for each host, 1 for each project and user: no N.
    assert sum(calls.values()) <= 13 + 2 * HOSTS + 3 + 1


def test_everything_is_joined_into_one_inventory(http):
    told = []
    inventory = collect(populated(http, 10), Scope(servers=("n1",)), told.append)
    assert inventory.cloud_id == "http://keystone.test/v3#R1"
    assert inventory.taken_at.endswith("Z")
    assert [host.agent.agent_type for host in inventory.hosts] == ["Open vSwitch agent"] * HOSTS
    assert inventory.rooms["h0"].capacity == {"VCPU": 8}
    assert inventory.ports_of("s1")[0].id == "port1"
    assert inventory.aggregates == (Aggregate("a", "fast", ("h1",)),)
    assert inventory.traits == {}
    assert set(inventory.quotas) == {"p1"}
    assert inventory.keypairs == {"u": ("k",)}
    assert "10 servers" in told


def test_a_mandatory_listing_that_fails_ends_the_reading_with_its_error(http):
    cloud = populated(http, 10)
    http.get(f"{CINDER}/volumes/detail", status_code=403, json={"forbidden": {"message": "no"}})
    with pytest.raises(errors.Forbidden, match="volumes"):
        collect(cloud, Scope(everything=True))


def test_orchestration_that_fails_hides_nothing_else(http):
    cloud = populated(http, 10)

    def broken(_projects):
        raise errors.Unavailable("heat is down")

    cloud.orchestration.managed_servers = broken
    assert len(collect(cloud, Scope(everything=True)).servers) == 10


INVENTORY = Inventory(
    "c",
    "t",
    servers=(
        Server("1", "web", "ACTIVE", "p1", host="h1"),
        Server("2", "db", "ACTIVE", "p1", host="h2"),
        Server("3", "db", "ACTIVE", "p2", host="h1"),
    ),
    hosts=(Host("h1"), Host("h2"), Host("h3")),
)


@pytest.mark.parametrize(
    ("scope", "ids"),
    [
        (Scope(everything=True), ["1", "2", "3"]),
        (Scope(servers=("web",)), ["1"]),
        (Scope(servers=("3", "web")), ["1", "3"]),
        (Scope(hosts=("h1",)), ["1", "3"]),
        (Scope(hosts=("h1",), projects=("p1",)), ["1"]),
        (Scope(servers=("web",), hosts=("h2",)), []),
        (Scope(hosts=("h3",)), []),
        (Scope(projects=("p2",)), ["3"]),
    ],
)
def test_a_scope_is_what_all_that_is_named_has_in_common(scope, ids):
    assert [server.id for server in select(INVENTORY, scope)] == ids


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(servers=("db",)), "several servers are called db: 2, 3"),
        (Scope(servers=("web", "x", "y")), "unknown servers: x, y"),
        (Scope(hosts=("h1", "h9")), "unknown compute hosts: h9"),
        (Scope(), "the scope is empty"),
    ],
)
def test_a_scope_that_cannot_be_understood_is_refused_with_the_reason(scope, said):
    with pytest.raises(errors.RequestError, match=said):
        select(INVENTORY, scope)
