"""The bindings of a port: which there are, and that the one in use is not deleted."""

import pytest
import requests_mock

from tests.unit.clients_http import NEUTRON, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import PortBinding

BINDINGS = f"{NEUTRON}/v2.0/ports/p/bindings"
INACTIVE = {
    "host": "h2",
    "status": "INACTIVE",
    "vif_type": "vhostuser",
    "vif_details": {"vhostuser_mode": "server"},
    "vnic_type": "normal",
    "profile": {},
    "project_id": "",
}
ACTIVE = {**INACTIVE, "host": "h1", "status": "ACTIVE"}
UNBOUND = {**INACTIVE, "host": "", "status": "ACTIVE", "vif_type": "unbound"}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        mocker.get(BINDINGS, json={"bindings": [INACTIVE, ACTIVE]})
        mocker.delete(f"{BINDINGS}/h2", status_code=204)
        yield mocker


def deleted(http):
    return [r.url for r in http.request_history if r.method == "DELETE"]


def test_the_active_binding_comes_first(http):
    details = {"vhostuser_mode": "server"}
    assert cloud_on(http).network.bindings("p") == (
        PortBinding("h1", True, "vhostuser", details),
        PortBinding("h2", False, "vhostuser", details),
    )


def test_an_unbound_port_has_no_bindings(http):
    http.get(BINDINGS, json={"bindings": [UNBOUND]})
    assert cloud_on(http).network.bindings("p") == ()


def test_an_inactive_binding_is_deleted(http):
    cloud_on(http).network.delete_binding("p", "h2")
    assert deleted(http) == [f"{BINDINGS}/h2"]


def test_an_active_binding_is_not_deleted(http):
    with pytest.raises(errors.Conflict, match="binding of port p on h1 is ACTIVE"):
        cloud_on(http).network.delete_binding("p", "h1")
    assert deleted(http) == []


def test_a_binding_that_is_not_there_is_not_found(http):
    with pytest.raises(errors.NotFound, match="no binding on h3"):
        cloud_on(http).network.delete_binding("p", "h3")
    assert deleted(http) == []


def test_a_neutron_without_multiple_bindings_says_not_found(http):
    http.get(BINDINGS, status_code=404, text="The resource could not be found.")
    with pytest.raises(errors.NotFound):
        cloud_on(http).network.bindings("p")
