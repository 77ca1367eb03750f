"""The journal's own tables, and opening the database they are in."""

from __future__ import annotations

import os
import stat
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.dialects import mysql
from taskflow import exceptions as tf_exc

from upgrade_flows.engine.persistence import Backend
from upgrade_flows.errors import JournalError

#: raised whenever a table changes; a journal with a higher one is refused
VERSION = 1

_LONG = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

metadata = sa.MetaData()

version = sa.Table("journal_version", metadata, sa.Column("version", sa.Integer, primary_key=True))

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("plan_id", sa.String(255), nullable=False),
    sa.Column("cloud_id", sa.String(255), nullable=False),
    sa.Column("plan", _LONG, nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
)

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("error", _LONG, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("ended", sa.Double),
    sa.Column("flow_uuid", sa.String(64), nullable=False),
    sa.Column("settle_uuid", sa.String(64), nullable=False),
    sa.Column("result", _LONG, nullable=False),
    sa.Column("residue", _LONG, nullable=False),
    sa.Index("ix_subjects_subject", "subject"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("cloud_id", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("step", sa.String(255), nullable=False),
    sa.Column("what", sa.String(64), nullable=False),
    sa.Column("detail", _LONG, nullable=False),
    sa.Index("ix_events_run_subject", "run_id", "subject"),
)


def connect(url: str) -> tuple[sa.Engine, Backend]:
    """Open the database, create what is missing, and return it with TaskFlow's view of it.

    :raises JournalError: it cannot be used; says what to do.
    """
    try:
        parsed = sa.make_url(url)
    except sa_exc.ArgumentError as exc:
        raise JournalError(
            f"the journal's URL {url!r} is not one: use sqlite:////path/of/the/file,"
            " mysql+pymysql://user@host/db or postgresql+psycopg2://user@host/db"
        ) from exc
    shown = parsed.render_as_string(hide_password=True)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite:
        _prepare_file(parsed.database)
    try:
        engine = _engine(parsed, sqlite)
        backend = Backend(engine)
        _check_version(engine, shown)
        backend.prepare_schema()
        with engine.begin() as conn:
            metadata.create_all(conn)
            if conn.execute(sa.select(version.c.version)).first() is None:
                conn.execute(version.insert().values(version=VERSION))
    except (sa_exc.NoSuchModuleError, ImportError) as exc:
        raise JournalError(f"the journal {shown} needs a driver that is missing: {exc}") from exc
    except (sa_exc.SQLAlchemyError, tf_exc.StorageFailure) as exc:
        raise JournalError(_advice(shown, exc)) from exc
    return engine, backend


def _engine(url: sa.URL, sqlite: bool) -> sa.Engine:
    if not sqlite:
        return sa.create_engine(
            url, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_recycle=3600
        )
    engine = sa.create_engine(url, connect_args={"timeout": 30.0}, pool_size=16, max_overflow=-1)
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def reader(engine: sa.Engine) -> sa.Engine:
    """Return the engine for transactions that only read: on SQLite they take no write lock."""
    return engine.execution_options(only_reads=True)


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _on_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(conn: sa.Connection) -> None:
    """Take the write lock at once: a lock that is upgraded later fails instead of waiting."""
    reads = conn.get_execution_options().get("only_reads")
    conn.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_file(path: str | None) -> None:
    if not path or path == ":memory:":
        raise JournalError("the journal must outlive the process: name a file, sqlite:////path")
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            info = os.fstat(handle)
            if stat.S_IMODE(info.st_mode) & 0o077 and info.st_uid == os.geteuid():
                os.fchmod(handle, 0o600)
        finally:
            os.close(handle)
        for suffix in ("-wal", "-shm"):  # these take the file's mode when SQLite makes them
            if os.path.exists(path + suffix) and os.stat(path + suffix).st_uid == os.geteuid():
                os.chmod(path + suffix, 0o600)
    except OSError as exc:
        raise JournalError(
            f"the journal {path} cannot be opened for writing ({exc.strerror}): run as the user"
            " who owns it, or name another file"
        ) from exc


def _check_version(engine: sa.Engine, shown: str) -> None:
    with reader(engine).connect() as conn:
        if not sa.inspect(conn).has_table(version.name):
            return
        found = conn.execute(sa.select(sa.func.max(version.c.version))).scalar()
    if found is not None and found > VERSION:
        raise JournalError(
            f"the journal {shown} has schema {found}, this upgrade_flows knows {VERSION}:"
            " use the newer upgrade_flows that wrote it, or name another journal"
        )


def _advice(shown: str, exc: Exception) -> str:
    reason = exc.__cause__ if isinstance(exc, tf_exc.StorageFailure) else exc
    said = str(getattr(reason, "orig", None) or reason)
    if "not a database" in said or "malformed" in said:
        return (
            f"the journal {shown} is damaged or is no journal ({said}): restore it from a backup,"
            " or move it away and name another one; runs that it held cannot be resumed without it"
        )
    return f"the journal {shown} cannot be used ({said}): check that it exists and is writable"
