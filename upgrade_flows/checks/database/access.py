"""Read-only access to the services' databases; no error of it shows a URL or a password."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc, pool

from upgrade_flows.errors import DatabaseError, RequestError

#: seconds that a query, and a connection, may take
QUERY_S = 300
CONNECT_S = 10

_COLUMNS = {
    "mysql": "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE()",
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema()",
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table'",
}
#: what makes a driver give a connection up
_CONNECT = {
    "mysql": {"connect_timeout": CONNECT_S, "read_timeout": QUERY_S + 30},
    "postgresql": {"connect_timeout": CONNECT_S},
    "sqlite": {"check_same_thread": False},
}


class SqlDatabase:
    """``checks.base.Database`` over SQLAlchemy; every query is a transaction of its own.

    Sessions are read-only for the server, too: it refuses what would change anything.
    """

    def __init__(self, name: str, url: str, query_s: int = QUERY_S) -> None:
        self.name = name
        try:
            address = sa.make_url(url)
            self.dialect = {"mariadb": "mysql"}.get(
                address.get_backend_name(), address.get_backend_name()
            )
            if self.dialect not in _COLUMNS:
                known = ", ".join(_COLUMNS)
                raise RequestError(
                    f"the URL of the database of {name} is of an unknown kind; known are {known}"
                )
            self._password = str(address.password or "")
            self._engine = sa.create_engine(
                address,
                isolation_level="AUTOCOMMIT",
                connect_args=_CONNECT[self.dialect],
                pool_pre_ping=True,
                hide_parameters=True,
                poolclass=pool.QueuePool,
                pool_size=2,
                max_overflow=2,
            )
        except ImportError as error:
            raise RequestError(
                f"the database of {name} needs the Python package {error.name}"
            ) from None
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
            raise RequestError(
                f"the URL of the database of {name} cannot be understood; expected one like"
                " mysql+pymysql://USER:PASSWORD@HOST/NAME"
            ) from None
        event.listen(self._engine, "connect", functools.partial(_restrict, self.dialect, query_s))

    def __repr__(self) -> str:
        return f"<SqlDatabase {self.name}>"

    def rows(self, sql: str, **values: object) -> list[Any]:
        """Return the rows of a query; ``values`` are its ``:name`` parameters.

        :raises DatabaseError: it cannot be reached, or refuses the query.
        """
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(sa.text(sql), values))
        except exc.SQLAlchemyError as error:
            raise DatabaseError(f"the database of {self.name}: {self._said(error)}") from None

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns; none where there is no such table."""
        return self._tables.get(table, frozenset())

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, in order."""
        return tuple(sorted(self._tables))

    def quoted(self, name: str) -> str:
        """Return the name of a table or column as it is written in a query."""
        return str(self._engine.dialect.identifier_preparer.quote(name))

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    @functools.cached_property
    def _tables(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for table, column in self.rows(_COLUMNS[self.dialect]):
            found[_text(table)].add(_text(column))
        return {table: frozenset(columns) for table, columns in found.items()}

    def _said(self, error: exc.SQLAlchemyError) -> str:
        """Return what the server or the driver said: no query, no URL, no password."""
        text = str(getattr(error, "orig", None) or type(error).__name__)
        return text.replace(self._password, "***") if self._password else text


def open_all(urls: Mapping[str, str]) -> dict[str, SqlDatabase]:
    """Return the databases of URLs by their names; nothing is sent before they are read.

    :raises RequestError: a URL cannot be understood, or its driver is not installed.
    """
    return {name: SqlDatabase(name, url) for name, url in urls.items()}


def _restrict(dialect: str, query_s: int, connection: Any, _: object) -> None:
    """Make a new connection read-only, and its queries end."""
    cursor = connection.cursor()
    if dialect == "mysql":
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute("SELECT VERSION()")
        if "mariadb" in str(cursor.fetchone()[0]).lower():
            cursor.execute(f"SET SESSION max_statement_time = {query_s}")
        else:
            cursor.execute(f"SET SESSION max_execution_time = {query_s * 1000}")
    elif dialect == "postgresql":
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.execute(f"SET statement_timeout = {query_s * 1000}")
        connection.commit()
    else:
        cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
