"""How ports are made and found in Neutron, and what a console shows."""

import pytest
import requests_mock

from tests.unit.clients_http import NEUTRON, NOVA, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import Subnet
from upgrade_flows.model.inventory import Port, Quota

PORTS = f"{NEUTRON}/v2.0/ports"
MADE = {"id": "p", "network_id": "n", "mac_address": "fa:16:3e:00:00:01"}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def test_a_port_is_made_with_all_that_it_is_like_and_held_by_nobody(http):
    http.post(PORTS, json={"port": MADE}, status_code=201)
    http.put(f"{PORTS}/p/tags", json={"tags": ["a", "b"]})
    like = Port(
        id="old",
        network_id="n",
        mac_address="fa:16:3e:00:00:01",
        project_id="p-other",
        name="front",
        description="of the web",
        status="ACTIVE",
        admin_state_up=False,
        device_id="s",
        device_owner="compute:nova",
        fixed_ips=(("sub", "10.0.0.5"),),
        security_groups=("g",),
        allowed_address_pairs=({"ip_address": "10.0.0.9", "mac_address": "m"},),
        qos_policy_id="q",
        dns_name="web",
        extra_dhcp_opts=({"opt_name": "mtu", "opt_value": "1400", "ip_version": 4},),
        tags=("a", "b"),
        binding_host="h1",
        vnic_type="direct",
        vif_type="ovs",
        binding_profile={"pci_slot": "1"},
    )
    made = cloud_on(http).network.create_port(like)
    assert (made.id, made.tags) == ("p", ("a", "b"))
    create, tags = [r for r in http.request_history if r.url.startswith(PORTS)]
    assert create.json() == {
        "port": {
            "network_id": "n",
            "project_id": "p-other",
            "name": "front",
            "description": "of the web",
            "admin_state_up": False,
            "mac_address": "fa:16:3e:00:00:01",
            "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.5"}],
            "security_groups": ["g"],
            "allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": "m"}],
            "qos_policy_id": "q",
            "dns_name": "web",
            "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
            "binding:vnic_type": "direct",
        }
    }
    assert tags.json() == {"tags": ["a", "b"]}


def test_a_plain_port_says_nothing_of_extensions_and_has_no_security_group(http):
    http.post(PORTS, json={"port": MADE}, status_code=201)
    cloud_on(http).network.create_port(Port(id="", network_id="n", mac_address=""))
    assert http.last_request.json() == {
        "port": {
            "network_id": "n",
            "name": "",
            "description": "",
            "admin_state_up": True,
            "security_groups": [],
        }
    }


def test_a_port_without_port_security_is_made_without(http):
    http.post(PORTS, json={"port": MADE}, status_code=201)
    wish = Port(id="", network_id="n", mac_address="", port_security_enabled=False)
    cloud_on(http).network.create_port(wish)
    assert http.last_request.json()["port"]["port_security_enabled"] is False


@pytest.mark.parametrize(("code", "error"), [(409, errors.Conflict), (404, errors.NotFound)])
def test_a_port_that_neutron_refuses_is_an_error(http, code, error):
    http.post(PORTS, json={"NeutronError": {"message": "no"}}, status_code=code)
    with pytest.raises(error, match="create port"):
        cloud_on(http).network.create_port(Port(id="", network_id="n", mac_address=""))


def test_ports_are_found_by_name_and_by_mac(http):
    http.get(PORTS, json={"ports": [MADE]})
    network = cloud_on(http).network
    assert network.find_ports("r/step")[0].id == "p"
    assert http.last_request.qs["name"] == ["r/step"]
    assert network.ports(mac_address="fa:16:3e:00:00:01")[0].id == "p"
    assert http.last_request.qs["mac_address"] == ["fa:16:3e:00:00:01"]


def test_a_subnet_tells_its_prefix_and_its_gateway(http):
    subnet = {"id": "sub", "cidr": "10.0.0.0/24", "gateway_ip": None}
    http.get(f"{NEUTRON}/v2.0/subnets/sub", json={"subnet": subnet})
    assert cloud_on(http).network.subnet("sub") == Subnet("sub", "10.0.0.0/24", "")


def test_ports_that_are_reserved_count_as_used(http):
    found = {"port": {"limit": 10, "used": 3, "reserved": 1}}
    http.get(f"{NEUTRON}/v2.0/quotas/p/details", json={"quota": found})
    assert cloud_on(http).network.quota("p") == Quota({"ports": 10}, {"ports": 4})


@pytest.mark.parametrize(("lines", "body"), [(None, {}), (50, {"length": 50})])
def test_a_console_is_read_by_its_last_lines_or_whole(http, lines, body):
    http.post(f"{NOVA}/servers/s/action", json={"output": "login:"})
    assert cloud_on(http).compute.console("s", lines) == "login:"
    assert http.last_request.json() == {"os-getConsoleOutput": body}
