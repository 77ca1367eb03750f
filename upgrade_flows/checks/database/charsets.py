"""Charsets, collations and engines: what a new foreign key of the target release trips over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.checks.database import schema
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

#: names of one charset: MariaDB 10.6 and MySQL 8.0.30 began to call utf8 what it is
_SAME = {"utf8": "utf8mb3"}
_UTF8 = ("utf8mb3", "utf8mb4")

PAIR = Rule(
    "UF-DB-001",
    "the two columns of a foreign key differ in charset or collation",
    Severity.ERROR,
    "InnoDB wants both columns alike. Such a key is left by a dump that was restored with foreign"
    " keys switched off and another charset. The next migration that touches either"
    " table fails with 'foreign key constraint is incorrectly formed' (errno 150), as Cinder's did"
    " at CERN between Juno and Kilo; and each join over it reads without an index.",
    "Convert the table that is not like the others, on a copy first.",
)
#: tables that are unlike the others by their services' own migrations (nova 31:
#: ``db/main/migrations/versions/8f2f1571d55b``, ``db/api/.../d67eeaabee36``), and nothing refers to
_PLACEMENT = frozenset(
    (
        "allocations", "consumers", "inventories", "placement_aggregates", "projects",
        "resource_classes", "resource_provider_aggregates", "resource_provider_traits",
        "resource_providers", "traits", "users",
    )
)  # fmt: skip
_BINARY = frozenset(("instance_type_extra_specs", "shadow_instance_type_extra_specs", "traits"))
_VERSIONS = frozenset(("alembic_version", "migrate_version"))

MIXED = Rule(
    "UF-DB-002",
    "tables have another charset or collation than most",
    Severity.WARNING,
    "A migration makes its tables as most are, or as the database says. Its foreign keys to a table"
    " of another charset cannot be made, and the migration stops half-way.",
    "Let the database and all its tables have one charset and collation, on a copy first.",
)
ENGINE = Rule(
    "UF-DB-003",
    "a table is not of InnoDB",
    Severity.ERROR,
    "Other engines have neither transactions nor foreign keys: migrations that add one fail, and"
    " a migration that fails half-way cannot be taken back. Galera does not replicate them.",
    "Convert the table, on a copy first.",
)


class Charsets(Check):
    """Compares the charsets, collations and engines of a database's tables."""

    area = "database"
    title = "charsets, collations and engines"
    rules = (PAIR, MIXED, ENGINE)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each database by itself."""
        return each(sources.databases(), lambda one: look(one, schema.read(sources, one)))


def look(database: Database, found: schema.Schema) -> list[Finding]:
    """Return what is wrong with the tables of one database."""
    findings = [_pair(database.name, link, found) for link in found.links if _differ(link)]
    findings += [
        ENGINE.found(
            f"{database.name}.{table.name}",
            f"the table is of the engine {table.engine}",
            f"ALTER TABLE {table.name} ENGINE=InnoDB;",
            engine=table.engine,
        )
        for table in found.tables
        if table.engine.lower() != "innodb"
    ]
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table in found.tables:
        if not _is_meant(database.name, table):
            groups[_charset(table.charset), _collation(table.collation)].append(table.name)
    usual = max(groups, key=lambda kind: len(groups[kind]), default=("utf8mb3", ""))
    for (charset, collation), tables in sorted(groups.items()):
        if charset in _UTF8 and (charset, collation) == usual:
            continue
        severity = Severity.WARNING if charset in _UTF8 else Severity.ERROR
        names = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more" if tables[5:] else "")
        findings.append(
            MIXED.found(
                f"{database.name}: {collation}",
                f"{len(tables)} of {len(found.tables)} tables are {charset} ({collation}), most are"
                f" {usual[0]} ({usual[1]}): {names}",
                _remedy(tables[0], usual),
                severity,
                charset=charset,
                collation=collation,
                tables=tables,
                usual_charset=usual[0],
                usual_collation=usual[1],
            )
        )
    return findings


def _is_meant(database: str, table: schema.Table) -> bool:
    """Whether a table is unlike the others because its service has made it so."""
    if table.name in _VERSIONS:
        return True
    if not database.startswith("nova"):
        return False
    charset = _charset(table.charset)
    if table.name in _BINARY and _collation(table.collation) == "utf8mb3_bin":
        return True
    return table.name in _PLACEMENT and charset == "latin1"


def _remedy(table: str, usual: tuple[str, str]) -> str:
    """Return the command; where all tables are of a charset that is not UTF-8, to UTF-8."""
    charset, collation = usual if usual[0] in _UTF8 else ("utf8mb3", "utf8mb3_general_ci")
    return (
        f"ALTER TABLE {table} CONVERT TO CHARACTER SET {charset} COLLATE {collation}; (for each of"
        " them, on a copy first; its foreign keys, and those to it, have to be dropped meanwhile)"
    )


def _differ(link: schema.Link) -> bool:
    ours = _charset(link.charset), _collation(link.collation)
    theirs = _charset(link.parent_charset), _collation(link.parent_collation)
    return ours != theirs


def _pair(name: str, link: schema.Link, found: schema.Schema) -> Finding:
    mine, parent = f"{link.table}.{link.column}", f"{link.parent_table}.{link.parent_column}"
    usual = _collation(found.collation)
    odd = link.table if _collation(link.parent_collation) == usual else link.parent_table
    to = f"CONVERT TO CHARACTER SET {found.charset} COLLATE {found.collation}"
    key = f"FOREIGN KEY ({link.column}) REFERENCES {link.parent_table} ({link.parent_column})"
    return PAIR.found(
        f"{name}.{mine}",
        f"{mine} is {link.collation}, but {parent}, which it refers to, is {link.parent_collation}",
        f"ALTER TABLE {link.table} DROP FOREIGN KEY {link.name}; ALTER TABLE {odd} {to};"
        f" ALTER TABLE {link.table} ADD CONSTRAINT {link.name} {key}; (on a copy first; the same"
        f" with every other foreign key of {odd}, each with its ON DELETE)",
        column=mine,
        collation=link.collation,
        parent=parent,
        parent_collation=link.parent_collation,
    )


def _charset(name: str) -> str:
    return _SAME.get(name, name)


def _collation(name: str) -> str:
    charset, _, rest = name.partition("_")
    return f"{_charset(charset)}_{rest}"
