"""The checks of databases on a real MariaDB: what is planted is found, and nothing else."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from tests.durable.service_schemas import SCHEMAS, UTF8, statements
from upgrade_flows import checks
from upgrade_flows.checks import Limits, Sources
from upgrade_flows.checks.database import access
from upgrade_flows.errors import DatabaseError
from upgrade_flows.model.check import CheckState

NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC).timestamp()
LIMITS = Limits(deleted_rows=100, deleted_days=30, large_rows=50_000)
LATIN = "ENGINE=InnoDB DEFAULT CHARSET=latin1"
CELL = "nova_cell:cell1"


class Cloud:
    """The databases of a cloud, and what is found in them."""

    def __init__(self, urls):
        self.urls = urls
        self.engines = {name: sa.create_engine(url) for name, url in urls.items()}
        for name, script in SCHEMAS.items():
            self.plant(name, *statements(script))

    def plant(self, name, *sql):
        with self.engines[name].begin() as connection:
            for statement in sql:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def report(self, target="", limits=LIMITS, **more):
        databases = access.open_all(self.urls | more)
        try:
            return checks.gate(Sources(None, databases, target, limits, now=NOW), ["database"])
        finally:
            for database in databases.values():
                database.close()

    def found(self, target="", limits=LIMITS):
        report = self.report(target, limits)
        assert report.failed == ()
        return {(one.id, one.subject) for one in report.findings}

    def dispose(self):
        for engine in self.engines.values():
            engine.dispose()


@pytest.fixture
def cloud(database):
    made = Cloud({name: database("mariadb") for name in SCHEMAS})
    yield made
    made.dispose()


def many(table, number, columns, values):
    """Return what inserts many rows, and lets the server count them anew."""
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values} FROM seq_1_to_{number}",
        f"ANALYZE TABLE {table}",
    )


def test_in_databases_that_are_well_nothing_is_found(cloud):
    report = cloud.report()
    assert (report.findings, report.failed, report.exit_code) == ((), (), 0)
    assert [one.name for one in report.results if one.state == CheckState.DONE] == [
        "charsets",
        "deleted-rows",
        "doubles",
        "duplicates",
        "growth",
        "mappings",
        "online-migrations",
        "orphans",
    ]


PLANTS = {
    "a foreign key over two charsets": (
        "cinder",
        (
            "SET foreign_key_checks = 0",  # as in a dump
            f"CREATE TABLE child (id INT PRIMARY KEY, name VARCHAR(36),"
            f" FOREIGN KEY (name) REFERENCES parent (name)) {UTF8}",
            f"CREATE TABLE parent (name VARCHAR(36) PRIMARY KEY) {LATIN}",
        ),
        {("UF-DB-001", "cinder.child.name"), ("UF-DB-002", "cinder: latin1_swedish_ci")},
    ),
    "a table of another charset": (
        "nova_api",
        (f"CREATE TABLE old (id INT PRIMARY KEY, name VARCHAR(9)) {LATIN}",),
        {("UF-DB-002", "nova_api: latin1_swedish_ci")},
    ),
    "a table of another collation": (
        "nova_api",
        ("ALTER TABLE aggregates CONVERT TO CHARACTER SET utf8mb3 COLLATE utf8mb3_bin",),
        {("UF-DB-002", "nova_api: utf8mb3_bin")},
    ),
    "a table of another engine": (
        "neutron",
        ("ALTER TABLE quotas ENGINE=MyISAM",),
        {("UF-DB-003", "neutron.quotas")},
    ),
    "an id of an instance that is gone": (
        CELL,
        ("INSERT INTO instance_id_mappings (uuid) VALUES ('nobody')",),
        {("UF-DB-010", f"{CELL}.instance_id_mappings.uuid")},
    ),
    "a disk of an instance that is deleted": (
        CELL,
        ("INSERT INTO block_device_mapping (uuid, instance_uuid) VALUES ('b3', 'old')",),
        {("UF-DB-010", f"{CELL}.block_device_mapping.instance_uuid")},
    ),
    "an instance on a node that is gone": (
        CELL,
        ("UPDATE compute_nodes SET deleted = 1",),
        {("UF-DB-010", f"{CELL}.instances.node")},
    ),
    "a node without a service": (
        CELL,
        ("UPDATE services SET deleted = id",),
        {("UF-DB-010", f"{CELL}.compute_nodes.host")},
    ),
    "a request spec of nobody": (
        "nova_api",
        ("INSERT INTO request_specs (instance_uuid, spec) VALUES ('nobody', '{}')",),
        {("UF-DB-010", "nova_api.request_specs.instance_uuid")},
    ),
    "a binding of a port that is gone": (
        "neutron",
        ("INSERT INTO ml2_port_bindings VALUES ('gone', 'h1', 'ACTIVE')",),
        {("UF-DB-010", "neutron.ml2_port_bindings.port_id")},
    ),
    "a mapping to an instance that is not there": (
        "nova_api",
        (
            "INSERT INTO instance_mappings (instance_uuid, cell_id, project_id, user_id,"
            " queued_for_delete) VALUES ('lost', 2, 'p', 'u', 0)",
        ),
        {("UF-DB-011", CELL)},
    ),
    "an instance that the API does not know": (
        CELL,
        (
            "INSERT INTO instances (uuid, host, node, availability_zone, compute_id)"
            " VALUES ('hidden', 'h1', 'h1.example.org', 'nova', 1)",
        ),
        {("UF-DB-012", CELL)},
    ),
    "two ports of one MAC address": (
        "neutron",
        ("INSERT INTO ports VALUES ('p3', 'n1', 'fa:16:3e:00:00:01')",),
        {("UF-DB-020", "neutron.ports(network_id, mac_address)")},
    ),
    "two quotas of one resource": (
        "neutron",
        ("INSERT INTO quotas VALUES ('q3', 'p', 'port')",),
        {("UF-DB-020", "neutron.quotas(project_id, resource)")},
    ),
    "two networks of HA routers in a project": (
        "neutron",
        ("INSERT INTO ha_router_networks VALUES ('p', 'n2')",),
        {("UF-DB-020", "neutron.ha_router_networks(project_id)")},
    ),
    "instances that were deleted long ago": (
        CELL,
        many("instances", 300, "uuid, deleted, deleted_at", "seq, seq, '2026-10-01'"),
        {("UF-DB-030", f"{CELL}.instances")},
    ),
    "volumes that were deleted long ago": (
        "cinder",
        many("volumes", 300, "id, use_quota, deleted, deleted_at", "seq, 1, 1, '2026-10-01'"),
        {("UF-DB-030", "cinder.volumes")},
    ),
    "archived instances": (
        CELL,
        many("shadow_instances", 300, "uuid, deleted, deleted_at", "seq, seq, '2026-10-01'"),
        {("UF-DB-031", f"{CELL}.shadow_instances")},
    ),
    "instances without a zone": (
        CELL,
        ("UPDATE instances SET availability_zone = NULL",),
        {("UF-DB-040", f"{CELL}: populate_missing_availability_zones")},
    ),
    "instances without the id of their node": (
        CELL,
        ("UPDATE instances SET compute_id = NULL",),
        {("UF-DB-040", f"{CELL}: populate_instance_compute_id")},
    ),
    "nodes without a ratio": (
        CELL,
        ("UPDATE compute_nodes SET ram_allocation_ratio = 0",),
        {("UF-DB-040", f"{CELL}: migrate_empty_ratio")},
    ),
    "mappings without a user": (
        "nova_api",
        ("UPDATE instance_mappings SET user_id = NULL",),
        {("UF-DB-040", "nova_api: populate_user_id")},
    ),
    "volumes that do not know whether they count": (
        "cinder",
        ("UPDATE volumes SET use_quota = NULL",),
        {("UF-DB-040", "cinder: volume_use_quota_online_data_migration")},
    ),
    "volumes with temporary metadata": (
        "cinder",
        ("INSERT INTO volume_admin_metadata (id, `key`) VALUES (2, 'temporary')",),
        {("UF-DB-040", "cinder: remove_temporary_admin_metadata_data_migration")},
    ),
    "a flavor that is in the cell alone": (
        CELL,
        ("INSERT INTO instance_types (id, name, flavorid) VALUES (2, 'big', 'f-big')",),
        {("UF-DB-050", f"{CELL}.instance_types: missing")},
    ),
    "a flavor that is another one in the cell": (
        CELL,
        ("UPDATE instance_types SET memory_mb = 1024",),
        {("UF-DB-050", f"{CELL}.instance_types: different")},
    ),
    "a key that is in the cell alone": (
        CELL,
        ("UPDATE key_pairs SET deleted = 0",),
        {("UF-DB-050", f"{CELL}.key_pairs: missing")},
    ),
    "a large table": (
        "cinder",
        many("volume_attachment", 70_000, "id, volume_id, created_at", "seq, 'v1', '2026-01-01'"),
        {("UF-DB-060", "cinder.volume_attachment")},
    ),
    "a table that grows fast": (
        CELL,
        many("migrations", 12_000, "uuid, created_at", "seq, '2026-11-29'"),
        {("UF-DB-061", f"{CELL}.migrations")},
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_is_found_and_nothing_else(cloud, plant):
    name, sql, expected = PLANTS[plant]
    cloud.plant(name, *sql)
    assert cloud.found() == expected


def test_what_grows_as_it_always_did_is_left_alone(cloud):
    for day in ("2026-11-29", "2026-11-20", "2026-11-13", "2026-11-05", "2026-10-29"):
        cloud.plant(CELL, *many("migrations", 12_000, "uuid, created_at", f"seq, '{day}'"))
    assert cloud.found(limits=Limits()) == set()


def test_rows_that_were_deleted_lately_are_left_alone(cloud):
    cloud.plant(CELL, *many("instances", 300, "uuid, deleted, deleted_at", "seq, 1, '2026-11-20'"))
    assert cloud.found() == set()


def test_a_constraint_beyond_the_target_release_is_not_looked_at(cloud):
    cloud.plant("neutron", "INSERT INTO ha_router_networks VALUES ('p', 'n2')")
    assert cloud.found("2023.1") == set()
    assert cloud.found("bobcat") == {("UF-DB-020", "neutron.ha_router_networks(project_id)")}


def test_segments_that_the_wider_constraint_allows_are_no_duplicates(cloud):
    cloud.plant("neutron", "INSERT INTO networksegments VALUES ('s4', 'n2', 'vlan', 'physnet1', 1)")
    narrow = "neutron.networksegments(network_id, network_type, physical_network)"
    assert cloud.found() == {("UF-DB-020", narrow)}
    cloud.plant(
        "neutron",
        "ALTER TABLE networksegments ADD CONSTRAINT"
        " uniq_networksegment0network_id0network_type0physnet0sidx"
        " UNIQUE (network_id, network_type, physical_network, segment_index)",
    )
    assert cloud.found() == set()


def test_the_migration_that_the_charset_is_about_fails_indeed(cloud):
    """What UF-DB-001 says of a new foreign key is what the server does."""
    cloud.plant("cinder", f"CREATE TABLE old (id VARCHAR(36) PRIMARY KEY) {LATIN}")
    with pytest.raises(sa.exc.DBAPIError, match="errno: 150"):
        cloud.plant(
            "cinder",
            "CREATE TABLE new (old_id VARCHAR(36), FOREIGN KEY (old_id) REFERENCES old (id))",
        )


@pytest.mark.parametrize(
    "plant",
    ["a foreign key over two charsets", "a table of another charset", "a table of another engine"],
)
def test_the_command_that_is_recommended_helps(cloud, plant):
    name, sql, _ = PLANTS[plant]
    cloud.plant(name, *sql)
    finding = cloud.report().findings[0]
    command = finding.remedy.partition("; (")[0]
    cloud.plant(name, *command.split("; "))
    assert cloud.found() == set()


def test_a_database_that_does_not_answer_is_reported_and_hides_no_other(cloud):
    cloud.plant("cinder", "UPDATE volumes SET use_quota = NULL")
    report = cloud.report(glance="mysql+pymysql://reader:s3cret@127.0.0.1:1/glance")
    assert report.exit_code == 255
    assert [one.id for one in report.findings] == ["UF-DB-040"]
    assert {one.name for one in report.failed} == {"charsets", "deleted-rows", "growth"}
    assert all("the database of glance: (2003, " in one.why for one in report.failed)
    assert "s3cret" not in str(report)


def test_a_password_that_is_refused_is_not_shown(cloud):
    url = sa.make_url(cloud.urls["cinder"]).set(password="wr0ng")
    cloud.urls["cinder"] = url.render_as_string(hide_password=False)
    report = cloud.report()
    assert "Access denied" in report.failed[0].why
    assert "wr0ng" not in str(report)


def test_a_cell_that_nova_calls_otherwise_is_said(cloud):
    cloud.urls["nova_cell:one"] = cloud.urls.pop(CELL)
    (failed,) = cloud.report().failed
    assert failed.name == "mappings"
    assert "Nova has no cell one, its cells are cell0, cell1" in failed.why


def test_the_server_itself_refuses_to_let_a_check_change_anything(cloud):
    database = access.SqlDatabase("cinder", cloud.urls["cinder"])
    for statement in ("INSERT INTO volumes (id) VALUES ('x')", "CREATE TABLE x (id INT)"):
        with pytest.raises(DatabaseError, match="READ ONLY transaction"):
            database.rows(statement)
    assert database.rows("SELECT COUNT(*) FROM volumes") == [(1,)]
    database.close()


def test_a_query_that_takes_too_long_is_ended(cloud):
    database = access.SqlDatabase("cinder", cloud.urls["cinder"], query_s=1)
    with pytest.raises(DatabaseError, match="max_statement_time exceeded"):
        database.rows("SELECT SLEEP(30)")
    database.close()


def test_what_other_areas_read_of_a_cell_is_read_in_mariadb_too(cloud):
    def found(area):
        databases = access.open_all({CELL: cloud.urls[CELL]})
        report = checks.gate(Sources(None, databases, "2025.1", now=NOW), [area])
        assert report.failed == ()
        for database in databases.values():
            database.close()
        return {(one.id, one.subject) for one in report.findings}

    cloud.plant(CELL, "UPDATE services SET last_seen_up = '2026-11-29 23:59:50'")
    assert found("versions") == found("cloud") == set()
    cloud.plant(
        CELL,
        "INSERT INTO services (host, `binary`, version, last_seen_up)"
        " VALUES ('gone', 'nova-compute', 61, '2026-01-01')",
        "DELETE FROM instance_system_metadata WHERE instance_uuid = 'web'",
    )
    gone = f"{CELL} gone"
    assert found("versions") == {("UF-VR-002", gone), ("UF-VR-003", gone)}
    assert found("cloud") == {("UF-CL-050", CELL)}
