"""TaskFlow's persistence, on the journal's tables.

TaskFlow's own SQL backend builds its schema anew for every call, reads each row before it writes
it, and commits four times for each step.  Here a row is one upsert, by whoever commits: the
ledger, with everything else that belongs into the same transaction, or an engine of TaskFlow's
through ``Connection``, which commits at each call.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from taskflow import exceptions as tf_exc
from taskflow.persistence import base, models
from taskflow.types import failure

from upgrade_flows.engine import database, schema, statements


class Rows:
    """The statements that keep details, compiled once for each database."""

    def __init__(self, engine: sa.Engine) -> None:
        self.flow = statements.Bulk(engine, schema.flows, ("id",))
        self.step = statements.Bulk(engine, schema.steps, ("id",))
        self.book = statements.Bulk(engine, schema.books, ("id",))


def flow_row(detail: models.FlowDetail, book_id: str) -> dict[str, Any]:
    """Return the row of a flow."""
    return {
        "id": detail.uuid, "book_id": book_id, "name": detail.name, "state": detail.state,
        "meta": _dump(detail.meta or {}),
    }  # fmt: skip


def step_row(detail: models.AtomDetail, flow_id: str, position: int) -> dict[str, Any]:
    """Return the row of a step."""
    plain = detail.to_dict() if isinstance(detail, models.RetryDetail) else None
    return {
        "id": detail.uuid,
        "flow_id": flow_id,
        "position": position,
        "name": detail.name,
        "kind": "task" if plain is None else "retry",
        "state": detail.state,
        "intention": detail.intention,
        "version": _version(detail.version),
        "meta": "{}" if not detail.meta else _dump(detail.meta),
        "results": _dump(detail.results if plain is None else plain["results"]),
        "failure": _dump(_plain(detail.failure)),
        "revert_results": _dump(detail.revert_results),
        "revert_failure": _dump(_plain(detail.revert_failure)),
    }


def read_flow(conn: sa.Connection, flow_id: str) -> models.FlowDetail | None:
    """Return a flow with its steps, or None."""
    f, s = schema.flows.c, schema.steps.c
    row = conn.execute(sa.select(schema.flows).where(f.id == flow_id)).first()
    if row is None:
        return None
    detail = _flow(row)
    query = sa.select(schema.steps).where(s.flow_id == flow_id).order_by(s.position, s.name)
    for atom in conn.execute(query):
        detail.add(_step(atom))
    return detail


class Connection(base.Connection):
    """What TaskFlow's engines and jobboards write through; every call is one transaction."""

    def __init__(self, backend: Backend, engine: sa.Engine) -> None:
        self._backend, self._engine = backend, engine
        self._reader = database.reader(engine)
        self._rows = Rows(engine)

    @property
    def backend(self) -> Backend:
        """The backend that this connection is of."""
        return self._backend

    def close(self) -> None:
        """Do nothing: connections are taken from a pool for each call."""

    def upgrade(self) -> None:
        """Do nothing: ``database.connect`` has seen to the schema."""

    def validate(self) -> None:
        """Do nothing: ``database.connect`` has seen to the schema."""

    def clear_all(self) -> None:
        """Delete every book, with its flows and their steps."""

        def clear(conn: sa.Connection) -> None:
            for table in (schema.steps, schema.flows, schema.books):
                conn.execute(sa.delete(table))

        self._write(clear)

    def update_atom_details(self, atom_detail: models.AtomDetail) -> models.AtomDetail:
        """Save one step, which must be there.

        :raises NotFound: it is not there.
        """
        row = step_row(atom_detail, "", 0)
        values = {name: row[name] for name in row if name not in ("id", "flow_id", "position")}
        table = schema.steps

        def update(conn: sa.Connection) -> None:
            done = conn.execute(sa.update(table).where(table.c.id == row["id"]).values(**values))
            if done.rowcount == 0 and self._step(conn, row["id"]) is None:
                raise tf_exc.NotFound(f"No atom details found with uuid '{row['id']}'")

        self._write(update)
        return atom_detail

    def update_flow_details(self, flow_detail: models.FlowDetail) -> models.FlowDetail:
        """Save a flow, which must be there, and its steps.

        :raises NotFound: it is not there.
        """

        def update(conn: sa.Connection) -> None:
            query = sa.select(schema.flows.c.book_id).where(schema.flows.c.id == flow_detail.uuid)
            book_id = conn.execute(query).scalar()
            if book_id is None:
                raise tf_exc.NotFound(f"No flow details found with uuid '{flow_detail.uuid}'")
            self._save(conn, flow_detail, book_id)

        self._write(update)
        return flow_detail

    def save_logbook(self, book: models.LogBook) -> models.LogBook:
        """Save a book with its flows and their steps."""

        def save(conn: sa.Connection) -> None:
            values = {"id": book.uuid, "name": book.name, "meta": _dump(book.meta or {})}
            self._rows.book.execute(conn, [values])
            for flow in book:
                self._save(conn, flow, book.uuid)

        self._write(save)
        return book

    def destroy_logbook(self, book_uuid: str) -> None:
        """Delete a book with its flows and their steps.

        :raises NotFound: there is none of that id.
        """

        def destroy(conn: sa.Connection) -> None:
            forget_book(conn, book_uuid)
            query = sa.delete(schema.books).where(schema.books.c.id == book_uuid)
            if conn.execute(query).rowcount == 0:
                raise tf_exc.NotFound(f"No logbook found with uuid '{book_uuid}'")

        self._write(destroy)

    def get_logbook(self, book_uuid: str, lazy: bool = False) -> models.LogBook:
        """Return a book; unless ``lazy``, with its flows and their steps.

        :raises NotFound: there is none of that id.
        """
        with self._reader.connect() as conn:
            row = conn.execute(
                sa.select(schema.books).where(schema.books.c.id == book_uuid)
            ).first()
            if row is None:
                raise tf_exc.NotFound(f"No logbook found with uuid '{book_uuid}'")
            return self._book(conn, row, lazy)

    def get_logbooks(self, lazy: bool = False) -> Iterator[models.LogBook]:
        """Return every book."""
        with self._reader.connect() as conn:
            rows = conn.execute(sa.select(schema.books).order_by(schema.books.c.id)).all()
            yield from [self._book(conn, row, lazy) for row in rows]

    def get_flows_for_book(self, book_uuid: str, lazy: bool = False) -> Iterator[Any]:
        """Return the flows of a book."""
        with self._reader.connect() as conn:
            yield from self._flows(conn, book_uuid, lazy)

    def get_flow_details(self, fd_uuid: str, lazy: bool = False) -> models.FlowDetail:
        """Return a flow with its steps.

        :raises NotFound: there is none of that id.
        """
        with self._reader.connect() as conn:
            detail = read_flow(conn, fd_uuid)
        if detail is None:
            raise tf_exc.NotFound(f"No flow details found with uuid '{fd_uuid}'")
        return detail

    def get_atom_details(self, ad_uuid: str) -> models.AtomDetail:
        """Return a step.

        :raises NotFound: there is none of that id.
        """
        with self._reader.connect() as conn:
            found = self._step(conn, ad_uuid)
        if found is None:
            raise tf_exc.NotFound(f"No atom details found with uuid '{ad_uuid}'")
        return found

    def get_atoms_for_flow(self, fd_uuid: str) -> Iterator[models.AtomDetail]:
        """Return the steps of a flow, in its order."""
        yield from self.get_flow_details(fd_uuid)

    def _book(self, conn: sa.Connection, row: Any, lazy: bool) -> models.LogBook:
        book = models.LogBook(row.name, row.id)
        book.meta = json.loads(row.meta)
        for flow in () if lazy else self._flows(conn, row.id, lazy):
            book.add(flow)
        return book

    def _flows(self, conn: sa.Connection, book_id: str, lazy: bool) -> list[models.FlowDetail]:
        query = sa.select(schema.flows).where(schema.flows.c.book_id == book_id)
        rows = conn.execute(query.order_by(schema.flows.c.id)).all()
        if lazy:
            return [_flow(row) for row in rows]
        return [flow for row in rows if (flow := read_flow(conn, row.id)) is not None]

    def _step(self, conn: sa.Connection, step_id: str) -> models.AtomDetail | None:
        row = conn.execute(sa.select(schema.steps).where(schema.steps.c.id == step_id)).first()
        return None if row is None else _step(row)

    def _save(self, conn: sa.Connection, flow: models.FlowDetail, book_id: str) -> None:
        self._rows.flow.execute(conn, [flow_row(flow, book_id)])
        rows = [step_row(atom, flow.uuid, position) for position, atom in enumerate(flow)]
        self._rows.step.execute(conn, rows)

    def _write(self, call: Any) -> None:
        def transaction() -> None:
            with self._engine.begin() as conn:
                call(conn)

        database.patiently("the journal cannot be written", transaction)


class Backend(base.Backend):
    """TaskFlow's view of a journal, with one connection for all callers and threads."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__({"connection": "journal"})
        self._connection = Connection(self, engine)

    def get_connection(self) -> Connection:
        """Return the connection; closing it does nothing."""
        return self._connection

    def close(self) -> None:
        """Do nothing: the engine belongs to the journal."""


def forget_book(conn: sa.Connection, book_id: str) -> None:
    """Delete the flows of a book and their steps."""
    flows = sa.select(schema.flows.c.id).where(schema.flows.c.book_id == book_id)
    conn.execute(sa.delete(schema.steps).where(schema.steps.c.flow_id.in_(flows)))
    conn.execute(sa.delete(schema.flows).where(schema.flows.c.book_id == book_id))


def _flow(row: Any) -> models.FlowDetail:
    detail = models.FlowDetail(row.name, row.id)
    detail.state, detail.meta = row.state, json.loads(row.meta)
    return detail


def _step(row: Any) -> models.AtomDetail:
    if row.kind == "retry":
        plain = {
            "name": row.name, "uuid": row.id, "state": row.state, "intention": row.intention,
            "version": _load_version(row.version), "meta": json.loads(row.meta),
            "results": _load(row.results) or [], "failure": _load(row.failure),
            "revert_results": _load(row.revert_results),
            "revert_failure": _load(row.revert_failure),
        }  # fmt: skip
        return models.RetryDetail.from_dict(plain)
    detail = models.TaskDetail(row.name, row.id)
    detail.state, detail.intention = row.state, row.intention
    detail.version, detail.meta = _load_version(row.version), json.loads(row.meta)
    detail.results, detail.revert_results = _load(row.results), _load(row.revert_results)
    detail.failure, detail.revert_failure = _failure(row.failure), _failure(row.revert_failure)
    return detail


def _dump(value: Any) -> str | None:
    return None if value is None else _encode(value)


_encode = functools.partial(json.dumps, separators=(",", ":"), default=str)


def _load(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _plain(found: failure.Failure | None) -> dict[str, Any] | None:
    """Return a failure without the arguments of its exceptions, which may be anything."""
    if found is None:
        return None
    plain: dict[str, Any] = found.to_dict(include_args=False)
    return {**plain, "causes": [_plain(cause) for cause in found.causes]}


def _failure(text: str | None) -> failure.Failure | None:
    return None if text is None else failure.Failure.from_dict(json.loads(text))


def _version(version: Any) -> str:
    return version if isinstance(version, str) else _encode(version)


def _load_version(text: str) -> Any:
    return tuple(json.loads(text)) if text.startswith("[") else text
