"""How a cloud is: services, endpoints, certificates, what is stuck, who holds what."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading

import pytest
import requests_mock
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.clients_http import CINDER, NOVA, PLACEMENT, Listing, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import Certificate, Endpoint, Service

ENDS = datetime.datetime(2027, 1, 31, tzinfo=datetime.UTC)


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def test_the_services_of_nova_are_of_every_binary(http):
    items = [
        {
            "id": "1",
            "binary": "nova-conductor",
            "host": "c1",
            "status": "enabled",
            "state": "down",
            "zone": "internal",
            "updated_at": "2026-01-01T00:00:00.000000",
            "disabled_reason": None,
            "forced_down": False,
        }
    ]
    http.get(f"{NOVA}/os-services", json={"services": items})
    assert cloud_on(http).compute.services() == [
        Service("nova-conductor", "c1", up=False, zone="internal", updated=items[0]["updated_at"])
    ]


def test_the_services_of_cinder_have_no_forced_down(http):
    item = {
        "binary": "cinder-volume",
        "host": "s1@lvm",
        "status": "disabled",
        "state": "up",
        "zone": "nova",
        "updated_at": None,
        "disabled_reason": "full",
    }
    http.get(f"{CINDER}/os-services", json={"services": [item]})
    assert cloud_on(http).volumes.services() == [
        Service("cinder-volume", "s1@lvm", enabled=False, disabled_reason="full", zone="nova")
    ]


def test_volumes_of_a_status_are_those_that_have_not_changed_since(http):
    def volume(name, **times):
        return {"id": name, "status": "deleting", "size": 1, **times}

    items = [
        volume("old", created_at="2026-01-01T00:00:00", updated_at="2026-01-02T00:00:00.000000"),
        volume("new", created_at="2026-01-01T00:00:00", updated_at="2026-01-04T00:00:00.000000"),
        volume("never", created_at="2026-01-01T00:00:00.000000", updated_at=None),
    ]
    http.get(f"{CINDER}/volumes/detail", json=Listing("volumes", items))
    since = datetime.datetime(2026, 1, 3, tzinfo=datetime.UTC).timestamp()
    found = cloud_on(http).volumes.unchanged("deleting", since)
    assert [one.id for one in found] == ["old", "never"]
    assert "status=deleting" in http.last_request.url
    assert "all_tenants=1" in http.last_request.url


def test_migrations_of_a_status_are_asked_for_by_it(http):
    item = {"id": 7, "uuid": "m7", "status": "failed", "instance_uuid": "s", "created_at": "2026"}
    http.get(f"{NOVA}/os-migrations", json=Listing("migrations", [item]))
    (found,) = cloud_on(http).compute.migrations_in("failed")
    assert (found.id, found.server_id, found.status) == ("m7", "s", "failed")
    assert "status=failed" in http.last_request.url


def test_what_is_held_on_the_parts_of_a_host_is_added_to_the_hosts(http):
    root = {"uuid": "r", "name": "h1", "root_provider_uuid": "r"}
    child = {"uuid": "c", "name": "h1_NUMA0", "root_provider_uuid": "r"}
    other = {"uuid": "o", "name": "h2", "root_provider_uuid": "o"}
    providers = f"{PLACEMENT}/resource_providers"
    http.get(providers, json={"resource_providers": [child, root, other]})
    for uuid, held in (
        ("r", {"s1": {"resources": {"VCPU": 2, "MEMORY_MB": 64}}}),
        ("c", {"s1": {"resources": {"VCPU": 4}}, "m1": {"resources": {"VCPU": 1}}}),
        ("o", {}),
    ):
        http.get(f"{providers}/{uuid}/allocations", json={"allocations": held})
    assert cloud_on(http).placement.holdings() == {
        "h1": {"s1": {"VCPU": 6, "MEMORY_MB": 64}, "m1": {"VCPU": 1}}
    }


def test_the_endpoints_are_those_of_the_catalogue(http):
    found = cloud_on(http, **{"key-manager": "https://barbican.test"}).endpoints()
    assert Endpoint("compute", "public", NOVA) in found
    assert Endpoint("key-manager", "public", "https://barbican.test") in found
    assert len(found) == 6


@pytest.fixture
def server(tmp_path):
    """A server of TLS whose certificate nobody trusts; the address it listens on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.example.org")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(ENDS - datetime.timedelta(days=9000))
        .not_valid_after(ENDS)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    thread.join(10)
    listening.close()


def test_the_certificate_of_a_server_is_read_also_if_nobody_trusts_it(http, server):
    found = cloud_on(http).certificate(f"https://127.0.0.1:{server}/v2.1")
    name = "CN=api.example.org"
    assert found == Certificate(name, name, ENDS.timestamp())


def test_a_server_that_does_not_answer_is_unavailable(http):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(errors.Unavailable, match=f"127.0.0.1:{port}: .*refused"):
        cloud_on(http).certificate(f"https://127.0.0.1:{port}/")
