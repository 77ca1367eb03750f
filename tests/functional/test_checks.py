"""``upgrade-flows check`` on the real cloud: what is planted is found, and without it nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager

import pytest

from tests.functional.instances import Wish, make
from tests.lab import api, database

PROGRAM = "import sys; from upgrade_flows.cli.main import main; sys.exit(main())"
TARGET = "2026.1"
OLD = "'2026-01-01 00:00:00'"
NAME = "checked"

#: in Nova's cells
CELL = "nova_cell1"
GONE = "gone-1"


@pytest.fixture(scope="module")
def config(lab, tmp_path_factory):
    """Return a configuration that has all databases, and Nova's and Cinder's own checks."""
    path = tmp_path_factory.mktemp("check") / "upgrade-flows.conf"
    url, bin_, etc = lab.database_url, lab.venv / "bin", lab.etc
    nova = f"--config-file {etc}/nova/nova.conf --config-file {etc}/nova/nova-db.conf"
    lines = [
        "[cloud]",
        "name = lab-admin",
        "[databases]",
        f"nova_api = {url('nova_api')}",
        f"nova_cell = cell0 {url('nova_cell0')}",
        f"nova_cell = cell1 {url(CELL)}",
        *(f"{name} = {url(name)}" for name in ("cinder", "glance", "keystone", "neutron")),
        "[checks]",
        f"upstream = {bin_}/nova-status {nova} upgrade check",
        f"upstream = {bin_}/cinder-status --config-file {etc}/cinder/cinder.conf upgrade check",
    ]
    path.touch(0o600)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def server(lab):
    """Return an instance that nothing is wrong with."""
    made = make([Wish(NAME, "fake2", data_volume=True)])[NAME]
    yield made
    cloud = api.shared("lab-admin")
    known = cloud.compute.get_server(made)
    cloud.compute.delete_server(known)
    cloud.compute.wait_for_delete(known, interval=0.5, wait=120)


@pytest.fixture(scope="module")
def check(lab, config):
    """Return what runs the command and gives its exit code and what it found, but for hints."""
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(lab.clouds_yaml)}

    def run(*areas):
        words = ["--config-file", str(config), "check", *areas, "--target", TARGET, "-f", "json"]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, *words],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        report = json.loads(done.stdout)
        found = {
            (one["id"], one["subject"]) for one in report["findings"] if one["severity"] != "info"
        }
        return done.returncode, found, report

    return run


def nova_status(found):
    """Return the findings without what Nova's own check says of every instance without libvirt."""
    return {(id_, subject) for id_, subject in found if "hw_machine_type" not in subject}


def test_on_a_cloud_that_is_well_all_checks_run_and_find_nothing(check, server):
    _, found, report = check()
    assert nova_status(found) == set()
    states = {one["name"]: one["state"] for one in report["checks"]}
    # all of the lab's endpoints are http, and there may be no host with a QEMU at the moment
    assert set(states.values()) == {"done", "skipped"}
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert skipped <= {"certificates", "hypervisors"}


@contextmanager
def rows(lab, plant, undo):
    """Do the one in the services' databases, and afterwards the other."""
    for statement in plant:
        database.query(lab, statement)
    try:
        yield
    finally:
        for statement in undo:
            database.query(lab, statement)


def test_a_foreign_key_over_two_charsets_is_found_in_cinders_database(lab, check, server):
    plant = [
        "SET SESSION foreign_key_checks = 0; CREATE TABLE cinder.uf_child (id INT PRIMARY KEY,"
        " name VARCHAR(36), FOREIGN KEY (name) REFERENCES cinder.uf_parent (name))"
        " DEFAULT CHARSET=utf8mb3; CREATE TABLE cinder.uf_parent (name VARCHAR(36) PRIMARY KEY)"
        " DEFAULT CHARSET=latin1",
    ]
    undo = ["DROP TABLE cinder.uf_child", "DROP TABLE cinder.uf_parent"]
    with rows(lab, plant, undo):
        code, found, _ = check("database")
    assert code == 2
    assert found == {
        ("UF-DB-001", "cinder.uf_child.name"),
        ("UF-DB-002", "cinder: latin1_swedish_ci"),
    }


def test_an_instance_that_has_hung_for_long_is_found(lab, check, server):
    where = f"WHERE uuid = '{server}'"
    plant = [
        f"UPDATE {CELL}.instances SET task_state = 'rebooting' {where}",
        # the last action is the one that is under way
        f"UPDATE {CELL}.instance_actions SET start_time = {OLD} WHERE instance_uuid = '{server}'",
    ]
    undo = [f"UPDATE {CELL}.instances SET task_state = NULL {where}"]
    with rows(lab, plant, undo):
        code, found, _ = check("cloud")
    assert code != 0
    assert found == {("UF-CL-010", server)}


def test_a_record_of_a_host_that_is_gone_is_found_to_hold_the_rpc_down(lab, check, server):
    plant = [
        f"INSERT INTO {CELL}.services (host, `binary`, topic, report_count, disabled, deleted,"
        f" version, created_at, last_seen_up, uuid, forced_down) VALUES ('{GONE}', 'nova-compute',"
        f" 'compute', 5, 1, 0, 66, {OLD}, {OLD}, '{uuid.uuid4()}', 0)"
    ]
    undo = [f"DELETE FROM {CELL}.services WHERE host = '{GONE}'"]
    with rows(lab, plant, undo):
        _, found, _ = check("cloud", "versions")
    assert {"UF-VR-002", "UF-CL-004"} <= {id_ for id_, _ in found}
    assert all(GONE in subject for id_, subject in found if id_ in ("UF-VR-002", "UF-CL-004"))


def test_rows_of_an_instance_that_does_not_exist_are_found(lab, check, server):
    plant = [
        f"SET SESSION foreign_key_checks = 0; INSERT INTO {CELL}.block_device_mapping"
        " (uuid, instance_uuid, deleted, source_type, destination_type) VALUES"
        f" ('{uuid.uuid4()}', '{uuid.uuid4()}', 0, 'volume', 'volume')"
    ]
    undo = [
        f"DELETE FROM {CELL}.block_device_mapping WHERE instance_uuid NOT IN"
        f" (SELECT uuid FROM {CELL}.instances)"
    ]
    with rows(lab, plant, undo):
        code, found, _ = check("database")
    assert (code, {id_ for id_, _ in found}) == (1, {"UF-DB-010"})


def test_room_that_nobody_uses_is_found_in_placement(check, server):
    placement = api.shared("lab-admin").placement
    nobody, headers = str(uuid.uuid4()), {"OpenStack-API-Version": "placement 1.38"}
    hosts = placement.get("/resource_providers?name=fake2").json()["resource_providers"]
    body = {
        "allocations": {hosts[0]["uuid"]: {"resources": {"MEMORY_MB": 64}}},
        "project_id": "p", "user_id": "u", "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }  # fmt: skip
    path = f"/allocations/{nobody}"
    assert placement.put(path, json=body, headers=headers).status_code == 204
    try:
        code, found, _ = check("cloud")
    finally:
        placement.delete(path, headers=headers)
    assert (code, {id_ for id_, _ in found}) == (1, {"UF-CL-020"})
    assert nobody in str(found)
