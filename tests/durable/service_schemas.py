"""The services' databases as far as checks read them, with a little cloud that is well.

Columns are those of nova/db, cinder/db and neutron/db of 2025.1; what no check reads is left out.
"""

from __future__ import annotations

UTF8 = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
STAMPS = "created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, deleted INT DEFAULT 0"
NOW = "'2026-11-01 00:00:00'"

NOVA_API = f"""
CREATE TABLE cell_mappings (id INT PRIMARY KEY, uuid VARCHAR(36), name VARCHAR(255)) {UTF8};
CREATE TABLE instance_mappings (id INT AUTO_INCREMENT PRIMARY KEY, created_at DATETIME,
  instance_uuid VARCHAR(36) NOT NULL UNIQUE, cell_id INT, project_id VARCHAR(255) NOT NULL,
  user_id VARCHAR(255), queued_for_delete BOOL,
  FOREIGN KEY (cell_id) REFERENCES cell_mappings (id)) {UTF8};
CREATE TABLE request_specs (id INT AUTO_INCREMENT PRIMARY KEY, created_at DATETIME,
  instance_uuid VARCHAR(36) NOT NULL UNIQUE, spec MEDIUMTEXT) {UTF8};
CREATE TABLE build_requests (id INT AUTO_INCREMENT PRIMARY KEY, instance_uuid VARCHAR(36)) {UTF8};
CREATE TABLE flavors (id INT PRIMARY KEY, name VARCHAR(255), flavorid VARCHAR(255), vcpus INT,
  memory_mb INT, root_gb INT, ephemeral_gb INT, swap INT) {UTF8};
CREATE TABLE key_pairs (id INT PRIMARY KEY, name VARCHAR(255), user_id VARCHAR(255),
  fingerprint VARCHAR(255)) {UTF8};
CREATE TABLE aggregates (id INT PRIMARY KEY, name VARCHAR(255)) {UTF8};
INSERT INTO cell_mappings VALUES (1, 'c0', 'cell0'), (2, 'c1', 'cell1');
INSERT INTO instance_mappings (created_at, instance_uuid, cell_id, project_id, user_id,
  queued_for_delete) VALUES ({NOW}, 'web', 2, 'p', 'u', 0), ({NOW}, 'old', 2, 'p', 'u', 1),
  ({NOW}, 'building', NULL, 'p', NULL, 0);
INSERT INTO request_specs (created_at, instance_uuid, spec) VALUES ({NOW}, 'web', '{{}}');
INSERT INTO flavors VALUES (1, 'small', 'f-small', 1, 512, 10, 0, 0);
INSERT INTO key_pairs VALUES (1, 'mine', 'u', 'aa:bb');
"""

NOVA_CELL = f"""
CREATE TABLE instances (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS}, uuid VARCHAR(36) UNIQUE,
  host VARCHAR(255), node VARCHAR(255), availability_zone VARCHAR(255), compute_id BIGINT,
  vm_state VARCHAR(255)) {UTF8};
CREATE TABLE services (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS}, uuid VARCHAR(36),
  host VARCHAR(255), `binary` VARCHAR(255), topic VARCHAR(255), report_count INT DEFAULT 0,
  disabled BOOL DEFAULT 0, disabled_reason VARCHAR(255), last_seen_up DATETIME,
  forced_down BOOL DEFAULT 0, version INT DEFAULT 0) {UTF8};
CREATE TABLE compute_nodes (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS}, host VARCHAR(255),
  hypervisor_hostname VARCHAR(255), hypervisor_version INT, cpu_allocation_ratio FLOAT,
  ram_allocation_ratio FLOAT, disk_allocation_ratio FLOAT) {UTF8};
CREATE TABLE block_device_mapping (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS},
  uuid VARCHAR(36), instance_uuid VARCHAR(36),
  FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)) {UTF8};
CREATE TABLE migrations (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS}, uuid VARCHAR(36)) {UTF8};
CREATE TABLE instance_id_mappings (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS},
  uuid VARCHAR(36)) {UTF8};
CREATE TABLE instance_system_metadata (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS},
  instance_uuid VARCHAR(36), `key` VARCHAR(255), value VARCHAR(255),
  FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)) {UTF8};
CREATE TABLE tags (resource_id VARCHAR(36), tag VARCHAR(80)) {UTF8};
CREATE TABLE pci_devices (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS}, uuid VARCHAR(36),
  instance_uuid VARCHAR(36)) {UTF8};
CREATE TABLE instance_types (id INT PRIMARY KEY, {STAMPS}, name VARCHAR(255),
  flavorid VARCHAR(255), vcpus INT, memory_mb INT, root_gb INT, ephemeral_gb INT, swap INT) {UTF8};
CREATE TABLE key_pairs (id INT PRIMARY KEY, {STAMPS}, name VARCHAR(255), user_id VARCHAR(255),
  fingerprint VARCHAR(255)) {UTF8};
CREATE TABLE shadow_instances (id INT AUTO_INCREMENT PRIMARY KEY, {STAMPS},
  uuid VARCHAR(36)) {UTF8};
INSERT INTO services (created_at, host, `binary`, version) VALUES ({NOW}, 'h1', 'nova-compute', 68);
INSERT INTO compute_nodes (created_at, host, hypervisor_hostname, hypervisor_version,
  cpu_allocation_ratio, ram_allocation_ratio, disk_allocation_ratio)
  VALUES ({NOW}, 'h1', 'h1.example.org', 8002003, 4, 1, 1);
INSERT INTO instances (created_at, uuid, host, node, availability_zone, compute_id) VALUES
  ({NOW}, 'web', 'h1', 'h1.example.org', 'nova', 1);
INSERT INTO instances (created_at, uuid, host, node, deleted, deleted_at) VALUES
  ({NOW}, 'old', 'h0', 'h0', 2, {NOW});
INSERT INTO block_device_mapping (created_at, uuid, instance_uuid, deleted) VALUES
  ({NOW}, 'b1', 'web', 0), ({NOW}, 'b2', 'old', 2);
INSERT INTO instance_id_mappings (created_at, uuid) VALUES ({NOW}, 'web');
INSERT INTO instance_system_metadata (instance_uuid, `key`, value) VALUES
  ('web', 'image_hw_machine_type', 'pc-q35-7.2'), ('old', 'x', 'y');
INSERT INTO pci_devices (uuid, instance_uuid) VALUES ('pci', NULL);
INSERT INTO instance_types (id, name, flavorid, vcpus, memory_mb, root_gb, ephemeral_gb, swap)
  VALUES (1, 'small', 'f-small', 1, 512, 10, 0, 0);
INSERT INTO key_pairs (id, name, user_id, fingerprint, deleted) VALUES (1, 'gone', 'u', 'x', 1);
"""

CINDER = f"""
CREATE TABLE volumes (id VARCHAR(36) PRIMARY KEY, {STAMPS}, use_quota BOOL) {UTF8};
CREATE TABLE snapshots (id VARCHAR(36) PRIMARY KEY, {STAMPS}, volume_id VARCHAR(36) NOT NULL,
  use_quota BOOL, FOREIGN KEY (volume_id) REFERENCES volumes (id)) {UTF8};
CREATE TABLE volume_attachment (id VARCHAR(36) PRIMARY KEY, {STAMPS}, volume_id VARCHAR(36),
  FOREIGN KEY (volume_id) REFERENCES volumes (id)) {UTF8};
CREATE TABLE volume_admin_metadata (id INT PRIMARY KEY, {STAMPS}, `key` VARCHAR(255)) {UTF8};
INSERT INTO volumes (id, created_at, use_quota) VALUES ('v1', {NOW}, 1);
INSERT INTO snapshots (id, created_at, volume_id, use_quota) VALUES ('s1', {NOW}, 'v1', 1);
INSERT INTO volume_attachment (id, created_at, volume_id) VALUES ('a1', {NOW}, 'v1');
INSERT INTO volume_admin_metadata (id, `key`) VALUES (1, 'readonly');
"""

NEUTRON = f"""
CREATE TABLE ports (id VARCHAR(36) PRIMARY KEY, network_id VARCHAR(36), mac_address VARCHAR(32))
  {UTF8};
CREATE TABLE ml2_port_bindings (port_id VARCHAR(36), host VARCHAR(255), status VARCHAR(16),
  PRIMARY KEY (port_id, host)) {UTF8};
CREATE TABLE networksegments (id VARCHAR(36) PRIMARY KEY, network_id VARCHAR(36),
  network_type VARCHAR(32), physical_network VARCHAR(64), segment_index INT) {UTF8};
CREATE TABLE quotas (id VARCHAR(36) PRIMARY KEY, project_id VARCHAR(255), resource VARCHAR(255))
  {UTF8};
CREATE TABLE ha_router_networks (project_id VARCHAR(255), network_id VARCHAR(36),
  PRIMARY KEY (project_id, network_id)) {UTF8};
INSERT INTO ports VALUES ('p1', 'n1', 'fa:16:3e:00:00:01'), ('p2', 'n2', 'fa:16:3e:00:00:01');
INSERT INTO ml2_port_bindings VALUES ('p1', 'h1', 'ACTIVE');
INSERT INTO networksegments VALUES ('s1', 'n1', 'vxlan', NULL, 0), ('s2', 'n1', 'vxlan', NULL, 0),
  ('s3', 'n2', 'vlan', 'physnet1', 0);
INSERT INTO quotas VALUES ('q1', 'p', 'port'), ('q2', 'p', 'network');
INSERT INTO ha_router_networks VALUES ('p', 'n1');
"""

SCHEMAS = {
    "nova_api": NOVA_API,
    "nova_cell:cell1": NOVA_CELL,
    "cinder": CINDER,
    "neutron": NEUTRON,
}


def statements(text: str) -> list[str]:
    """Return the statements of a script."""
    return [part.strip() for part in text.split(";\n") if part.strip(" \n;")]
