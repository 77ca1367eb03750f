"""Statements that are written once and handed to the driver as they are.

SQLAlchemy writes them, for each database in its own words.  Executing them its way costs more CPU
than everything else about a step together, and psycopg2's way a round trip for each row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc


def upsert(engine: sa.Engine, table: sa.Table, keys: tuple[str, ...]) -> Any:
    """Return a statement that inserts rows, or replaces the ones with the same keys."""
    others = [column.name for column in table.columns if column.name not in keys]
    if engine.dialect.name in ("mysql", "mariadb"):
        from sqlalchemy.dialects.mysql import insert as mysql_insert

        statement = mysql_insert(table)
        return statement.on_duplicate_key_update({n: statement.inserted[n] for n in others})
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        pg = pg_insert(table)
        return pg.on_conflict_do_update(
            index_elements=list(keys), set_={n: pg.excluded[n] for n in others}
        )
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    lite = sqlite_insert(table)
    return lite.on_conflict_do_update(
        index_elements=list(keys), set_={n: lite.excluded[n] for n in others}
    )


def text_of(engine: sa.Engine, statement: Any) -> tuple[str, list[str]]:
    """Return a statement as its driver takes it, and the names of its values in their order."""
    dialect: Any = engine.dialect
    if not dialect.positional:
        dialect = type(dialect)(paramstyle="format")
    compiled = statement.compile(dialect=dialect)
    return str(compiled), list(compiled.positiontup)


def execute(conn: sa.Connection, text: str, values: Sequence[Any]) -> Any:
    """Execute a statement in a transaction that has begun; return what has ``fetchone``."""
    if conn.dialect.name != "sqlite":
        return conn.exec_driver_sql(text, tuple(values))
    raw: Any = conn.connection.dbapi_connection
    try:
        return raw.execute(text, values)
    except sqlite3.Error as exc:
        raise sa_exc.OperationalError(text, None, exc) from exc


#: the values of the first row of an INSERT, with casts in them or not
_ROW = re.compile(r"VALUES (\([^()]*(?:\([^()]*\)[^()]*)*\))")


class Bulk:
    """Inserts rows, or replaces the ones with the same keys, in as few statements as possible."""

    #: rows in one statement; databases limit the values
    MOST = 64

    def __init__(self, engine: sa.Engine, table: sa.Table, keys: tuple[str, ...] = ()) -> None:
        self._columns = [c.name for c in table.columns if keys or not c.primary_key]
        statement = upsert(engine, table, keys) if keys else table.insert()
        row: dict[str, Any] = {name: sa.bindparam(name) for name in self._columns}
        one, order = text_of(engine, statement.values([row]))
        found = _ROW.search(one)
        assert order == self._columns
        assert found is not None
        self._head, self._row, self._tail = one[: found.start(1)], found[1], one[found.end(1) :]

    def execute(self, conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, each of which has a value for every column."""
        for start in range(0, len(rows), self.MOST):
            part = rows[start : start + self.MOST]
            text = self._head + ", ".join([self._row] * len(part)) + self._tail
            execute(conn, text, [row[name] for row in part for name in self._columns])
