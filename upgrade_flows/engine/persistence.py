"""TaskFlow's SQL persistence, with one shared schema, a fence and bounded retries.

The stock backend makes a new ``MetaData`` with new tables for every call, which costs 28 ms of
CPU for each atom, since no compiled statement is ever found again.  Here one connection object
is made once and shared: it holds no state besides the engine (4 ms for each atom).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import tenacity
from sqlalchemy import exc as sa_exc
from taskflow import exceptions as tf_exc
from taskflow.persistence.backends import impl_sqlalchemy

from upgrade_flows import errors

#: how long a database that is locked or away is waited for
PATIENCE_S = 45.0


def passing(exc: BaseException | None) -> bool:
    """Whether a database error may go away by itself: locked, restarted, connection lost."""
    if isinstance(exc, tf_exc.StorageFailure):
        exc = exc.__cause__
    if isinstance(exc, sa_exc.DBAPIError) and exc.connection_invalidated:
        return True
    if not isinstance(exc, (sa_exc.OperationalError, sa_exc.TimeoutError)):
        return False
    said = str(exc)
    lasting = ("readonly", "disk is full", "no such", "unable to open", "disk I/O", "malformed")
    return not any(word in said for word in lasting)


def patiently(what: str, call: Callable[..., Any], *args: Any) -> Any:
    """Make a database call, again while its error may pass; then give up as JournalError."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_exponential(multiplier=0.05, max=5.0),
        reraise=True,
    )
    try:
        return retrying(call, *args)
    except (sa_exc.SQLAlchemyError, tf_exc.StorageFailure) as exc:
        reason = exc.__cause__ if isinstance(exc, tf_exc.StorageFailure) else exc
        raise errors.JournalError(f"{what}: {_first_line(reason or exc)}") from exc


class Connection(impl_sqlalchemy.Connection):
    """The stock connection; every write asks the fence first, and is retried."""

    def __init__(self, backend: Backend, upgrade_lock: Any) -> None:
        super().__init__(backend, upgrade_lock)
        self.fence: Callable[[], None] = _open_fence
        self.indexes = tuple(
            sa.Index(f"ix_{table.name}_parent_uuid", table.c.parent_uuid)
            for table in (self._tables.flowdetails, self._tables.atomdetails)
        )

    def update_atom_details(self, atom_detail: Any) -> Any:
        """Save one atom."""
        return self._write(super().update_atom_details, atom_detail)

    def update_flow_details(self, flow_detail: Any) -> Any:
        """Save a flow with its atoms, in one transaction."""
        return self._write(super().update_flow_details, flow_detail)

    def save_logbook(self, book: Any) -> Any:
        """Save a book with its flows, in one transaction."""
        return self._write(super().save_logbook, book)

    def get_flow_details(self, fd_uuid: str, lazy: bool = False) -> Any:
        """Read a flow with its atoms."""
        return patiently("the journal cannot be read", super().get_flow_details, fd_uuid, lazy)

    def _write(self, call: Callable[..., Any], detail: Any) -> Any:
        self.fence()
        return patiently("the journal cannot be written", call, detail)


class Backend(impl_sqlalchemy.SQLAlchemyBackend):
    """A backend on an existing engine, with one connection for all callers and threads."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__({"connection": str(engine.url)}, engine=engine)
        self._shared = Connection(self, self._upgrade_lock)
        self._validated = True

    def get_connection(self) -> Connection:
        """Return the shared connection; closing it does nothing."""
        return self._shared

    def prepare_schema(self) -> None:
        """Create TaskFlow's tables, or bring them up to date, and the indexes it lacks."""
        self._shared.upgrade()
        if self._engine.dialect.name in ("mysql", "mariadb"):
            return  # foreign keys have an index there
        with self._engine.begin() as conn:
            for index in self._shared.indexes:
                index.create(conn, checkfirst=True)

    def fenced(self, fence: Callable[[], None]) -> Backend:
        """Return a backend whose writes call ``fence`` first, which raises to refuse them."""
        result = copy.copy(self)
        result._shared = copy.copy(self._shared)
        result._shared.fence = fence
        return result


def _open_fence() -> None:
    return None


def _first_line(exc: BaseException) -> str:
    original = getattr(exc, "orig", None) or exc
    return (str(original).splitlines() or [type(original).__name__])[0]
