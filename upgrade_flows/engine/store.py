"""The journal: what was planned, done and left behind, kept in one database."""

from __future__ import annotations

import functools
import json
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows import errors
from upgrade_flows.engine import database, persistence, schema
from upgrade_flows.engine.claims import Claims, Taken, event_rows
from upgrade_flows.engine.leases import TTL_S, Keeper, gone, process_owner
from upgrade_flows.engine.ledger import Ledger, Observer, Statements
from upgrade_flows.engine.records import Event, RunRecord, SubjectRecord
from upgrade_flows.engine.scheduler import IN_PROGRESS, Moves, Outline, RunState, Work, outline_of
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

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.key_file: Path | None = None
        self.now: Callable[[], float] = time.time
        self.claims = Claims(engine, lambda: self.now())
        self._statements = Statements(engine)
        self._reader = database.reader(engine)

    @classmethod
    def open(cls, url: str, key_file: Path | None = None) -> Journal:
        """Open a journal, creating it where there is none.

        :param key_file: holds the key that seals what is secret; for SQLite it is by default
            the journal's own path with ``.key`` behind it.
        :raises JournalError: it cannot be used; says what to do.
        """
        journal = cls(database.connect(url))
        journal.key_file = key_file
        return journal

    @functools.cached_property
    def backend(self) -> persistence.Backend:
        """What TaskFlow's own engines and jobboards keep their books in."""
        return persistence.Backend(self.engine)

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
        database.dispose(self.engine)

    def keeper(self, owner: str | None = None, ttl_s: float = TTL_S) -> Keeper:
        """Return what keeps an owner alive while it is at work; a context.

        :param owner: by default this process.
        """
        return Keeper(self.engine, owner or process_owner(), ttl_s, lambda: self.now())

    def ledger(
        self, taken: Taken, clock: Callable[[], float], observer: Observer | None = None
    ) -> Ledger:
        """Return what keeps the record of a subject that was taken."""
        book_id = flow_uuid(taken.lease.run_id, "", "book")
        return Ledger(self.engine, self._statements, taken.lease, book_id, clock, observer)

    def create_run(self, plan: Plan, run_id: str = "", submitted: bool = False) -> str:
        """Record a run of a plan, with all of its subjects pending, and return its id."""
        now = self.now()
        run_id = run_id or new_run_id(now)
        rows = [
            {"run_id": run_id, "subject": action.subject, "position": position, "wave": index,
             "action": codec.canonical(action), "state": str(State.PENDING),
             "work": str(Work.CHANGE), "error": "", "result": "{}", "residue": "[]",
             "brief": "{}", "tries": 0, "progress": 0}
            for position, (index, action) in enumerate(
                (index, action) for index, wave in enumerate(plan.waves) for action in wave.actions
            )
        ]  # fmt: skip
        run = {
            "id": run_id, "plan_id": plan.id, "cloud_id": plan.cloud_id,
            "capability": plan.request.capability, "plan": plan.to_json(),
            "outline": codec.canonical(outline_of(plan)), "state": str(RunState.PENDING),
            "moves": str(Moves.ALL), "submitted": submitted, "withdrawn": False, "ordered": False,
            "created": now,
        }  # fmt: skip
        book = {"id": flow_uuid(run_id, "", "book"), "name": run_id, "meta": "{}"}
        same_if = ("id", "plan_id", "created")

        def create() -> None:
            r = schema.runs.c
            with self.engine.begin() as conn:
                same = sa.select(r.id).where(*(r[name] == run[name] for name in same_if))
                if conn.execute(same).first() is not None:
                    return  # it was recorded, and only the answer to that got lost
                conn.execute(schema.runs.insert().values(**run))
                if rows:
                    conn.execute(schema.subjects.insert(), rows)
                conn.execute(schema.books.insert().values(**book))

        database.patiently("the run cannot be recorded", create)
        return run_id

    def run(self, run_id: str) -> RunRecord:
        """Return one run.

        :raises RequestError: there is none of that id.
        """
        rows = self._runs(schema.runs.c.id == run_id)
        if not rows:
            raise errors.RequestError(f"the journal holds no run {run_id!r}")
        return rows[0]

    def runs(self, submitted: bool | None = None, open_only: bool = False) -> tuple[RunRecord, ...]:
        """Return runs, newest first.

        :param submitted: only those that were, or were not, submitted to conductors.
        :param open_only: only those that are pending or running.
        """
        r = schema.runs.c
        where: list[Any] = [] if submitted is None else [r.submitted == submitted]
        if open_only:
            where.append(r.state.in_([str(RunState.PENDING), str(RunState.RUNNING)]))
        return tuple(self._runs(*where))

    def update_run(self, run_id: str, **values: Any) -> None:
        """Change fields of a run's record (``state``, ``ended``, ``moves``, ``withdrawn``...)."""
        values = {k: str(v) if k in ("state", "moves") else v for k, v in values.items()}
        self._execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(**values))

    def subjects(self, run_id: str) -> dict[str, SubjectRecord]:
        """Return the subjects of a run, in the plan's order."""
        c = schema.subjects.c
        query = sa.select(*_SUBJECT).where(c.run_id == run_id).order_by(c.position)
        return {row.subject: _subject(row) for row in self._rows(query)}

    def subject(self, run_id: str, subject: str) -> SubjectRecord:
        """Return one subject of a run.

        :raises RequestError: the run has none of that name.
        """
        c = schema.subjects.c
        rows = self._rows(sa.select(*_SUBJECT).where(c.run_id == run_id, c.subject == subject))
        if not rows:
            raise errors.RequestError(f"run {run_id} has no subject {subject!r}")
        return _subject(rows[0])

    def counts(self, run_id: str) -> dict[State, int]:
        """Return how many subjects of a run are in each state."""
        c = schema.subjects.c
        query = sa.select(c.state, sa.func.count().label("number")).where(c.run_id == run_id)
        return {State(row.state): row.number for row in self._rows(query.group_by(c.state))}

    def update_subject(self, run_id: str, subject: str, **values: Any) -> None:
        """Change fields of a subject's record.

        A state that means work in progress brings the work that is wanted with it.
        """
        if "state" in values:
            state = State(values["state"])
            values = {"work": str(IN_PROGRESS.get(state, "")), **values, "state": str(state)}
        for name in ("result", "residue"):
            if name in values:
                values[name] = codec.canonical(values[name])
        c = schema.subjects.c
        self._execute(
            sa.update(schema.subjects)
            .where(c.run_id == run_id, c.subject == subject)
            .values(**values)
        )

    def events(self, run_id: str, subject: str | None = None, after: int = 0) -> tuple[Event, ...]:
        """Return the timeline of a run, or of one of its subjects, oldest first."""
        return tuple(event for _, event in self.numbered_events(run_id, subject, after))

    def numbered_events(
        self, run_id: str, subject: str | None = None, after: int = 0
    ) -> list[tuple[int, Event]]:
        """Return the timeline behind an event, each with its number, for who follows it."""
        c = schema.events.c
        query = sa.select(schema.events).where(c.run_id == run_id, c.id > after).order_by(c.id)
        if subject is not None:
            query = query.where(c.subject == subject)
        return [
            (row.id, Event(row.time, row.subject, row.step, row.what, row.detail, row.owner))
            for row in self._rows(query)
        ]

    def last_event(self, run_id: str) -> int:
        """Return the number of the newest event of a run, or 0, for who follows it from now on."""
        c = schema.events.c
        (row,) = self._rows(sa.select(sa.func.max(c.id).label("id")).where(c.run_id == run_id))
        return row.id or 0

    def holders(self, run_id: str) -> dict[str, tuple[str, bool]]:
        """Return who has which subjects of a run in work, and whether they are alive."""
        c = schema.leases.c

        def read() -> dict[str, tuple[str, bool]]:
            with self._reader.connect() as conn:
                rows = conn.execute(sa.select(c.subject, c.owner).where(c.run_id == run_id)).all()
                alive = {o: self.claims.alive(conn, o) for o in {row.owner for row in rows}}
                return {row.subject: (row.owner, alive[row.owner]) for row in rows}

        held: dict[str, tuple[str, bool]] = database.patiently("the journal cannot be read", read)
        return held

    def conductors(self) -> tuple[str, ...]:
        """Return the owners that are alive and at work on no run that was not submitted."""
        o, le, r = schema.owners.c, schema.leases.c, schema.runs.c
        others = (
            sa.select(le.owner).join(schema.runs, r.id == le.run_id).where(r.submitted.is_(False))
        )
        query = sa.select(o.owner).where(
            o.expires > database.current_time(self.engine, self.now), o.owner.not_in(others)
        )
        return tuple(sorted(row.owner for row in self._rows(query) if not gone(row.owner)))

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

    def flow(self, run_id: str, subject: str, phase: str) -> models.FlowDetail | None:
        """Return TaskFlow's record of a subject's flow, or None if it never began."""

        def read() -> models.FlowDetail | None:
            with self._reader.connect() as conn:
                return persistence.read_flow(conn, flow_uuid(run_id, subject, phase))

        detail: models.FlowDetail | None = database.patiently("the journal cannot be read", read)
        return detail

    def purge(self, before: float) -> tuple[str, ...]:
        """Forget runs that ended before a time and that nobody can go on with; return their ids."""
        c = schema.runs.c
        query = sa.select(c.id).where(c.ended < before).order_by(c.created)
        gone = tuple(row.id for row in self._rows(query) if set(self.counts(row.id)) <= set(_OVER))
        for run_id in gone:
            database.patiently(f"run {run_id} cannot be purged", self._forget, run_id)
        self._execute(sa.delete(schema.owners).where(schema.owners.c.expires < before))
        return gone

    def _forget(self, run_id: str) -> None:
        with self.engine.begin() as conn:
            book = flow_uuid(run_id, "", "book")
            persistence.forget_book(conn, book)
            conn.execute(sa.delete(schema.books).where(schema.books.c.id == book))
            for table in (schema.events, schema.subjects, schema.leases):
                conn.execute(sa.delete(table).where(table.c.run_id == run_id))
            conn.execute(sa.delete(schema.runs).where(schema.runs.c.id == run_id))

    def skip(self, run_id: str, subjects: Sequence[str]) -> None:
        """Let a run go on without subjects; what was done to them stays."""
        s, now = schema.subjects.c, self.now()
        rows = [Event(now, subject, "", str(State.SKIPPED)) for subject in subjects]

        def skip() -> None:
            with self.engine.begin() as conn:
                conn.execute(
                    sa.update(schema.subjects)
                    .where(s.run_id == run_id, s.subject.in_(subjects))
                    .values(state=str(State.SKIPPED), work="", ended=now)
                )
                conn.execute(schema.events.insert(), event_rows(run_id, rows))

        database.patiently("the journal cannot be written", skip)

    def _runs(self, *where: Any) -> list[RunRecord]:
        r = schema.runs.c
        columns = [column for column in r if column.name != "plan"]
        query = sa.select(*columns).where(*where).order_by(r.created.desc(), r.id.desc())
        return [self._run(row) for row in self._rows(query)]

    def _run(self, row: Any) -> RunRecord:
        outline = codec.from_plain(Outline, json.loads(row.outline))
        return RunRecord(
            row.id, row.plan_id, row.cloud_id, row.capability,
            sum(wave.size for wave in outline.waves), row.state, row.created, row.ended,
            row.moves, bool(row.submitted), bool(row.withdrawn), outline,
            functools.partial(self._plan, row.id),
        )  # fmt: skip

    def _plan(self, run_id: str) -> Plan:
        (row,) = self._rows(sa.select(schema.runs.c.plan).where(schema.runs.c.id == run_id))
        return Plan.from_json(row.plan)

    def _execute(self, statement: sa.Executable) -> None:
        def execute() -> None:
            with self.engine.begin() as conn:
                conn.execute(statement)

        database.patiently("the journal cannot be written", execute)

    def _rows(self, query: sa.Select[Any]) -> list[Any]:
        def fetch() -> list[Any]:
            with self._reader.connect() as conn:
                return list(conn.execute(query))

        rows: list[Any] = database.patiently("the journal cannot be read", fetch)
        return rows


_SUBJECT = [
    schema.subjects.c[name]
    for name in ("subject", "state", "work", "error", "started", "ended", "result", "residue")
]


def new_run_id(now: float) -> str:
    """Return an id that sorts by day and is short enough to type."""
    return f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(3)}"


def flow_uuid(run_id: str, subject: str, phase: str) -> str:
    """Return the id that a flow of a subject always has."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}\n{subject}\n{phase}"))


def _subject(row: Any) -> SubjectRecord:
    return SubjectRecord(
        subject=row.subject,
        state=State(row.state),
        work=row.work,
        error=row.error,
        started=row.started,
        ended=row.ended,
        result=json.loads(row.result),
        residue=codec.from_plain(tuple[Residue, ...], json.loads(row.residue)),
    )


def _failure(atom: models.AtomDetail) -> str:
    failures = [f for f in (atom.failure, atom.revert_failure) if f is not None]
    return "; ".join(f.exception_str for f in failures)
