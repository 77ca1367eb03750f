"""Whose files are, which host they are of, and what an operator's own sections stand for."""

from __future__ import annotations

import pytest

from tests.unit.config_audit_samples import options, release
from upgrade_flows.config_audit import audit, services
from upgrade_flows.config_audit.findings import MASK, rank, shown
from upgrade_flows.config_audit.metadata import Option


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/etc/nova/nova.conf", "nova"),
        ("/etc/nova/nova-cpu.conf", "nova"),
        ("/etc/nova/nova.conf.d/10-rabbit.conf", "nova"),
        ("neutron.conf", "neutron"),
        ("/etc/neutron/plugins/ml2/ml2_conf.ini", "neutron"),
        ("ml2_conf_sriov.ini", "neutron"),
        ("openvswitch_agent.ini", "neutron"),
        ("dhcp_agent.ini", "neutron"),
        ("neutron_ovn_metadata_agent.ini", "neutron"),
        ("cinder.conf", "cinder"),
        ("glance-api.conf", "glance"),
        ("keystone.conf", "keystone"),
        ("domains/keystone.example.conf", "keystone"),
        ("placement.conf", "placement"),
        ("heat.conf", "heat"),
        ("api-paste.ini", None),
        ("policy.yaml", None),
        ("nova.conf.bak", None),
        ("rootwrap.d/compute.filters", None),
    ],
)
def test_a_file_is_told_by_its_name(path, service):
    assert services.service_of(path) == service


def places(*paths):
    given = [(path, services.service_of(path)) for path in paths]
    return [(one.host, one.role) for one in services.places(given)]


def test_files_of_one_host_have_no_host():
    assert places("/etc/nova/nova.conf", "/etc/neutron/neutron.conf") == [("", ""), ("", "")]


def test_a_host_is_the_directory_that_tells_files_of_the_same_name_apart():
    assert places(
        "h/c1/etc/nova/nova.conf", "h/c2/etc/nova/nova.conf", "h/c1/etc/nova/nova-cpu.conf"
    ) == [("c1", ""), ("c2", ""), ("c1", "")]


def test_a_directory_named_after_a_process_is_no_host():
    assert places("kolla/nova-api/nova.conf", "kolla/nova-compute/nova.conf") == [
        ("", "nova-api"), ("", "nova-compute"),
    ]  # fmt: skip
    assert places("c1/nova-compute/nova.conf", "c2/nova-compute/nova.conf") == [
        ("c1", "nova-compute"), ("c2", "nova-compute"),
    ]  # fmt: skip


# sections of the operator's own

GROUPS = {
    "DEFAULT": {"enabled_backends": {}},
    "backend_defaults": {"volume_driver": {}, "old_pool": {"default": "p"}, "san": {}},
}
OLD = release("2025.1", options(**GROUPS), service="cinder")
NEW = release(
    "2026.1",
    options(
        DEFAULT={"enabled_backends": {}},
        backend_defaults={
            "volume_driver": {},
            "pool": {"default": "q", "old": [["backend_defaults", "old_pool"]]},
            "san": {"type": "integer"},
        },
    ),
    service="cinder",
)


def cinder(text):
    return audit.audit(OLD, NEW, [("cinder.conf", text)])


BACKEND = "[DEFAULT]\nenabled_backends = fast, slow\n[fast]\nold_pool = a\nsan = b\nsam = c\n"


def test_a_backends_section_takes_the_options_of_all_backends():
    found = cinder(BACKEND + "[other]\nold_pool = a\n").findings
    assert [(one.id, one.evidence["option"]) for one in found] == [
        ("UF-CFG-007", "[fast] san"),
        ("UF-CFG-004", "[fast] old_pool"),
        ("UF-CFG-009", "[fast] sam"),
        ("UF-CFG-009", "[other]"),
    ]


def test_a_section_with_a_driver_is_one_of_a_backend_too():
    found = cinder("[mine]\nvolume_driver = x\nold_pool = a\n").findings
    assert [one.evidence["option"] for one in found] == ["[mine] old_pool"]


def test_what_is_renamed_in_a_backends_section_stays_there():
    ((text, _),) = cinder(BACKEND).patches().values()
    assert text == BACKEND.replace("old_pool", "pool")


def test_a_default_of_backends_counts_only_where_there_is_a_backend():
    assert cinder("[DEFAULT]\nenabled_backends = fast\n").findings == ()
    (one,) = cinder("[fast]\nvolume_driver = x\n").findings
    assert (one.id, one.evidence["option"]) == ("UF-CFG-014", "[backend_defaults] pool")


# who would notice, and what is not shown


@pytest.mark.parametrize(
    ("service", "option", "expected"),
    [
        ("nova", "[DEFAULT] default_ephemeral_format", "data"),
        ("nova", "[libvirt] images_type", "data"),
        ("cinder", "[lvm-1] volume_clear", "data"),
        ("nova", "[libvirt] cpu_mode", "guest"),
        ("neutron", "[DEFAULT] global_physnet_mtu", "guest"),
        ("neutron", "[ovs] bridge_mappings", "guest"),
        ("keystone", "[cache] backend", "user"),
        ("keystone", "[token] expiration", "user"),
        ("nova", "[oslo_policy] enforce_scope", "user"),
        ("nova", "[quota] cores", "user"),
        ("heat", "[DEFAULT] max_resources_per_stack", "user"),
        ("nova", "[DEFAULT] default_log_levels", "operator"),
        ("nova", "[database] max_pool_size", "operator"),
    ],
)
def test_it_is_known_who_would_notice(service, option, expected):
    assert rank(service, option).name == expected
    assert rank(service, option).reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "a"),
        ("memcache_secret_key", "a"),
        ("metadata_proxy_shared_secret", "a"),
        ("transport_url", "rabbit://a"),
        ("connection", "mysql://a"),
        ("anything", "http://user:pass@host/"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(name, value):
    assert shown(name, value) == MASK


def test_what_is_no_secret_is_shown_unless_the_option_says_that_it_is():
    assert shown("driver", "a\n b") == "a b"
    assert shown("driver", "a", Option("DEFAULT", "driver", secret=True)) == MASK
    assert shown("driver", None) == "(not set)"
