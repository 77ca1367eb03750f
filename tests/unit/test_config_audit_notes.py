"""What the release notes between 2025.1 and 2026.1 say of options is found, all of it.

The other way round than ``evidence.yaml``: each option that the new release notes of the services
and of their libraries name as removed, renamed, deprecated or changed is set in a file.
"""

from __future__ import annotations

import pytest

from upgrade_flows.config_audit import audit, metadata

OLD, NEW = metadata.load("2025.1"), metadata.load("2026.1")

MAIN = {"nova": "nova.conf", "neutron": "neutron.conf", "cinder": "cinder.conf",
        "glance": "glance-api.conf", "keystone": "keystone.conf", "heat": "heat.conf"}  # fmt: skip

#: package, release note, service, and for each line of a file the number of what is found
NOTES = (
    ("nova", "rename-neutron_default_tenant_id-opt", "nova", {
        "[api] neutron_default_tenant_id = x": "004",
        "[DEFAULT] neutron_default_tenant_id = x": "003",
        "[DEFAULT] config_drive_skip_versions = 1.0": "003",
        "[DEFAULT] vendordata_providers = DynamicJSON": "003",
        "[DEFAULT] vendordata_dynamic_targets = a@http://a/": "003",
        "[DEFAULT] vendordata_dynamic_ssl_certfile = /a": "003",
        "[DEFAULT] vendordata_dynamic_connect_timeout = 9": "003",
        "[DEFAULT] vendordata_dynamic_read_timeout = 9": "003",
        "[DEFAULT] metadata_cache_expiration = 9": "003",
        "[DEFAULT] dhcp_domain = a.example": "003",
        "[DEFAULT] vendordata_jsonfile_path = /a": "003",
        "[DEFAULT] osapi_max_limit = 9": "003",  # the note forgets "osapi_" in these three
        "[DEFAULT] osapi_compute_link_prefix = http://a/": "003",
        "[DEFAULT] osapi_glance_link_prefix = http://a/": "003",
        "[DEFAULT] use_neutron_default_nets = true": "003",
        "[DEFAULT] enable_instance_password = false": "003",
    }),
    ("nova", "deprecated-AggregateImagePropertiesIsolation-conf-opts", "nova", {
        "[filter_scheduler] aggregate_image_properties_isolation_namespace = a": "011",
        "[filter_scheduler] aggregate_image_properties_isolation_separator = ,": "011",
    }),
    ("nova", "libvirt-deprecate-num_memory_encrypted_guests", "nova", {
        "[libvirt] num_memory_encrypted_guests = 5": "011",
    }),
    ("nova", "deprecate-unlimited-max_concurrent_live_migrations", "nova", {
        "[DEFAULT] max_concurrent_live_migrations = 0": "012",
        "[DEFAULT] max_concurrent_builds = 0": "012",
        "[DEFAULT] max_concurrent_snapshots = 0": "012",
        "sync_power_state_pool_size": "014",
    }),
    ("nova", "nova-services-graceful-shutdown", "nova", {"graceful_shutdown_timeout": "014"}),
    ("neutron", "enable-signals-removal", "neutron", {"[DEFAULT] enable_signals = false": "002"}),
    ("neutron", "remove-ovn_emit_need_to_frag", "neutron", {
        "[ovn] ovn_emit_need_to_frag = false": "002",
    }),
    ("neutron", "tenant_network_types_to_project_network_types", "neutron", {
        "[ml2] tenant_network_types = vxlan": "004",
    }),
    ("neutron", "deprecate-wsgi-opts", "neutron", {
        "[DEFAULT] backlog = 9": "011",
        "[DEFAULT] retry_until_window = 9": "011",
        "[DEFAULT] use_ssl = true": "011",
    }),
    ("neutron", "deprecate-vlan_transparent-and-vlan_qinq-config-options", "neutron", {
        "[DEFAULT] vlan_transparent = true": "011",
        "[DEFAULT] vlan_qinq = true": "011",
    }),
    ("neutron", "bug-2132348-fix-metadata-opts", "neutron", {
        "[DEFAULT] metadata_workers = 9": "012",
    }),
    ("neutron", "ovn-fdb-default-values", "neutron", {
        "[ml2] mechanism_drivers = ovn": "",
        "fdb_age_threshold": "014",
    }),
    ("cinder", "ibm-svf-support-for-temporary-volumegroup", "cinder", {
        "[svf] volume_driver = cinder.volume.drivers.ibm.storwize_svc.storwize_svc_iscsi"
        ".StorwizeSVCISCSIDriver": "",
        "[svf] storwize_volume_group = a": "002",
    }),
    ("cinder", "remove-windows", "cinder", {
        "[win] volume_driver = cinder.volume.drivers.windows.iscsi.WindowsISCSIDriver": "013",
        "[win] windows_iscsi_lun_path = a": "002",
    }),
    ("openstack-heat", "deprecate-legacy-ec2token-opts", "heat", {
        "[ec2authtoken] auth_uri = http://a/": "011",
        "[ec2authtoken] allowed_auth_uris = http://a/": "011",
        "[ec2authtoken] ca_file = /a": "004",
        "[ec2authtoken] cert_file = /a": "004",
        "[ec2authtoken] key_file = /a": "004",
    }),
    ("openstack-heat", "deprecate-legacy-engine", "heat", {
        "[DEFAULT] convergence_engine = true": "011",
        "[DEFAULT] enable_stack_abandon = true": "011",
        "[DEFAULT] enable_stack_adopt = true": "011",
    }),
    ("openstack-heat", "remove-monasca", "heat", {"[clients_monasca] ca_file = /a": "002"}),
    ("oslo.cache", "fix-hashclient-opt-names", "keystone", {
        "[cache] hashclient_retry_delay = 9": "004",
        "[cache] dead_timeout = 9": "004",
    }),
    ("oslo.cache", "general-opt-names", "keystone", {
        "[cache] memcache_username = a": "004",
        "[cache] memcache_password = a": "004",
        "[cache] memcache_socket_timeout = 9": "004",
        "[cache] redis_username = a": "004",
        "[cache] redis_password = a": "004",
        "[cache] redis_socket_timeout = 9": "004",
    }),
    ("oslo.cache", "deprecate-enforce_fips_mode", "glance", {
        "[cache] enforce_fips_mode = true": "011",
    }),
    ("oslo.cache", "remove-mongodb-backend", "heat", {
        "[cache] backend = oslo_cache.mongo": "008",
    }),
    ("oslo.log", "remove-watch-log-file", "cinder", {"[DEFAULT] watch_log_file = true": "002"}),
    ("oslo.messaging", "deprecate-enforce_fips_mode", "heat", {
        "[oslo_messaging_rabbit] ssl_enforce_fips_mode = true": "011",
    }),
    ("oslo.messaging", "remove-old-quorum-opts-with-typo", "cinder", {
        "[oslo_messaging_rabbit] rabbit_quroum_max_memory_length = 9": "003",
        "[oslo_messaging_rabbit] rabbit_quroum_max_memory_bytes = 9": "003",
    }),
    ("oslo.middleware", "remove-deprecated-sizelimit-opts", "glance", {
        "[DEFAULT] osapi_max_request_body_size = 9": "003",
        "[DEFAULT] max_request_body_size = 9": "003",
    }),
    ("oslo.middleware", "remove-cors-sections", "keystone", {
        "[cors.horizon] allowed_origin = http://a": "012",
    }),
    ("oslo.policy", "remove-json-format-support", "glance", {
        "[oslo_policy] policy_file = /etc/glance/policy.json": "012",
    }),
    ("glance_store", "swift-remove-auth-version-v1-and-v2", "glance", {
        "[DEFAULT] enabled_backends = a:swift": "",
        "[a] swift_store_auth_version = 2": "008",
    }),
    ("glance_store", "deprecate-filesystem_store_datadirs", "glance", {
        "[glance_store] filesystem_store_datadirs = /a": "011",
    }),
    ("castellan", "deprecate-vault-use_ssl", "nova", {"[vault] use_ssl = true": "011"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("service", "lines"), [(note[2], note[3]) for note in NOTES], ids=[note[1] for note in NOTES]
)
def test_what_a_release_note_says_of_options_is_found(service, lines):
    text, expected, where = "", set(), 0
    for line, number in lines.items():
        group, _, setting = line.partition("] ")
        if not setting:  # a default
            expected.add((number, 0, line))
            continue
        text += f"{group}]\n{setting}\n"
        where += 2
        name = setting.partition(" = ")[0]
        if number == "012" and group == "[cors.horizon":
            expected.add((number, where - 1, "[cors.horizon]"))
        elif number:
            expected.add((number, where, name))
    found = audit.audit(OLD, NEW, [(MAIN[service], text)]).findings
    said = {
        (one.id[-3:], one.evidence["line"], one.evidence["option"].rpartition(" ")[2])
        for one in found
    }
    assert expected - said == set()


def test_where_a_release_note_and_the_code_disagree_the_code_counts():
    # neutron's note ovn-mac-binding-age-threshold says 300, its constants.py says 0
    text = "[ml2]\nmechanism_drivers = ovn\n"
    found = audit.audit(OLD, NEW, [("neutron.conf", text)]).findings
    assert "[ovn] mac_binding_age_threshold" not in {one.evidence["option"] for one in found}
    assert NEW.services["neutron"].options["ovn", "mac_binding_age_threshold"].default == 0
