"""The journal's database: opened, brought up to date, waited for when it is away."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
import tenacity
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine.interfaces import IsolationLevel

from upgrade_flows.engine import schema
from upgrade_flows.errors import JournalError

#: the engines for reading, by those for writing
_READERS: weakref.WeakKeyDictionary[sa.Engine, sa.Engine] = weakref.WeakKeyDictionary()
_READERS_LOCK = threading.Lock()

#: how long a transaction may stand still, in seconds; then the server ends it, because its
#: process was stopped or cut off, and its locks keep all others from the run
STILL_S = 10

#: how long a database that is locked or away is waited for, in seconds
PATIENCE_S = 600.0


def connect(url: str, upgrade: bool = False) -> sa.Engine:
    """Open the database of a journal; an empty one gets its tables.

    :param upgrade: bring an older journal on a server up to date, too (a file always is).
    :raises JournalError: it cannot be used; says what to do.
    """
    try:
        parsed = sa.make_url(url)
    except sa_exc.ArgumentError as exc:
        masked = re.sub(r"//[^/]*@", "//***@", url)
        raise JournalError(
            f"the journal's URL {masked!r} is not one: use sqlite:////path/of/the/file,"
            " mysql+pymysql://user@host/db or postgresql+psycopg2://user@host/db"
        ) from exc
    shown = parsed.render_as_string(hide_password=True)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite:
        _prepare_file(parsed.database)
    try:
        engine = _engine(parsed, sqlite)
        _prepare_schema(engine, shown, upgrade or sqlite)
    except (sa_exc.NoSuchModuleError, ImportError) as exc:
        raise JournalError(f"the journal {shown} needs a driver that is missing: {exc}") from exc
    except sa_exc.SQLAlchemyError as exc:
        raise JournalError(_advice(shown, exc)) from exc
    return engine


def reader(engine: sa.Engine) -> sa.Engine:
    """Return the engine for what only reads.

    On SQLite it takes no write lock; on a server each statement stands for itself, which saves
    the round trips that begin and end a transaction.
    """
    if engine.dialect.name == "sqlite":
        return engine.execution_options(only_reads=True)
    with _READERS_LOCK:
        if engine not in _READERS:
            _READERS[engine] = _server(engine.url, "AUTOCOMMIT")
        return _READERS[engine]


def dispose(engine: sa.Engine) -> None:
    """Close all connections of an engine, and of its reader."""
    engine.dispose()
    with _READERS_LOCK:
        other = _READERS.pop(engine, None)
    if other is not None:
        other.dispose()


def current_time(engine: sa.Engine, here: Callable[[], float]) -> sa.ColumnElement[float]:
    """Return epoch seconds as the database server counts them: one clock for all hosts.

    SQLite has no server; ``here`` is the clock of the one host that it is on.
    """
    name = engine.dialect.name
    if name == "postgresql":
        return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    if name in ("mysql", "mariadb"):
        # of UTC: what NOW() says comes twice when summer ends
        since = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1.0e6"
        return sa.literal_column(since, sa.Double)
    return sa.literal(here(), sa.Double)


def passing(exc: BaseException | None) -> bool:
    """Whether a database error may go away by itself: locked, restarted, connection lost."""
    if isinstance(exc, sa_exc.DBAPIError) and exc.connection_invalidated:
        return True
    if not isinstance(exc, (sa_exc.OperationalError, sa_exc.TimeoutError, sa_exc.InternalError)):
        return False
    said = str(exc)
    lasting = ("readonly", "disk is full", "no such", "unable to open", "disk I/O", "malformed")
    return not any(word in said for word in lasting)


def patiently(what: str, call: Callable[..., Any], *args: Any) -> Any:
    """Make a database call, again while its error may pass; then give up as JournalError."""
    try:
        return call(*args)
    except sa_exc.SQLAlchemyError as exc:
        if not passing(exc):
            raise JournalError(f"{what}: {first_line(exc)}") from exc
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_exponential(multiplier=0.05, max=2.0),
        reraise=True,
    )
    try:
        return retrying(call, *args)
    except sa_exc.SQLAlchemyError as exc:
        raise JournalError(f"{what}: {first_line(exc)}") from exc


def first_line(exc: BaseException) -> str:
    """Return what a database said, without the statement that it said it of."""
    original = getattr(exc, "orig", None) or exc
    return (str(original).splitlines() or [type(original).__name__])[0]


def _engine(url: sa.URL, sqlite: bool) -> sa.Engine:
    if not sqlite:
        return _server(url, "READ COMMITTED")
    engine = sa.create_engine(url, connect_args={"timeout": 30.0}, pool_size=16, max_overflow=-1)
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _server(url: sa.URL, isolation: IsolationLevel) -> sa.Engine:
    engine = sa.create_engine(
        url,
        isolation_level=isolation,
        connect_args=_patience(url),
        pool_size=32,
        max_overflow=-1,
        pool_pre_ping=False,  # every call is retried as a whole, which a ping would double
        pool_reset_on_return=None,  # nobody leaves a transaction open, and it is a round trip
        pool_recycle=3600,
    )
    limit = (
        f"SET idle_in_transaction_session_timeout = '{STILL_S}s'"
        if url.get_backend_name() == "postgresql"
        else f"SET @still = {STILL_S} /*M!100300 , idle_transaction_timeout = {STILL_S} */"
    )

    def end_what_stands_still(connection: Any, _record: Any) -> None:
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(limit)  # a MySQL has no such limit, and takes it for a comment
        connection.commit()

    sa.event.listen(engine, "connect", end_what_stands_still)
    return engine


def _patience(url: sa.URL) -> dict[str, int]:
    """Return how long a host that has vanished is waited for, in the driver's words."""
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        return {
            "connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10,
            "keepalives_count": 3, "tcp_user_timeout": 60_000,
        }  # fmt: skip
    if url.get_driver_name() == "pymysql":
        return {"connect_timeout": 10, "read_timeout": 90, "write_timeout": 90}
    return {}


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _on_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(conn: sa.Connection) -> None:
    """Take the write lock at once: a lock that is upgraded later fails instead of waiting."""
    reads = conn.get_execution_options().get("only_reads")
    conn.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_schema(engine: sa.Engine, shown: str, upgrade: bool) -> None:
    head = schema.REVISIONS[-1]
    found = _revision(engine, shown)
    if found == head:
        return
    if found is None:
        with _turn(engine), engine.begin() as conn:
            if engine.dialect.name == "postgresql":  # two that create at once take turns
                conn.exec_driver_sql("SELECT pg_advisory_xact_lock(7105211)")
            schema.metadata.create_all(conn)
            if conn.execute(sa.select(schema.revision)).first() is None:
                conn.execute(schema.revision.insert().values(version_num=head))
        return
    if found not in schema.REVISIONS:
        raise JournalError(
            f"the journal {shown} has schema {found}, this upgrade_flows knows {head}:"
            " use the newer upgrade_flows that wrote it, or name another journal"
        )
    if not upgrade:
        raise JournalError(
            f"the journal {shown} has schema {found}, this upgrade_flows needs {head}: stop the"
            " conductors, back it up, and run 'upgrade-flows journal upgrade'"
        )
    from upgrade_flows.engine.migrations import run

    run.upgrade(engine)


@contextlib.contextmanager
def _turn(engine: sa.Engine) -> Iterator[None]:
    """Keep others from creating the same tables now, where a transaction does not."""
    if engine.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    with reader(engine).connect() as conn:
        conn.exec_driver_sql("SELECT GET_LOCK(MD5(DATABASE()), 60)")
        try:
            yield
        finally:
            conn.exec_driver_sql("SELECT RELEASE_LOCK(MD5(DATABASE()))")


def _revision(engine: sa.Engine, shown: str) -> str | None:
    """Return the revision of what is there; None where there is nothing yet."""
    with reader(engine).connect() as conn:
        inspector = sa.inspect(conn)
        if inspector.has_table("journal_version"):
            raise JournalError(
                f"the journal {shown} was written before the first release and cannot be read"
                " any more: finish its runs with the version that began them, and name another"
            )
        if not inspector.has_table(schema.revision.name):
            return None
        found: str | None = conn.execute(sa.select(schema.revision.c.version_num)).scalar()
        return found


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


def _advice(shown: str, exc: Exception) -> str:
    said = first_line(exc)
    if "not a database" in said or "malformed" in said:
        return (
            f"the journal {shown} is damaged or is no journal ({said}): restore it from a backup,"
            " or move it away and name another one; runs that it held cannot be resumed without it"
        )
    return f"the journal {shown} cannot be used ({said}): check that it exists and is writable"
