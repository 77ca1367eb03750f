"""What online data migrations have left to do, in each database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

LEFT = Rule(
    "UF-DB-040",
    "an online data migration has rows left",
    Severity.ERROR,
    "The target release does not know rows in the old form any more, or its schema migration"
    " refuses them. CERN's migration of flavors was done in one of two databases only.",
    "Run the command of the release that runs now, until it ends with 0.",
)

NOVA = "nova-manage db online_data_migrations --max-count 1000 (again until it ends with 0)"
CINDER = "cinder-manage db online_data_migrations --max_count 1000 (again until it ends with 0)"
_NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Migration:
    """An online data migration: which rows of a table it has yet to change.

    :param since: the release in which it came.
    :param needs: the columns that ``where`` reads; without them the schema is older, or newer.
    """

    kind: str
    name: str
    since: str
    table: str
    needs: tuple[str, ...]
    where: str
    remedy: str


#: nova/cmd/manage.py and cinder/cmd/manage.py: DbCommands.online_migrations, and what they call
MIGRATIONS = (
    Migration(
        "nova_cell",
        "migration_migrate_to_uuid",
        "queens",
        "migrations",
        ("uuid", "deleted"),
        "uuid IS NULL AND deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "populate_uuids",
        "queens",
        "block_device_mapping",
        ("uuid",),
        "uuid IS NULL",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "populate_missing_availability_zones",
        "rocky",
        "instances",
        ("host", "availability_zone", "deleted"),
        "host IS NOT NULL AND availability_zone IS NULL AND deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "migrate_empty_ratio",
        "stein",
        "compute_nodes",
        ("cpu_allocation_ratio", "ram_allocation_ratio", "disk_allocation_ratio", "deleted"),
        "deleted = 0 AND (COALESCE(cpu_allocation_ratio, 0) = 0"
        " OR COALESCE(ram_allocation_ratio, 0) = 0 OR COALESCE(disk_allocation_ratio, 0) = 0)",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "populate_dev_uuids",
        "victoria",
        "pci_devices",
        ("uuid", "deleted"),
        "uuid IS NULL AND deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "populate_instance_compute_id",
        "2023.2",
        "instances",
        ("compute_id", "host", "node", "deleted"),
        # of what is on no host, or deleted, it says that it cannot be migrated, for ever
        "compute_id IS NULL AND host IS NOT NULL AND node IS NOT NULL AND deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "migrate_quota_limits_to_api_db",
        "pike",
        "quotas",
        ("project_id", "deleted"),
        "deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_cell",
        "migrate_quota_classes_to_api_db",
        "pike",
        "quota_classes",
        ("class_name", "deleted"),
        "deleted = 0",
        NOVA,
    ),
    Migration(
        "nova_api",
        "populate_user_id",
        "stein",
        "instance_mappings",
        ("user_id", "project_id", "cell_id"),
        f"user_id IS NULL AND cell_id IS NOT NULL AND project_id <> '{_NOBODY}'",
        NOVA,
    ),
    Migration(
        "nova_api",
        "populate_queued_for_delete",
        "rocky",
        "instance_mappings",
        ("queued_for_delete",),
        "queued_for_delete IS NULL",
        NOVA,
    ),
    Migration(
        "cinder",
        "remove_temporary_admin_metadata_data_migration",
        "2025.1",
        "volume_admin_metadata",
        ("key", "deleted"),
        "{key} = 'temporary' AND NOT deleted",
        CINDER,
    ),
    Migration(
        "cinder",
        "volume_use_quota_online_data_migration",
        "xena",
        "volumes",
        ("use_quota",),
        "use_quota IS NULL",
        CINDER,
    ),
    Migration(
        "cinder",
        "snapshot_use_quota_online_data_migration",
        "xena",
        "snapshots",
        ("use_quota",),
        "use_quota IS NULL",
        CINDER,
    ),
)


class Online(Check):
    """Counts, per database and cell, what online data migrations have left."""

    area = "database"
    title = "online data migrations"
    rules = (LEFT,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database that has such migrations."""
        kinds = sorted({one.kind for one in MIGRATIONS})
        return each(sources.databases(*kinds), look)


def look(database: Database) -> list[Finding]:
    """Return a finding for each migration that has rows left in one database."""
    kind = database.name.partition(":")[0]
    findings = []
    for one in MIGRATIONS:
        if one.kind != kind or not set(one.needs) <= database.columns(one.table):
            continue
        where = one.where.format(key=database.quoted("key"))
        rows = database.rows(f"SELECT COUNT(*) FROM {one.table} WHERE {where}")
        left = int(rows[0][0])
        if left:
            findings.append(
                LEFT.found(
                    f"{database.name}: {one.name}",
                    f"{left} rows of {one.table} are left to {one.name} (since {one.since})",
                    one.remedy,
                    rows=left,
                    table=one.table,
                )
            )
    return findings
