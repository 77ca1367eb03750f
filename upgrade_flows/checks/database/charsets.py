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
MIXED = Rule(
    "UF-DB-002",
    "tables have another charset or collation than new tables will get",
    Severity.WARNING,
    "A table that a migration adds gets the charset of the database, unless the migration names"
    " one. Its foreign keys to a table of another charset cannot be made, and the migration stops"
    " half-way.",
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
    default = (_charset(found.charset), _collation(found.collation))
    findings = [_pair(database.name, link, found) for link in found.links if _differ(link)]
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table in found.tables:
        if table.engine.lower() != "innodb":
            findings.append(
                ENGINE.found(
                    f"{database.name}.{table.name}",
                    f"the table is of the engine {table.engine}",
                    f"ALTER TABLE {table.name} ENGINE=InnoDB;",
                    engine=table.engine,
                )
            )
        groups[_charset(table.charset), _collation(table.collation)].append(table.name)
    for (charset, collation), tables in sorted(groups.items()):
        if (charset, collation) == default:
            continue
        severity = Severity.WARNING if charset in _UTF8 else Severity.ERROR
        names = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more" if tables[5:] else "")
        findings.append(
            MIXED.found(
                f"{database.name}: {collation}",
                f"{len(tables)} of {len(found.tables)} tables are {charset} ({collation}), new ones"
                f" would be {default[0]} ({default[1]}): {names}",
                _remedy(tables, found, (charset, collation)),
                severity,
                charset=charset,
                collation=collation,
                tables=tables,
                default_charset=found.charset,
                default_collation=found.collation,
            )
        )
    return findings


def _remedy(tables: list[str], found: schema.Schema, own: tuple[str, str]) -> str:
    """Return the command: for the database if all tables are alike, else for the tables."""
    if len(tables) == len(found.tables):
        return f"ALTER DATABASE CHARACTER SET {own[0]} COLLATE {own[1]}; (new tables only)"
    to = f"CONVERT TO CHARACTER SET {found.charset} COLLATE {found.collation}"
    return (
        f"ALTER TABLE {tables[0]} {to}; (for each of them, on a copy first; its foreign keys, and"
        " those to it, have to be dropped meanwhile)"
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
