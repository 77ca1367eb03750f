"""The journal: what was planned, done and left behind, kept in one database."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from taskflow import exceptions as tf_exc
from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows import errors
from upgrade_flows.engine import schema
from upgrade_flows.engine.leases import Lease, wall_clock
from upgrade_flows.engine.persistence import Backend, patiently
from upgrade_flows.engine.records import Event, RunRecord, SubjectRecord
from upgrade_flows.model import codec
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Residue, State, StepRecord
from upgrade_flows.steps.vault import Vault

#: from which the ids of flows are derived, so that a flow is found again without being noted
_NAMESPACE = uuid.UUID("6f1c9a52-4a0e-5f0a-9d0a-0d8f9d1c7b11")

#: states in which nobody needs the journal of a subject to go on or back
_OVER = (State.PENDING, State.FAILED, State.UNDONE, State.SETTLED, State.REFUSED)

_ENDS = ("finished", "failed", "reverted", "residue")


class Journal:
    """The memory of all runs; safe to share between threads."""

    def __init__(self, engine: sa.Engine, backend: Backend) -> None:
        self.engine = engine
        self.backend = backend
        self.key_file: Path | None = None
        self.now: Callable[[], float] = wall_clock
        self._reader = schema.reader(engine)

    @classmethod
    def open(cls, url: str, key_file: Path | None = None) -> Journal:
        """Open a journal, creating it where there is none.

        :param key_file: holds the key that seals what is secret; for SQLite it is by default
            the journal's own path with ``.key`` behind it.
        :raises JournalError: it cannot be used; says what to do.
        """
        journal = cls(*schema.connect(url))
        journal.key_file = key_file
        return journal

    @property
    def vault(self) -> Vault:
        """What seals the secrets in this journal; its key is not in it.

        :raises JournalError: the journal is on a database server, and no key file was named.
        """
        if self.key_file is None and self.engine.dialect.name != "sqlite":
            raise errors.JournalError(
                "a journal on a database server needs a key file: set [journal] key_file, on"
                " every machine that works on its runs, to a copy of the same file"
            )
        return Vault.at(self.key_file or Path(f"{self.engine.url.database}.key"))

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def create_run(self, plan: Plan, run_id: str = "") -> str:
        """Record a run of a plan, with all of its subjects pending, and return its id."""
        now = self.now()
        run_id = run_id or new_run_id(now)
        rows = [
            {"run_id": run_id, "subject": action.subject, "position": position,
             "state": str(State.PENDING), "error": "", "flow_uuid": "", "settle_uuid": "",
             "result": "{}", "residue": "[]"}
            for position, action in enumerate(plan.actions)
        ]  # fmt: skip

        def create() -> None:
            with self.engine.begin() as conn:
                conn.execute(
                    schema.runs.insert().values(
                        id=run_id, plan_id=plan.id, cloud_id=plan.cloud_id, plan=plan.to_json(),
                        state="pending", withdrawn=False, created=now,
                    )
                )  # fmt: skip
                if rows:
                    conn.execute(schema.subjects.insert(), rows)

        patiently("the run cannot be recorded", create)
        return run_id

    def run(self, run_id: str) -> RunRecord:
        """Return one run.

        :raises RequestError: there is none of that id.
        """
        rows = self._rows(sa.select(schema.runs).where(schema.runs.c.id == run_id))
        if not rows:
            raise errors.RequestError(f"the journal holds no run {run_id!r}")
        return _run(rows[0])

    def runs(self) -> tuple[RunRecord, ...]:
        """Return all runs, newest first."""
        c = schema.runs.c
        rows = self._rows(sa.select(schema.runs).order_by(c.created.desc(), c.id.desc()))
        return tuple(_run(row) for row in rows)

    def update_run(self, run_id: str, **values: Any) -> None:
        """Change the ``state``, ``ended`` or ``withdrawn`` of a run."""
        if "state" in values:
            values["state"] = str(values["state"])
        self._execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(**values))

    def subjects(self, run_id: str) -> dict[str, SubjectRecord]:
        """Return the subjects of a run, in the plan's order."""
        c = schema.subjects.c
        query = sa.select(schema.subjects).where(c.run_id == run_id).order_by(c.position)
        return {row.subject: _subject(row) for row in self._rows(query)}

    def subject(self, run_id: str, subject: str) -> SubjectRecord:
        """Return one subject of a run.

        :raises RequestError: the run has none of that name.
        """
        c = schema.subjects.c
        query = sa.select(schema.subjects).where(c.run_id == run_id, c.subject == subject)
        rows = self._rows(query)
        if not rows:
            raise errors.RequestError(f"run {run_id} has no subject {subject!r}")
        return _subject(rows[0])

    def update_subject(self, run_id: str, subject: str, **values: Any) -> None:
        """Change fields of a subject's record."""
        if "state" in values:
            values["state"] = str(values["state"])
        for name in ("result", "residue"):
            if name in values:
                values[name] = codec.canonical(values[name])
        c = schema.subjects.c
        self._execute(
            sa.update(schema.subjects)
            .where(c.run_id == run_id, c.subject == subject)
            .values(**values)
        )

    def event(
        self, run_id: str, subject: str, what: str, detail: str = "", step: str = "",
        at: float | None = None,
    ) -> Event:  # fmt: skip
        """Add a moment to a run's timeline."""
        moment = Event(self.now() if at is None else at, subject, step, what, detail)
        self._execute(schema.events.insert().values(run_id=run_id, **codec.to_plain(moment)))
        return moment

    def events(self, run_id: str, subject: str | None = None) -> tuple[Event, ...]:
        """Return the timeline of a run, or of one of its subjects, oldest first."""
        c = schema.events.c
        query = sa.select(schema.events).where(c.run_id == run_id).order_by(c.id)
        if subject is not None:
            query = query.where(c.subject == subject)
        return tuple(
            Event(row.time, row.subject, row.step, row.what, row.detail)
            for row in self._rows(query)
        )

    def steps(self, run_id: str, subject: str) -> tuple[StepRecord, ...]:
        """Return the steps of a subject: those that began in that order, then the others."""
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for event in self.events(run_id, subject):
            if not event.step:
                continue
            if event.what == "started":
                first.setdefault(event.step, event.time)
            elif event.what in _ENDS:
                last[event.step] = event.time
        order = {step: index for index, step in enumerate(first)}
        atoms = [
            atom
            for phase in ("change", "settle")
            for atom in self.flow(run_id, subject, phase) or ()
        ]
        atoms.sort(key=lambda atom: order.get(atom.name, len(order)))
        return tuple(
            StepRecord(
                atom.name,
                atom.state,
                first.get(atom.name),
                None if atom.state in (tf.RUNNING, tf.REVERTING) else last.get(atom.name),
                _failure(atom),
            )
            for atom in atoms
        )

    def lease(
        self, subjects: Iterable[str], owner: str, run_id: str, ttl_s: float = 60.0,
        cloud_id: str = "",
    ) -> Lease:  # fmt: skip
        """Take the leases of subjects, all or none, and renew them until released.

        :raises SubjectBusy: names the subject, the run and the owner in the way.
        """
        cloud_id = cloud_id or self.run(run_id).plan.cloud_id
        names = tuple(dict.fromkeys(subjects))
        return Lease(self.engine, cloud_id, names, owner, run_id, ttl_s, self.now).acquire()

    def purge(self, before: float) -> tuple[str, ...]:
        """Forget runs that ended before a time and that nobody can go on with; return their ids."""
        c = schema.runs.c
        query = sa.select(c.id).where(c.ended < before).order_by(c.created)
        gone = tuple(
            row.id
            for row in self._rows(query)
            if all(record.state in _OVER for record in self.subjects(row.id).values())
        )
        for run_id in gone:
            patiently(f"run {run_id} cannot be purged", self._forget, run_id)
        return gone

    def flow(self, run_id: str, subject: str, phase: str) -> models.FlowDetail | None:
        """Return TaskFlow's record of a subject's flow, or None if it never began."""
        try:
            return self.backend.get_connection().get_flow_details(flow_uuid(run_id, subject, phase))
        except tf_exc.NotFound:
            return None

    def create_flow(self, run_id: str, subject: str, phase: str, backend: Backend) -> None:
        """Record a flow, in its subject's logbook, that is about to begin."""
        book = models.LogBook(f"{run_id}/{subject}"[:255], flow_uuid(run_id, subject, "book"))
        book.add(models.FlowDetail(phase, flow_uuid(run_id, subject, phase)))
        backend.get_connection().save_logbook(book)

    def _forget(self, run_id: str) -> None:
        tables = self.backend.get_connection()._tables
        with self.engine.begin() as conn:
            query = sa.select(schema.subjects.c.subject).where(schema.subjects.c.run_id == run_id)
            for (subject,) in conn.execute(query).all():
                book = flow_uuid(run_id, subject, "book")
                flows = sa.select(tables.flowdetails.c.uuid).where(
                    tables.flowdetails.c.parent_uuid == book
                )
                atoms = tables.atomdetails
                conn.execute(sa.delete(atoms).where(atoms.c.parent_uuid.in_(flows)))
                conn.execute(
                    sa.delete(tables.flowdetails).where(tables.flowdetails.c.parent_uuid == book)
                )
                conn.execute(sa.delete(tables.logbooks).where(tables.logbooks.c.uuid == book))
            for table in (schema.events, schema.subjects, schema.leases):
                conn.execute(sa.delete(table).where(table.c.run_id == run_id))
            conn.execute(sa.delete(schema.runs).where(schema.runs.c.id == run_id))

    def _execute(self, statement: sa.Executable) -> None:
        def execute() -> None:
            with self.engine.begin() as conn:
                conn.execute(statement)

        patiently("the journal cannot be written", execute)

    def _rows(self, query: sa.Select[Any]) -> list[Any]:
        def fetch() -> list[Any]:
            with self._reader.connect() as conn:
                return list(conn.execute(query))

        rows: list[Any] = patiently("the journal cannot be read", fetch)
        return rows


def new_run_id(now: float) -> str:
    """Return an id that sorts by day and is short enough to type."""
    return f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(3)}"


def flow_uuid(run_id: str, subject: str, phase: str) -> str:
    """Return the id that a flow of a subject always has."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}\n{subject}\n{phase}"))


def _run(row: Any) -> RunRecord:
    plan = Plan.from_json(row.plan)
    return RunRecord(row.id, plan, row.state, row.created, row.ended, bool(row.withdrawn))


def _subject(row: Any) -> SubjectRecord:
    return SubjectRecord(
        subject=row.subject,
        state=State(row.state),
        error=row.error,
        started=row.started,
        ended=row.ended,
        flow_uuid=row.flow_uuid,
        settle_uuid=row.settle_uuid,
        result=json.loads(row.result),
        residue=codec.from_plain(tuple[Residue, ...], json.loads(row.residue)),
    )


def _failure(atom: models.AtomDetail) -> str:
    failures = [f for f in (atom.failure, atom.revert_failure) if f is not None]
    return "; ".join(f.exception_str for f in failures)
