"""Who may work on a subject now: owners that beat, and the leases that they hold.

A lease has a token that no other lease ever had.  Whoever records something about a subject
checks the token in the same transaction; so a process that was stopped for a while, and whose
subject another one has taken meanwhile, can record nothing more and begins no further step.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from upgrade_flows import errors
from upgrade_flows.engine import database, schema, statements
from upgrade_flows.engine.scheduler import ALLOWED, Moves
from upgrade_flows.model.report import State

LOG = logging.getLogger(__name__)

#: how long an owner is believed to live after it was heard of, in seconds
TTL_S = 30.0

#: how often an owner looks for orders that concern its subjects, in seconds
LOOK_S = 1.0

#: states in which a subject belongs to its run, whether or not a process works on it
UNFINISHED = (
    State.CHANGING, State.PARKED, State.UNDOING, State.SETTLING, State.QUARANTINED,
    State.HELD,
)  # fmt: skip


@dataclass
class Lease:
    """One subject, held by one owner for one piece of work.

    ``recalled`` becomes true when the operator wants something else of the subject: then the
    current step is the last one.
    """

    cloud_id: str
    subject: str
    run_id: str
    owner: str
    token: int
    work: str
    recalled: bool = False

    def lost(self) -> errors.SubjectBusy:
        """Return the error that says that somebody else has it now."""
        return errors.SubjectBusy(
            f"the lease on {self.subject} of run {self.run_id} is lost: this process was not"
            " heard of for too long, and another one took it; nothing more is done to it here"
        )


class Fence:
    """The statement that makes sure of a lease, and keeps it from being taken meanwhile."""

    def __init__(self, engine: sa.Engine) -> None:
        c = schema.leases.c
        names = ("cloud_id", "subject", "token")
        query = sa.select(c.token).where(*(c[name] == sa.bindparam(name) for name in names))
        if engine.dialect.name != "sqlite":
            query = query.with_for_update(read=True)
        self._text, self._order = statements.text_of(engine, query)

    def check(self, conn: sa.Connection, lease: Lease) -> None:
        """Hold the lease until the transaction ends.

        :raises SubjectBusy: it is not ours any more.
        """
        values = [getattr(lease, name) for name in self._order]
        if statements.execute(conn, self._text, values).fetchone() is None:
            raise lease.lost()


class Keeper:
    """Keeps an owner alive in the journal, and tells its leases when they are recalled.

    A thread beats until ``close``.  It renews this owner's own row only, so that an owner whose
    leases were taken renews nothing of anybody else's.
    """

    def __init__(
        self,
        engine: sa.Engine,
        owner: str,
        ttl_s: float = TTL_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.owner, self.ttl_s = owner, ttl_s
        self._engine, self._now = engine, now
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._renewed = time.monotonic()
        self._upsert = statements.upsert(engine, schema.owners, ("owner",))
        self._thread = threading.Thread(target=self._beat, name="keeper", daemon=True)

    def __enter__(self) -> Keeper:
        database.patiently("the journal cannot be written", self.renew)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def lease(self, cloud_id: str, subject: str, run_id: str, work: str) -> Lease:
        """Return a lease that is not in the journal yet, with a token of its own."""
        token = secrets.randbits(62)
        return Lease(cloud_id, subject, run_id, self.owner, token, work)

    def watch(self, lease: Lease) -> None:
        """Tell the lease when it is recalled."""
        with self._lock:
            self._leases[lease.token] = lease

    def forget(self, lease: Lease) -> None:
        """Stop watching a lease."""
        with self._lock:
            self._leases.pop(lease.token, None)

    def has(self, token: int) -> bool:
        """Whether a lease is watched, which is: somebody in this process works with it."""
        return token in self._leases

    @property
    def age_s(self) -> float:
        """Seconds since this owner last told the journal that it lives."""
        return time.monotonic() - self._renewed

    def renew(self) -> None:
        """Say that this owner lives, for another ``ttl_s`` seconds."""
        until = database.current_time(self._engine, self._now) + self.ttl_s
        with self._engine.begin() as conn:
            expires = conn.execute(sa.select(until)).scalar()
            conn.execute(self._upsert, {"owner": self.owner, "expires": expires})
        self._renewed = time.monotonic()

    def look(self) -> None:
        """Recall the leases whose subjects something else is wanted of."""
        if not self._leases:
            return
        s, le, r = schema.subjects.c, schema.leases.c, schema.runs.c
        query = (
            sa.select(le.token, s.work, r.moves)
            .join(schema.subjects, (s.run_id == le.run_id) & (s.subject == le.subject))
            .join(schema.runs, r.id == le.run_id)
            .where(le.owner == self.owner)
        )
        with database.reader(self._engine).connect() as conn:
            found = {row.token: row for row in conn.execute(query)}
        with self._lock:
            held = list(self._leases.values())
        for lease in held:
            row = found.get(lease.token)
            if row is not None and (
                row.work != lease.work or lease.work not in ALLOWED[Moves(row.moves)]
            ):
                lease.recalled = True

    def close(self) -> None:
        """Stop beating, and take the owner out of the journal."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

        def remove() -> None:
            with self._engine.begin() as conn:
                conn.execute(sa.delete(schema.owners).where(schema.owners.c.owner == self.owner))

        with contextlib.suppress(sa_exc.SQLAlchemyError):  # it runs out by itself
            remove()

    def _beat(self) -> None:
        pause = min(LOOK_S, self.ttl_s / 4)
        away = False
        while not self._stop.wait(pause):
            try:
                if time.monotonic() - self._renewed >= self.ttl_s / 4 - pause / 2:
                    self.renew()
                self.look()
                away = False
            except sa_exc.SQLAlchemyError as exc:
                if not away:  # once, or it fills the log while nothing can be done
                    LOG.warning("the journal does not answer: %s", database.first_line(exc))
                away = True


def process_owner() -> str:
    """Return a name for this process that another one on this host can look up."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{_machine()}/{pid}/{_started(pid)}/{uuid.uuid4().hex[:8]}"


def gone(owner: str) -> bool:
    """Whether an owner is a process that ran on this host and has ended."""
    try:
        host, machine, pid, started, _ = owner.split("/")
        if (host, machine) != (socket.gethostname(), _machine()):
            return False
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, PermissionError):
        return False
    return started != _started(int(pid))


@functools.cache
def _machine() -> str:
    """Tell boots and process-id namespaces apart: a pid means nothing outside of its own."""
    parts = []
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(os.readlink(path) if "/ns/" in path else _read(path))
        except OSError:
            parts.append("")
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; pids are used again."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as handle:
        return handle.read().strip()
