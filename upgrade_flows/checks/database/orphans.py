"""Rows whose parent is gone, where no foreign key keeps that from happening."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upgrade_flows.checks.base import Check, Database, NothingToLookAt, Sources, each
from upgrade_flows.checks.database import schema
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

#: how many ids are named
NAMED = 5
#: how many values are looked up by one query
PORTION = 500

ORPHAN = Rule(
    "UF-DB-010",
    "rows whose parent is gone",
    Severity.WARNING,
    "Services fall over such a row when they list its kind, and a migration that adds the missing"
    " foreign key fails. Nova keeps most of these relations in its code only.",
    "Look at some of the rows in the evidence, and delete them if nothing refers to them.",
)
NO_INSTANCE = Rule(
    "UF-DB-011",
    "a mapping leads to an instance that its cell does not have",
    Severity.WARNING,
    "Nova's API database says in which cell an instance is, but it is not there. It is shown as"
    " UNKNOWN, or as 404, and counts against the quota.",
    "If the instance is in no other cell: nova-manage placement audit, then delete the mapping and"
    " the request spec of the instance.",
)
NO_MAPPING = Rule(
    "UF-DB-012",
    "an instance has no mapping, so that the API does not know it",
    Severity.ERROR,
    "The instance is in a cell's database and runs, but no API call finds it: nobody can migrate it"
    " away from a host, and what is upgraded around it is not asked for it.",
    "nova-manage cell_v2 map_instances --cell_uuid CELL",
)


@dataclass(frozen=True)
class Relation:
    """Which column of which table leads where; ``only`` restricts the child's rows.

    :param live: whether parents that are marked as deleted are gone, too.
    """

    kind: str
    table: str
    column: str
    parent: str
    parent_column: str
    only: str = ""
    live: bool = False


#: nova/db/main/models.py and nova/db/api/models.py, 2025.1: columns that are no ForeignKey there
RELATIONS = (
    Relation("nova_cell", "instance_id_mappings", "uuid", "instances", "uuid"),
    Relation("nova_cell", "tags", "resource_id", "instances", "uuid"),
    Relation("nova_cell", "pci_devices", "instance_uuid", "instances", "uuid", "c.deleted = 0"),
    Relation("nova_cell", "compute_nodes", "host", "services", "host", "c.deleted = 0", live=True),
    Relation(
        "nova_cell",
        "instances",
        "node",
        "compute_nodes",
        "hypervisor_hostname",
        "c.deleted = 0 AND c.host IS NOT NULL",
        live=True,
    ),
    Relation(
        "nova_cell",
        "block_device_mapping",
        "instance_uuid",
        "instances",
        "uuid",
        "c.deleted = 0",
        live=True,
    ),
    Relation("nova_cell", "instance_metadata", "instance_uuid", "instances", "uuid"),
    Relation("nova_cell", "instance_system_metadata", "instance_uuid", "instances", "uuid"),
    Relation("nova_cell", "instance_extra", "instance_uuid", "instances", "uuid"),
    Relation("nova_cell", "instance_info_caches", "instance_uuid", "instances", "uuid"),
    Relation("nova_cell", "virtual_interfaces", "instance_uuid", "instances", "uuid"),
    Relation("nova_api", "request_specs", "instance_uuid", "instance_mappings", "instance_uuid"),
    Relation("nova_api", "build_requests", "instance_uuid", "instance_mappings", "instance_uuid"),
    Relation(
        "nova_api", "instance_group_member", "instance_uuid", "instance_mappings", "instance_uuid"
    ),
    Relation("cinder", "volume_attachment", "volume_id", "volumes", "id"),
    Relation("cinder", "snapshots", "volume_id", "volumes", "id", "c.deleted = 0", live=True),
    Relation("neutron", "ipallocations", "port_id", "ports", "id"),
    Relation("neutron", "ml2_port_bindings", "port_id", "ports", "id"),
)


class Orphans(Check):
    """Counts the rows of known relations whose parent is gone."""

    area = "database"
    title = "rows whose parent is gone"
    rules = (ORPHAN,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database that has such relations."""
        kinds = sorted({one.kind for one in RELATIONS})
        return each(sources.databases(*kinds), lambda one: look(sources, one))


def look(sources: Sources, database: Database) -> list[Finding]:
    """Return a finding for each relation of one database that has orphans."""
    kind = database.name.partition(":")[0]
    guarded = schema.keys(sources, database)
    findings = []
    for one in RELATIONS:
        # a foreign key keeps the parent's row, but not its mark of deletion away
        if one.kind != kind or ((one.table, one.column) in guarded and not one.live):
            continue
        there = one.column in database.columns(one.table)
        if not there or one.parent_column not in database.columns(one.parent):
            continue
        number, some = _orphans(database, one)
        if number:
            gone = "gone or deleted" if one.live else "gone"
            findings.append(
                ORPHAN.found(
                    f"{database.name}.{one.table}.{one.column}",
                    f"{number} rows of {one.table} have a {one.column} whose row in {one.parent}"
                    f" is {gone}, such as {some[0]}",
                    rows=number,
                    some=some,
                    parent=f"{one.parent}.{one.parent_column}",
                )
            )
    return findings


def _orphans(database: Database, one: Relation) -> tuple[int, list[str]]:
    """Return how many orphans a relation has, and what some of them refer to."""
    live = " AND p.deleted = 0" if one.live else ""
    where = f"c.{one.column} IS NOT NULL AND c.{one.column} <> ''"
    where += f" AND {one.only}" if one.only else ""
    body = (
        f" FROM {one.table} c WHERE {where} AND NOT EXISTS (SELECT 1 FROM {one.parent} p"
        f" WHERE p.{one.parent_column} = c.{one.column}{live})"
    )
    number = int(database.rows(f"SELECT COUNT(*){body}")[0][0])
    if not number:
        return 0, []
    some = database.rows(f"SELECT c.{one.column}{body} LIMIT {NAMED}")
    return number, sorted({str(value) for (value,) in some})


class Mappings(Check):
    """Compares Nova's API database with its cells: who knows which instance."""

    area = "database"
    title = "instances and their mappings to cells"
    rules = (NO_INSTANCE, NO_MAPPING)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each cell that the configuration and the API database both know."""
        api, cells = sources.database("nova_api"), sources.databases("nova_cell")
        ids = {str(name): number for number, name in api.rows("SELECT id, name FROM cell_mappings")}
        return each(cells, lambda cell: mapped(api, cell, ids))


def mapped(api: Database, cell: Database, ids: dict[str, int]) -> list[Finding]:
    """Return what one cell and the API database do not agree on.

    :raises RuntimeError: the API database has no cell of that name.
    """
    name = cell.name.partition(":")[2]
    if name not in ids:
        raise RuntimeError(
            f"Nova has no cell {name}, its cells are {', '.join(sorted(ids))}: name it as Nova does"
        )
    if "deleted" not in cell.columns("instances"):
        raise NothingToLookAt(f"the database of {cell.name} has no table of instances")
    live = {str(uuid) for (uuid,) in cell.rows("SELECT uuid FROM instances WHERE deleted = 0")}
    known = {
        str(uuid): bool(leaving)
        for uuid, leaving in api.rows(
            "SELECT instance_uuid, queued_for_delete FROM instance_mappings WHERE cell_id = :cell",
            cell=ids[name],
        )
    }
    suspects = [uuid for uuid, leaving in known.items() if not leaving and uuid not in live]
    strangers = live - known.keys()
    # what comes or goes while it is read is another thing when it is looked at once more
    lost = set(suspects) - _present(cell, "instances", "uuid", suspects)
    lost &= _present(api, "instance_mappings", "instance_uuid", lost)
    unmapped = strangers - _present(api, "instance_mappings", "instance_uuid", strangers)
    unmapped &= _present(cell, "instances", "uuid", unmapped, "deleted = 0")
    findings = []
    for rule, uuids, said in (
        (NO_INSTANCE, lost, "instances are mapped to the cell, and it does not have them"),
        (NO_MAPPING, unmapped, "instances of the cell have no mapping"),
    ):
        if uuids:
            some = sorted(uuids)[:NAMED]
            message = f"{len(uuids)} {said}, such as {some[0]}"
            findings.append(rule.found(cell.name, message, rows=len(uuids), some=some))
    return findings


def _present(
    database: Database, table: str, column: str, wanted: Iterable[str], only: str = ""
) -> set[str]:
    """Return those of some values that a table has, asked for in portions."""
    found: set[str] = set()
    values = sorted(wanted)
    for start in range(0, len(values), PORTION):
        part = {f"v{place}": one for place, one in enumerate(values[start : start + PORTION])}
        names = ", ".join(f":{name}" for name in part)
        where = f"{column} IN ({names})" + (f" AND {only}" if only else "")
        found |= {
            str(one)
            for (one,) in database.rows(f"SELECT {column} FROM {table} WHERE {where}", **part)
        }
    return found
