"""The checks of versions: who holds the RPC version down, and what the target does not take."""

from __future__ import annotations

import datetime
import sqlite3

import pytest

from upgrade_flows import checks
from upgrade_flows.checks import NothingToLookAt, Sources
from upgrade_flows.checks.database import access
from upgrade_flows.checks.versions import facts
from upgrade_flows.cloud.fake import FakeCloud

NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC).timestamp()
LATELY, LONG_AGO = "2026-11-30 11:59:00", "2026-09-01 00:00:00"


@pytest.fixture
def cells(tmp_path):
    """Return a function that adds records of services to a cell, and makes the cell."""
    made = {}

    def add(cell, *records):
        path = tmp_path / f"{cell}.db"
        made[f"nova_cell:{cell}"] = f"sqlite:///{path}"
        with sqlite3.connect(path) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS services (host TEXT, binary TEXT, version INT,"
                " disabled INT, forced_down INT, last_seen_up TEXT, updated_at TEXT,"
                " created_at TEXT, deleted INT)"
            )
            for record in records:
                known = {
                    "binary": "nova-compute",
                    "disabled": 0,
                    "forced_down": 0,
                    "last_seen_up": LATELY,
                    "deleted": 0,
                } | record
                names, marks = ", ".join(known), ", ".join("?" for _ in known)
                db.execute(
                    f"INSERT INTO services ({names}) VALUES ({marks})", tuple(known.values())
                )
        return made

    return add


def record(host, version, **more):
    return {"host": host, "version": version, **more}


def gate(urls, target="", cloud=None):
    databases = access.open_all(urls)
    report = checks.gate(Sources(cloud, databases, target, now=NOW), ["versions"])
    assert report.failed == ()
    return report


def found(urls, target="", cloud=None):
    return {(one.id, one.subject) for one in gate(urls, target, cloud).findings}


def test_where_all_are_of_one_version_nothing_is_found(cells):
    cells("cell1", record("h1", 68), record("c1", 68, binary="nova-conductor"))
    urls = cells("cell2", record("h2", 68))
    assert found(urls, "2026.1") == set()


def test_the_lowest_of_all_cells_holds_the_rpc_version_down(cells):
    cells("cell1", record("h1", 66), record("h2", 68))
    (finding,) = gate(cells("cell2", record("h3", 68))).findings
    assert (finding.id, finding.severity) == ("UF-VR-001", "info")
    assert finding.message == (
        "nova-computes are of the versions 66 to 68; auto is 6.2, and would be 6.4 without 1 of"
        " them, such as h1"
    )
    assert finding.evidence == {
        "cells": {
            "nova_cell:cell1": {"lowest": 66, "highest": 68},
            "nova_cell:cell2": {"lowest": 68, "highest": 68},
        },
        "holding": ["h1"],
        "number": 1,
        "auto": "6.2",
        "possible": "6.4",
    }


@pytest.mark.parametrize("disabled", [0, 1])
def test_a_record_of_nobody_that_holds_down_is_found(cells, disabled):
    gone = record("gone", 61, disabled=disabled, last_seen_up=LONG_AGO)
    (finding,) = gate(cells("cell1", record("h1", 68), gone)).findings
    assert (finding.id, finding.subject) == ("UF-VR-002", "nova_cell:cell1 gone")
    said = "disabled and silent" if disabled else "silent"
    assert finding.message == (
        f"the record of nova-compute on gone is {said} for 90 days, and holds the compute RPC at"
        " 6.0; without it auto would be 6.4"
    )


@pytest.mark.parametrize(
    "more", [{"deleted": 4}, {"forced_down": 1}, {"version": 0}], ids=lambda more: next(iter(more))
)
def test_records_that_auto_does_not_count_hold_nothing_down(cells, more):
    gone = record("gone", 61, last_seen_up=LONG_AGO) | more
    assert found(cells("cell1", record("h1", 68), gone)) == set()


def test_a_record_of_nobody_at_the_version_of_all_holds_nothing_down(cells):
    urls = cells("cell1", record("h1", 68), record("gone", 68, last_seen_up=LONG_AGO))
    assert found(urls) == set()


def test_a_record_that_was_never_updated_is_as_old_as_it_is(cells):
    gone = record("gone", 61, last_seen_up=None, created_at=LONG_AGO)
    assert found(cells("cell1", record("h1", 68), gone)) == {("UF-VR-002", "nova_cell:cell1 gone")}


@pytest.mark.parametrize(
    ("version", "target", "expected"),
    [
        (66, "2025.1", set()),
        (66, "2025.2", {("UF-VR-003", "nova_cell:cell1 h1")}),
        (64, "2025.1", {("UF-VR-003", "nova_cell:cell1 h1")}),
        (68, "2024.2", {("UF-VR-004", "nova_cell:cell1 h1")}),
        (64, "zed", set()),
        (64, "", set()),
    ],
)
def test_what_the_target_release_does_not_go_with_is_found(cells, version, target, expected):
    assert found(cells("cell1", record("h1", version)), target) == expected


def test_a_cell_that_cannot_be_read_makes_the_check_failed(cells):
    urls = cells("cell1", record("h1", 68)) | {"nova_cell:down": "sqlite:////nonexistent/x.db"}
    report = checks.gate(Sources(None, access.open_all(urls), now=NOW), ["versions"])
    assert (report.exit_code, [one.name for one in report.failed]) == (255, ["service-versions"])


@pytest.mark.parametrize(
    ("service", "rpc"), [(29, "4.22"), (30, "5.0"), (55, "5.13"), (66, "6.2"), (74, "6.5")]
)
def test_a_service_version_leads_to_the_rpc_version_of_novas_history(service, rpc):
    assert facts.compute_rpc(service) == rpc


def test_a_service_version_that_is_not_known_leads_nowhere():
    assert facts.compute_rpc(999) == "?"


def cloud_of(*versions):
    cloud = FakeCloud(hosts=[f"h{number}" for number in range(1, len(versions) + 1)])
    for number, version in enumerate(versions, 1):
        cloud.change_hypervisor(f"h{number}", version=version)
    return cloud


@pytest.mark.parametrize(
    ("versions", "target", "expected"),
    [
        ((9_000_001, 9_000_002), "2026.1", set()),
        ((6_001_000,), "2025.1", {("UF-VR-010", "QEMU 6.1.0")}),
        ((6_001_000,), "2024.1", {("UF-VR-011", "QEMU 6.1.0")}),
        ((6_002_000,), "2024.1", set()),
        ((8_002_001,), "2025.1", {("UF-VR-011", "QEMU 8.2.1")}),
        ((8_002_002,), "2025.1", set()),
        ((9_000_000, 8_002_002, 8_002_002), "2025.1", {("UF-VR-020", "QEMU")}),
    ],
)
def test_the_qemu_of_the_hosts_is_compared_with_the_target(versions, target, expected):
    assert found({}, target, cloud_of(*versions)) == expected


def test_the_direction_of_live_migration_is_from_the_older_to_the_newer():
    (finding,) = gate({}, "2025.1", cloud_of(9_000_000, 8_002_002, 10_001_000)).findings
    assert finding.message == (
        "live migration is possible from left to right: 8.2 (1) → 9.0 (1) → 10.1 (1)"
    )


def test_hosts_that_run_no_qemu_are_not_looked_at():
    cloud = cloud_of(0)
    with pytest.raises(NothingToLookAt, match="no host tells the version of a QEMU"):
        checks.registry.load().checks["hypervisors"].run(Sources(cloud))


def test_a_release_of_which_nothing_is_known_is_skipped():
    report = checks.gate(Sources(cloud_of(9_000_000), target="zed"), ["versions"])
    (why,) = [one.why for one in report.skipped if one.name == "hypervisors"]
    assert why == "what Nova zed needs is not known; known are 2023.1 to 2026.2"
