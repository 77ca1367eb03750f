"""The floor: one INSERT and one COMMIT for each step, by the plain driver, and nothing else."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg2
import pymysql
import sqlalchemy as sa

from tests.bench.durability.measure import Sample, measure

WARM_UP = 20
TEXT = '{"ok": true}'
CREATE = "CREATE TABLE IF NOT EXISTS floor (id VARCHAR(36) PRIMARY KEY, text TEXT)"

Insert = Callable[[str], None]


def floor(url: str, steps: int) -> list[Sample]:
    """Measure it, with the settings that the journal gives its connections.

    SQLAlchemy does not see its commits; there is one for each step.
    """
    name = sa.make_url(url).get_backend_name()
    connection, insert = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mariadb}[name](
        sa.make_url(url)
    )

    def work(round_: str, count: int) -> None:
        for number in range(count):
            insert(f"{round_}-{number}")

    work("warm-up", WARM_UP)
    found = [measure(steps, lambda turn=turn: work(f"turn-{turn}", steps)) for turn in range(2)]
    cursor = connection.cursor()
    cursor.execute("DELETE FROM floor")
    connection.commit()
    return [dataclasses.replace(sample, commits=1.0) for sample in found]


def _sqlite(url: sa.URL) -> tuple[Any, Insert]:
    connection = sqlite3.connect(str(url.database), isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(CREATE)

    def insert(key: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO floor (id, text) VALUES (?, ?)", (key, TEXT))
        connection.execute("COMMIT")

    return connection, insert


def _postgresql(url: sa.URL) -> tuple[Any, Insert]:
    connection = psycopg2.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    )
    return connection, _prepare(connection)


def _mariadb(url: sa.URL) -> tuple[Any, Insert]:
    connection = pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        charset="utf8mb4",
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )
    return connection, _prepare(connection)


def _prepare(connection: Any) -> Insert:
    cursor = connection.cursor()
    cursor.execute(CREATE)
    connection.commit()

    def insert(key: str) -> None:
        cursor.execute("INSERT INTO floor (id, text) VALUES (%s, %s)", (key, TEXT))
        connection.commit()

    return insert
