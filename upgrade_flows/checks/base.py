"""What a check is, and what it is given to look at."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from upgrade_flows.checks import releases
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding

T = TypeVar("T")


class NothingToLookAt(Exception):
    """What a check would look at is not there, or was not configured; the message says what."""


class Incomplete(Exception):
    """A check could not look at everything; what it has found so far counts all the same.

    :param message: what could not be looked at, and why.
    :param findings: what was found elsewhere.
    """

    def __init__(self, message: str, findings: Iterable[Finding]) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class Database(Protocol):
    """One database of a service, read-only; see ``checks.database.access``."""

    @property
    def name(self) -> str:
        """What it is called in the configuration: ``cinder``, ``nova_cell:cell1``."""

    @property
    def dialect(self) -> str:
        """``mysql`` (also MariaDB), ``postgresql`` or ``sqlite``."""

    def rows(self, sql: str, **values: object) -> list[Any]:
        """Return the rows of a query; ``values`` are its ``:name`` parameters.

        :raises DatabaseError: it cannot be reached, or refuses the query.
        """

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns; none where there is no such table.

        :raises DatabaseError: it cannot be reached.
        """

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, in order.

        :raises DatabaseError: it cannot be reached.
        """

    def quoted(self, name: str) -> str:
        """Return the name of a table or column as it is written in a query."""


@dataclass(frozen=True)
class Limits:
    """From when on something is worth a finding.

    :param stuck_s: seconds that an operation may take before it counts as stuck.
    :param certificate_days: days that a certificate should be good for.
    :param quota_percent: share of a quota that may be used.
    :param deleted_rows: rows marked as deleted that a table may hold.
    :param deleted_days: and for how many days.
    :param large_rows: rows from which a table counts as large.
    :param upstream_s: seconds that an upstream command may take.
    """

    stuck_s: float = 3600.0
    certificate_days: int = 30
    quota_percent: int = 90
    deleted_rows: int = 100_000
    deleted_days: int = 30
    large_rows: int = 5_000_000
    upstream_s: float = 300.0


class Sources:
    """What checks look at; each part is read when a check first asks, once, for all of them.

    :param cloud: the cloud, or what connects to it; None: there is none to look at.
    :param databases: the services' databases by name; cells of Nova are ``nova_cell:<name>``.
    :param target: the release to upgrade to, as in ``2025.1``; empty if it is not known.
    :param upstream: commands of upstream, as argument lists.
    :param now: epoch seconds; by default the moment at which it is made.
    :raises RequestError: the release is unknown.
    """

    def __init__(
        self,
        cloud: Cloud | Callable[[], Cloud] | None = None,
        databases: Mapping[str, Database] | None = None,
        target: str = "",
        limits: Limits | None = None,
        upstream: Sequence[Sequence[str]] = (),
        now: float | None = None,
    ) -> None:
        self._cloud = cloud
        self._databases = dict(databases or {})
        self.target = releases.named(target)
        self.limits = limits or Limits()
        self.upstream = tuple(tuple(command) for command in upstream)
        self.now = time.time() if now is None else now
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._read: dict[str, Any] = {}

    @property
    def cloud(self) -> Cloud:
        """The cloud, connected.

        :raises NothingToLookAt: there is none.
        """
        given = self._cloud
        if given is None:
            raise NothingToLookAt("no cloud was given")
        if not callable(given):
            return given
        return self.once("cloud", given)

    def database(self, name: str) -> Database:
        """Return one database.

        :raises NothingToLookAt: it is not configured.
        """
        if name not in self._databases:
            raise NothingToLookAt(f"no database of {name} is configured")
        return self._databases[name]

    def databases(self, *kinds: str) -> tuple[Database, ...]:
        """Return the databases of these kinds (``cinder``, ``nova_cell``), or all there are.

        :raises NothingToLookAt: none is configured.
        """
        found = tuple(
            database
            for name, database in self._databases.items()
            if not kinds or name.partition(":")[0] in kinds
        )
        if not found:
            which = f" of {', '.join(kinds)}" if kinds else ""
            raise NothingToLookAt(f"no database{which} is configured")
        return found

    def once(self, name: str, read: Callable[[], T]) -> T:
        """Return what ``read`` returns, or raise what it raises: it is called once for a name.

        Checks that ask for the same name at the same time wait for the first one.
        """
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._read:
                try:
                    self._read[name] = (read(), None)
                except Exception as exc:
                    self._read[name] = (None, exc)
            value, failure = self._read[name]
        if failure is not None:
            raise failure
        found: T = value
        return found


class Check(abc.ABC):
    """Looks at one thing, and says what stands in the way of an upgrade.

    A check reads and changes nothing.  It is made once, without arguments, and run in a thread
    of its own while others run.

    Its ``area`` is what operators ask for; ``title`` says in a few words what is looked at;
    ``rules`` has every id that it may find.
    """

    area: ClassVar[str]
    title: ClassVar[str]
    rules: ClassVar[tuple[Rule, ...]]

    @abc.abstractmethod
    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look, and return what was found.

        :raises NothingToLookAt: what it would look at is not there; it is skipped, and said.
        :raises Incomplete: a part of it could not be looked at; it is failed, and what it found
            is kept.
        :raises Exception: anything else makes the check failed, and the exit code 255.
        """


def each(items: Iterable[T], look: Callable[[T], Iterable[Finding]]) -> list[Finding]:
    """Return what is found in each of several places; one that fails hides no other.

    :param look: what looks at one of them.
    :raises Incomplete: at least one has failed.
    :raises NothingToLookAt: all of them say so.
    """
    findings: list[Finding] = []
    failures: list[str] = []
    nothing: list[str] = []
    looked = 0
    for item in items:
        try:
            findings += look(item)
            looked += 1
        except NothingToLookAt as exc:
            nothing.append(str(exc))
        except Exception as exc:
            findings += getattr(exc, "findings", ())
            failures.append(str(exc) or type(exc).__name__)
    if failures:
        raise Incomplete("; ".join(failures), findings)
    if nothing and not looked:
        raise NothingToLookAt("; ".join(nothing))
    return findings
