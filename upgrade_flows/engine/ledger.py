"""What happened to one subject since the last commit, and committing it: all of it or nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from taskflow.persistence import models

from upgrade_flows.engine import database, persistence, schema, statements
from upgrade_flows.engine.claims import event_rows
from upgrade_flows.engine.leases import Fence, Lease
from upgrade_flows.engine.records import Event
from upgrade_flows.errors import SubjectBusy
from upgrade_flows.model import codec
from upgrade_flows.model.report import State

LOG = logging.getLogger(__name__)

#: called with every event of a run when it is on record, in the thread of its subject
Observer = Callable[[Event], None]


class Statements:
    """The statements of all ledgers of a journal, compiled once."""

    def __init__(self, engine: sa.Engine) -> None:
        self.rows = persistence.Rows(engine)
        self.fence = Fence(engine)
        self.event = statements.Bulk(engine, schema.events)
        c = schema.subjects.c
        self.subject = sa.update(schema.subjects).where(
            c.run_id == sa.bindparam("b_run_id"), c.subject == sa.bindparam("b_subject")
        )
        le = schema.leases.c
        self.release = sa.delete(schema.leases).where(
            le.cloud_id == sa.bindparam("b_cloud_id"),
            le.subject == sa.bindparam("b_subject"),
            le.token == sa.bindparam("b_token"),
        )


class Ledger:
    """The record of one subject while its lease is held.

    :param clock: returns epoch seconds, for the events.
    """

    def __init__(
        self,
        engine: sa.Engine,
        statements: Statements,
        lease: Lease,
        book_id: str,
        clock: Callable[[], float],
        observer: Observer | None = None,
    ) -> None:
        self.lease = lease
        self._engine, self._statements = engine, statements
        self._book_id, self._clock, self._observer = book_id, clock, observer
        self._detail: models.FlowDetail | None = None
        self._stored = False
        self._positions: dict[str, int] = {}
        self._flow_changed = False
        self._steps: dict[str, models.AtomDetail] = {}
        self._events: list[Event] = []
        self._lock = threading.RLock()  # a step may tell something while others end

    def open(self, detail: models.FlowDetail, stored: bool) -> None:
        """Keep the record of a flow from now on.

        :param stored: whether the journal has it already.
        """
        self._detail, self._stored = detail, stored
        self._positions = {atom.name: place for place, atom in enumerate(detail)}
        self._flow_changed = not stored
        self._steps.clear()

    def step(self, detail: models.AtomDetail, what: str, note: str = "") -> None:
        """Take note of a step's new state."""
        self._steps[detail.name] = detail
        self.event(what, note, detail.name)
        log = LOG.warning if what in ("failed", "residue") else LOG.info
        log("%s: %s %s%s", self.lease.subject, detail.name, what, f": {note}" if note else "")

    def flow(self) -> None:
        """Take note of the flow's new state."""
        self._flow_changed = True

    def all_steps(self) -> None:
        """Take note that any step may have changed."""
        assert self._detail is not None
        self._steps = {atom.name: atom for atom in self._detail}
        self._flow_changed = True

    def event(self, what: str, note: str = "", step: str = "") -> None:
        """Take note of a moment."""
        lease = self.lease
        self._events.append(Event(self._clock(), lease.subject, step, what, note, lease.owner))

    def commit(self) -> None:
        """Put everything on record.

        :raises SubjectBusy: the lease is lost; nothing is on record.
        :raises JournalError: the database did not answer for too long, or refuses.
        """
        self._write(None)

    def end(self, state: State, **values: Any) -> None:
        """Put everything on record, with where the subject stands, and give the lease back.

        What an operator has ordered of it meanwhile stays ordered, also where nothing more was
        wanted of this work.

        :param values: fields of the subject's record: ``error``, ``result``, ``residue``,
            ``ended``, ``work``, ``tries``.
        """
        self.event(str(state), str(values.get("error", "")))
        for name in ("result", "residue"):
            if name in values:
                values[name] = codec.canonical(values[name])
        if "work" in values:
            work = schema.subjects.c.work
            values["work"] = sa.case((work == self.lease.work, values["work"]), else_=work)
        self._write({"state": str(state), **values})

    def _write(self, subject: dict[str, Any] | None) -> None:
        with self._lock:
            self._write_alone(subject)

    def _write_alone(self, subject: dict[str, Any] | None) -> None:
        flow, steps, events = self._rows()
        if not (flow or steps or events or subject):
            return
        ours, lease = self._statements, self.lease

        def write() -> None:
            with self._engine.begin() as conn:
                try:
                    ours.fence.check(conn, lease)
                except SubjectBusy:
                    if subject is not None and _on_record(conn, events[-1]):
                        return  # it has ended, and only the answer to that got lost
                    raise
                if flow:
                    ours.rows.flow.execute(conn, [flow])
                ours.rows.step.execute(conn, steps)
                ours.event.execute(conn, events)
                if subject is not None:
                    names = {"b_run_id": lease.run_id, "b_subject": lease.subject}
                    conn.execute(ours.subject.values(**subject), names)
                    names = {"b_cloud_id": lease.cloud_id, "b_subject": lease.subject}
                    conn.execute(ours.release, {**names, "b_token": lease.token})

        database.patiently("the journal cannot be written", write)
        self._stored = self._stored or bool(flow)
        self._flow_changed = False
        self._steps.clear()
        said, self._events = self._events, []
        self.announce(said)

    def _rows(self) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of the flow, of its changed steps, and of the events."""
        detail, flow, changed = self._detail, None, list(self._steps.values())
        if detail is not None and self._flow_changed:
            flow = persistence.flow_row(detail, self._book_id)
            if not self._stored:
                changed = list(detail)
                self._positions = {atom.name: place for place, atom in enumerate(changed)}
        steps = [
            persistence.step_row(atom, detail.uuid, self._positions[atom.name])
            for atom in changed
            if detail is not None
        ]
        events = event_rows(self.lease.run_id, self._events)
        return flow, steps, events

    def announce(self, events: Iterable[Event]) -> None:
        """Show the observer what is on record already."""
        for event in events:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if self._observer is None:
            return
        try:
            self._observer(event)
        except Exception:
            LOG.exception("the observer failed on %s", event)


def _on_record(conn: sa.Connection, event: dict[str, Any]) -> bool:
    """Whether an event, given as its row, is on record."""
    query = sa.select(schema.events.c.id).where(
        *(schema.events.c[name] == value for name, value in event.items() if name != "detail")
    )
    return conn.execute(query).first() is not None
