"""Tables that are large, or grow faster than they did."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.checks.database import schema
from upgrade_flows.checks.database.bloat import moment
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

WEEK_S = 7 * 86400
#: weeks that the last one is compared with, and how many times as much is reported
WEEKS, TIMES = 4, 3
#: rows of a week below which nothing is said
FEW = 10_000

LARGE = Rule(
    "UF-DB-060",
    "a table is large",
    Severity.INFO,
    "A migration of the schema that copies it takes minutes to hours, for which the service waits,"
    " and needs as much room on the disk again.",
    "Rehearse the migration on a copy of the database, and measure how long it takes.",
)
GROWTH = Rule(
    "UF-DB-061",
    "a table grows much faster than it did",
    Severity.WARNING,
    "Something retries, or somebody creates and deletes in a loop. Under load of a new release it"
    " will be worse, and nobody will know whether the release is to blame.",
    "Find out who writes to the table before the upgrade.",
)

#: the tables that grow with use, of the services that say when a row was made
HOT = {
    "nova_cell": (
        "instances",
        "instance_actions",
        "instance_faults",
        "migrations",
        "block_device_mapping",
    ),
    "nova_api": ("instance_mappings", "request_specs"),
    "cinder": ("volumes", "snapshots", "backups", "volume_attachment", "messages", "reservations"),
    "glance": ("images", "tasks"),
    "neutron": ("standardattributes",),
    "heat": ("event", "resource"),
}


class Growth(Check):
    """Looks at sizes, and at how many rows the last week has brought."""

    area = "database"
    title = "large tables and fast growth"
    rules = (LARGE, GROWTH)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database of a service whose tables grow."""
        return each(sources.databases(*HOT), lambda one: look(sources, one))


def look(sources: Sources, database: Database) -> list[Finding]:
    """Return what is large or grows in one database."""
    findings = []
    if database.dialect == "mysql":
        for table in schema.read(sources, database).tables:
            if table.rows >= sources.limits.large_rows:
                size = table.size >> 20
                findings.append(
                    LARGE.found(
                        f"{database.name}.{table.name}",
                        f"the table has about {table.rows:,} rows and takes {size:,} MiB",
                        rows=table.rows,
                        mib=size,
                    )
                )
    week = moment(sources.now - WEEK_S)
    before = moment(sources.now - WEEK_S * (WEEKS + 1))
    for name in HOT[database.name.partition(":")[0]]:
        if "created_at" not in database.columns(name):
            continue
        about = schema.estimate(sources, database, name)
        if about is not None and about * 2 < FEW:
            continue
        last, earlier = database.rows(
            "SELECT SUM(CASE WHEN created_at >= :week THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN created_at >= :before AND created_at < :week THEN 1 ELSE 0 END)"
            f" FROM {name}",
            week=week,
            before=before,
        )[0]
        mean = int(earlier or 0) / WEEKS
        if int(last or 0) > max(FEW, TIMES * mean):
            findings.append(
                GROWTH.found(
                    f"{database.name}.{name}",
                    f"the last week has brought {int(last):,} rows, the {WEEKS} weeks before"
                    f" {mean:,.0f} each",
                    last_week=int(last),
                    weekly_before=mean,
                )
            )
    return findings
