"""What MariaDB and MySQL say of their tables: engines, charsets, sizes, foreign keys."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.checks.base import Database, NothingToLookAt, Sources


@dataclass(frozen=True)
class Table:
    """A table; ``rows`` is InnoDB's estimate, ``size`` is in bytes with indexes."""

    name: str
    engine: str
    charset: str
    collation: str
    rows: int
    size: int


@dataclass(frozen=True)
class Link:
    """A foreign key of a text column: what it is of, and what it leads to.

    Charsets and collations are those of the columns.
    """

    name: str
    table: str
    column: str
    charset: str
    collation: str
    parent_table: str
    parent_column: str
    parent_charset: str
    parent_collation: str


@dataclass(frozen=True)
class Schema:
    """A database, with what its new tables get."""

    charset: str
    collation: str
    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    keys: frozenset[tuple[str, str]]

    def table(self, name: str) -> Table | None:
        """Return a table, or None."""
        return next((table for table in self.tables if table.name == name), None)


_DEFAULTS = """
SELECT default_character_set_name, default_collation_name
FROM information_schema.schemata WHERE schema_name = DATABASE()
"""
_TABLES = """
SELECT t.table_name, t.engine, t.table_collation, t.table_rows, t.data_length + t.index_length
FROM information_schema.tables t
WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'
ORDER BY t.table_name
"""
_LINKS = """
SELECT k.constraint_name, k.table_name, k.column_name, c.character_set_name, c.collation_name,
       k.referenced_table_name, k.referenced_column_name, p.character_set_name, p.collation_name
FROM information_schema.key_column_usage k
JOIN information_schema.columns c
  ON c.table_schema = k.table_schema AND c.table_name = k.table_name
 AND c.column_name = k.column_name
LEFT JOIN information_schema.columns p
  ON p.table_schema = k.referenced_table_schema AND p.table_name = k.referenced_table_name
 AND p.column_name = k.referenced_column_name
WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_name, k.column_name
"""


def read(sources: Sources, database: Database) -> Schema:
    """Return what a database says of its tables; it is read once for all checks.

    :raises NothingToLookAt: it is neither MariaDB nor MySQL.
    """
    if database.dialect != "mysql":
        raise NothingToLookAt(f"the database of {database.name} is no MariaDB or MySQL")
    return sources.once(f"schema of {database.name}", lambda: _read(database))


def keys(sources: Sources, database: Database) -> frozenset[tuple[str, str]]:
    """Return the columns that have a foreign key, by table; none where that is not known."""
    return read(sources, database).keys if database.dialect == "mysql" else frozenset()


def estimate(sources: Sources, database: Database, table: str) -> int | None:
    """Return about how many rows a table has; None where nobody knows without counting."""
    if database.dialect != "mysql":
        return None
    found = read(sources, database).table(table)
    return found.rows if found else 0


def _read(database: Database) -> Schema:
    charset, collation = database.rows(_DEFAULTS)[0]
    links = database.rows(_LINKS)
    return Schema(
        charset=str(charset),
        collation=str(collation),
        tables=tuple(
            Table(
                str(name),
                str(engine or ""),
                str(order or "").partition("_")[0],  # a collation is named after its charset
                str(order or ""),
                int(rows or 0),
                int(size or 0),
            )
            for name, engine, order, rows, size in database.rows(_TABLES)
        ),
        links=tuple(Link(*(str(part or "") for part in link)) for link in links if link[3]),
        keys=frozenset((str(link[1]), str(link[2])) for link in links),
    )
