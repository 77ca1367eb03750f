"""What is in a cell's database of Nova and in its API database, and should be in one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

NAMED = 20

DOUBLE = Rule(
    "UF-DB-050",
    "a cell's database has something that the API database has not, or has otherwise",
    Severity.ERROR,
    "Flavors, keys, aggregates and server groups moved to Nova's API database. What was left in a"
    " cell is not seen any more; instances that were made of it are not what they seem. At CERN the"
    " flavors of two databases had to be migrated at the same time.",
    "Make the entity anew through the API, or mark the row in the cell as deleted if nobody needs"
    " it.",
)


@dataclass(frozen=True)
class Twin:
    """An entity of a cell's table, by which columns it is known, and what has to be equal."""

    table: str
    twin: str
    key: tuple[str, ...]
    values: tuple[str, ...]


#: tables of nova/db/main/migrations/versions/8f2f1571d55b_initial_version.py that nova/db/api has
TWINS = (
    Twin(
        "instance_types",
        "flavors",
        ("flavorid",),
        ("name", "vcpus", "memory_mb", "root_gb", "ephemeral_gb", "swap"),
    ),
    Twin("key_pairs", "key_pairs", ("user_id", "name"), ("fingerprint",)),
    Twin("aggregates", "aggregates", ("name",), ()),
    Twin("instance_groups", "instance_groups", ("uuid",), ()),
)


class Doubles(Check):
    """Compares entities that moved from the cells to the API database."""

    area = "database"
    title = "entities in two databases"
    rules = (DOUBLE,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Compare each cell with the API database."""
        api = sources.database("nova_api")
        return each(sources.databases("nova_cell"), lambda cell: compare(api, cell))


def compare(api: Database, cell: Database) -> list[Finding]:
    """Return a finding for each kind of entity in which a cell and the API database differ."""
    findings = []
    for one in TWINS:
        columns = (*one.key, *one.values)
        if not {*columns, "deleted"} <= cell.columns(one.table):
            continue
        old = _read(cell, one, one.table, " WHERE deleted = 0")
        new = _read(api, one, one.twin) if old else {}
        missing = sorted(key for key in old if key not in new)
        other = sorted(key for key in old if key in new and old[key] != new[key])
        for keys, said in (
            (missing, f"are not in {one.twin} of the API database"),
            (other, f"are in {one.twin} of the API database, too, and are not the same"),
        ):
            if keys:
                names = [" ".join(key) for key in keys]
                how = "missing" if keys is missing else "different"
                findings.append(
                    DOUBLE.found(
                        f"{cell.name}.{one.table}: {how}",
                        f"{len(keys)} rows of {one.table} {said}, such as {names[0]}",
                        rows=len(keys),
                        some=names[:NAMED],
                    )
                )
    return findings


def _read(
    database: Database, one: Twin, table: str, where: str = ""
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the entities of a table, by their keys."""
    columns = ", ".join((*one.key, *one.values))
    rows = database.rows(f"SELECT {columns} FROM {table}{where}")
    width = len(one.key)
    return {
        tuple(str(part) for part in row[:width]): tuple(str(part) for part in row[width:])
        for row in rows
    }
