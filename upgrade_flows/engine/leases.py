"""Leases: who may work on a subject now, renewed while that process lives."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from upgrade_flows import errors
from upgrade_flows.engine import schema
from upgrade_flows.engine.persistence import patiently
from upgrade_flows.model.report import State

#: states in which a subject belongs to its run, whether or not a process works on it
UNFINISHED = (State.CHANGING, State.PARKED, State.UNDOING, State.SETTLING)


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


class Lease:
    """The leases of some subjects, held by one owner for one run until released.

    A thread renews them.  ``check`` fails as soon as they cannot be trusted any more: another
    owner has taken one, or they were not renewed in time (a stopped process, a lost database).
    """

    def __init__(
        self, engine: sa.Engine, cloud_id: str, subjects: tuple[str, ...], owner: str,
        run_id: str, ttl_s: float, now: Callable[[], float],
    ) -> None:  # fmt: skip
        self._engine, self._cloud_id, self._subjects = engine, cloud_id, subjects
        self._owner, self._run_id, self._ttl_s, self._now = owner, run_id, ttl_s, now
        self._until = 0.0
        self._lost = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{run_id}", daemon=True)

    def acquire(self) -> Lease:
        """Take all leases or none.

        :raises SubjectBusy: names the subject, the run and the owner in the way.
        """
        end = self._now() + self._ttl_s
        try:
            patiently("the leases cannot be taken", self._take, end)
        except errors.JournalError as exc:
            if isinstance(exc.__cause__, sa_exc.IntegrityError):
                raise errors.SubjectBusy(
                    "another run took one of the subjects at this moment; try again"
                ) from exc
            raise
        self._until = end
        self._thread.start()
        return self

    def check(self) -> None:
        """Refuse to go on without the leases.

        :raises SubjectBusy: they are lost.
        """
        if not self._lost and self._now() >= self._until:
            self._lost = "it was not renewed in time"
        if self._lost:
            raise errors.SubjectBusy(
                f"the lease of run {self._run_id} is lost ({self._lost}); nothing more is done"
                " here, look at the journal for who goes on with it"
            )

    def renew(self) -> None:
        """Prolong the leases; note it if one has another owner by now."""
        end = self._now() + self._ttl_s
        mine = self._mine()
        with self._engine.begin() as conn:
            renewed = conn.execute(mine_update(mine, end)).rowcount
            if renewed == len(self._subjects):
                self._until = end
                return
            taken = conn.execute(
                sa.select(schema.leases.c.subject, schema.leases.c.owner).where(
                    schema.leases.c.cloud_id == self._cloud_id,
                    schema.leases.c.subject.in_(self._subjects),
                    schema.leases.c.owner != self._owner,
                )
            ).first()
        self._lost = f"{taken.owner} took {taken.subject}" if taken else "it was removed"

    def release(self) -> None:
        """Give up what is still held."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(errors.JournalError):  # they run out by themselves
            patiently("the leases cannot be released", self._remove)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(self._ttl_s / 4) and not self._lost:
            try:
                self.renew()
            except sa_exc.SQLAlchemyError:
                continue  # check() stops the work when the time is up

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        c = schema.leases.c
        return (
            c.cloud_id == self._cloud_id,
            c.subject.in_(self._subjects),
            c.owner == self._owner,
            c.run_id == self._run_id,
        )

    def _remove(self) -> None:
        with self._engine.begin() as conn:
            conn.execute(sa.delete(schema.leases).where(*self._mine()))

    def _take(self, end: float) -> None:
        c = schema.leases.c
        with self._engine.begin() as conn:
            held = {
                row.subject: row
                for row in conn.execute(
                    sa.select(schema.leases)
                    .where(c.cloud_id == self._cloud_id, c.subject.in_(self._subjects))
                    .with_for_update()
                )
            }
            for row in held.values():
                self._refuse_if_alive(row)
            self._refuse_unfinished(conn)
            for subject in self._subjects:
                values = {"run_id": self._run_id, "owner": self._owner, "expires": end}
                where = (c.cloud_id == self._cloud_id, c.subject == subject)
                if subject in held:
                    conn.execute(sa.update(schema.leases).where(*where).values(**values))
                    continue
                conn.execute(
                    schema.leases.insert().values(
                        cloud_id=self._cloud_id, subject=subject, **values
                    )
                )

    def _refuse_if_alive(self, row: sa.Row[tuple[object, ...]]) -> None:
        if row.owner == self._owner and row.run_id == self._run_id:
            return
        if row.expires > self._now() and not gone(row.owner):
            raise errors.SubjectBusy(
                f"{row.subject} is being worked on by run {row.run_id} (owner {row.owner});"
                " wait for it to end, or park it there"
            )

    def _refuse_unfinished(self, conn: sa.Connection) -> None:
        other = conn.execute(
            sa.select(schema.subjects)
            .join(schema.runs, schema.runs.c.id == schema.subjects.c.run_id)
            .where(
                schema.runs.c.cloud_id == self._cloud_id,
                schema.runs.c.id != self._run_id,
                schema.subjects.c.subject.in_(self._subjects),
                schema.subjects.c.state.in_([str(state) for state in UNFINISHED]),
            )
        ).first()
        if other is not None:
            raise errors.SubjectBusy(
                f"{other.subject} is {other.state} in run {other.run_id}, which no process works"
                " on: resume that run or roll it back first"
            )


def mine_update(where: Iterable[sa.ColumnElement[bool]], end: float) -> sa.Update:
    """Build the statement that prolongs the leases of an owner."""
    return sa.update(schema.leases).where(*where).values(expires=end)


def wall_clock() -> float:
    """Return epoch seconds; leases are compared across hosts."""
    return time.time()


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
