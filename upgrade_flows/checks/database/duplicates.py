"""Rows that are there twice, where a migration of the target release allows them only once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from upgrade_flows.checks import releases
from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

DUPLICATE = Rule(
    "UF-DB-020",
    "rows are there twice that the target release allows once",
    Severity.ERROR,
    "The migration that adds the unique constraint fails on the first duplicate, and leaves the"
    " schema half-way. The duplicates come from races that the constraint is meant to end.",
    "Find out which row is in use, and delete the others before the schema is migrated.",
)


@dataclass(frozen=True)
class Unique:
    """A unique constraint, the migration that adds it, and its release."""

    kind: str
    table: str
    columns: tuple[str, ...]
    release: str
    source: str


_NEUTRON = "neutron/db/migration/alembic_migrations"

UNIQUES = (
    Unique(
        "neutron",
        "ports",
        ("network_id", "mac_address"),
        "kilo",
        f"{_NEUTRON}/core_init_ops.py: uniq_ports0network_id0mac_address",
    ),
    Unique(
        "neutron",
        "quotas",
        ("project_id", "resource"),
        "wallaby",
        f"{_NEUTRON}/versions/wallaby/expand/f010820fc498_add_unique_quotas_project_resource.py",
    ),
    Unique(
        "neutron",
        "networksegments",
        ("network_id", "network_type", "physical_network"),
        "yoga",
        f"{_NEUTRON}/versions/yoga/expand/e981acd076d3_add_networksegments_database_constraint.py",
    ),
    Unique(
        "neutron",
        "ndp_proxies",
        ("router_id", "ip_address"),
        "zed",
        f"{_NEUTRON}/versions/zed/expand/21ff98fabab1_add_ndp_proxy_constraint.py",
    ),
    Unique(
        "neutron",
        "networksegments",
        ("network_id", "network_type", "physical_network", "segment_index"),
        "2023.1",
        f"{_NEUTRON}/versions/2023.1/expand/fc153938cdc1_update_segment_networks_constraint.py",
    ),
    Unique(
        "neutron",
        "ha_router_networks",
        ("project_id",),
        "2023.2",
        f"{_NEUTRON}/versions/2023.2/expand/682c319773d7_create_l3harouternetwork_project_id_.py",
    ),
    Unique(
        "keystone",
        "trust",
        ("trustor_user_id", "trustee_user_id", "project_id", "impersonation", "expires_at"),
        "2023.2",
        "keystone/common/sql/migrations/versions/bobcat/expand/"
        "b4f8b3f584e0_fix_incorrect_constraints.py",
    ),
)

#: the head of Neutron's expand branch from 2023.1 on has the wider constraint of segments instead
_WIDER = "uniq_networksegment0network_id0network_type0physnet0sidx"


class Duplicates(Check):
    """Looks for duplicates in the way of the unique constraints of the target release."""

    area = "database"
    title = "rows that are there twice"
    rules = (DUPLICATE,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database that gets such constraints."""
        kinds = sorted({one.kind for one in UNIQUES})
        return each(sources.databases(*kinds), lambda one: look(sources, one))


def look(sources: Sources, database: Database) -> list[Finding]:
    """Return a finding for each constraint that could not be added."""
    kind = database.name.partition(":")[0]
    findings = []
    for one in UNIQUES:
        if one.kind != kind or not releases.reached(one.release, sources.target):
            continue
        if not set(one.columns) <= database.columns(one.table):
            continue
        if one.release == "yoga" and _has(database, _WIDER):
            continue
        groups = _groups(database, one)
        if groups:
            first = groups[0]
            named = ", ".join(
                f"{column} {value}"
                for column, value in zip(one.columns, first["values"], strict=True)
            )
            rows = sum(group["rows"] for group in groups)
            findings.append(
                DUPLICATE.found(
                    f"{database.name}.{one.table}({', '.join(one.columns)})",
                    f"{rows} rows of {one.table} share {len(groups)} combinations that have to be"
                    f" unique from {one.release} on, such as {named}",
                    f"SELECT * FROM {one.table} WHERE {_where(one, first['values'])};",
                    release=one.release,
                    source=one.source,
                    groups=groups[:20],
                )
            )
    return findings


def _groups(database: Database, one: Unique) -> list[dict[str, Any]]:
    """Return the combinations that are there more than once; NULL is never equal to NULL."""
    columns = ", ".join(one.columns)
    filled = " AND ".join(f"{column} IS NOT NULL" for column in one.columns)
    rows = database.rows(
        f"SELECT {columns}, COUNT(*) FROM {one.table} WHERE {filled}"
        f" GROUP BY {columns} HAVING COUNT(*) > 1 ORDER BY {columns}"
    )
    return [{"values": [str(value) for value in row[:-1]], "rows": int(row[-1])} for row in rows]


def _where(one: Unique, values: Iterable[object]) -> str:
    return " AND ".join(
        f"{column} = '{value}'" for column, value in zip(one.columns, values, strict=True)
    )


def _has(database: Database, constraint: str) -> bool:
    """Whether there is a constraint of that name already."""
    if database.dialect == "sqlite":
        return False
    rows = database.rows(
        "SELECT COUNT(*) FROM information_schema.table_constraints WHERE constraint_name = :name"
        f" AND table_schema = {'DATABASE' if database.dialect == 'mysql' else 'current_schema'}()",
        name=constraint,
    )
    return bool(rows[0][0])
