"""Rows that are marked as deleted and stay: every query and every migration reads them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.checks.database import schema
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

BLOAT = Rule(
    "UF-DB-030",
    "a table holds many rows that were deleted long ago",
    Severity.WARNING,
    "A migration copies them, and queries read them: at CERN, after Juno to Kilo, one query of the"
    " scheduler took far longer because of all the deleted instances.",
    "Archive or purge them with the command of the service, in small batches, before the upgrade.",
)
SHADOW = Rule(
    "UF-DB-031",
    "shadow tables hold many archived rows",
    Severity.INFO,
    "Nova never reads what it has archived; dumps, restores and rehearsals of an upgrade do.",
    "nova-manage db purge --all-cells --before DAY",
)

#: what removes rows that were deleted before a day; {day} and {days} are filled in
COMMANDS = {
    "nova_cell": "nova-manage db archive_deleted_rows --all-cells --until-complete --before {day}"
    " --sleep 1; then nova-manage db purge --all-cells --before {day}",
    "cinder": "cinder-manage db purge {days}",
    "glance": "glance-manage db purge --age_in_days {days} --max_rows 10000",
    "heat": "heat-manage purge_deleted -g days {days}",
}


class Bloat(Check):
    """Counts the rows that were marked as deleted long enough ago."""

    area = "database"
    title = "rows that are marked as deleted"
    rules = (BLOAT, SHADOW)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database of a service that marks rows."""
        return each(sources.databases(*COMMANDS), lambda one: look(sources, one))


def look(sources: Sources, database: Database) -> list[Finding]:
    """Return a finding for each table of one database that holds too many of them."""
    limits = sources.limits
    until = moment(sources.now - limits.deleted_days * 86400)
    day = f"{until:%Y-%m-%d}"
    command = COMMANDS[database.name.partition(":")[0]]
    remedy = command.format(day=day, days=max(limits.deleted_days, 1))
    findings = []
    for table in database.tables():
        if "deleted_at" not in database.columns(table):
            continue
        about = schema.estimate(sources, database, table)
        if about is not None and about * 2 < limits.deleted_rows:  # an estimate may be half of it
            continue
        shadow = table.startswith("shadow_")
        rows = database.rows(
            "SELECT COUNT(*), SUM(CASE WHEN deleted_at < :until THEN 1 ELSE 0 END),"
            f" MIN(deleted_at) FROM {database.quoted(table)}",
            until=until,
        )
        total, old, oldest = rows[0]
        if int(old or 0) <= limits.deleted_rows:
            continue
        what = "archived" if shadow else "marked as deleted"
        findings.append(
            (SHADOW if shadow else BLOAT).found(
                f"{database.name}.{table}",
                f"{old:,} of {total:,} rows are {what} since before {day}",
                SHADOW.remedy.replace("DAY", day) if shadow else remedy,
                rows=int(total),
                deleted=int(old),
                oldest=str(oldest),
            )
        )
    return findings


def moment(seconds: float) -> datetime.datetime:
    """Return epoch seconds as services write them into databases: UTC, without saying so."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.replace(tzinfo=None, microsecond=0)
