"""What is asked for every step, and whenever a subject is taken, is found by an index."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.durable.toy import FORWARD
from tests.unit.engine_toy import ToyCloud, capability, make_plan
from upgrade_flows.engine import database as journal_database
from upgrade_flows.engine import schema
from upgrade_flows.engine.runner import Manner
from upgrade_flows.engine.scheduler import Job, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools, Worker
from upgrade_flows.steps.base import Settings

#: subjects of a run that is over, and of one that is under way
MANY = 2500

#: tables that grow with the runs
LARGE = {"subjects", "leases", "events", "flows", "steps"}


@pytest.fixture(params=["postgresql", "mariadb"])
def journal(request, database, tmp_path):
    journal = Journal.open(database(request.param), tmp_path / "key")
    yield journal
    journal.close()


def filled(journal: Journal) -> str:
    """Have the rows of two large runs in a journal; return the one that is under way."""
    over = journal.create_run(make_plan(*(f"old{n}" for n in range(MANY)), at_a_time=10))
    run = journal.create_run(make_plan(*(f"new{n}" for n in range(MANY)), at_a_time=10))
    places = " UNION ALL ".join(f"SELECT {place} AS n" for place in range(8))
    with journal.engine.begin() as conn:
        for statement in (
            "UPDATE subjects SET state = 'changed', work = '' WHERE run_id = :over",
            "INSERT INTO flows (id, book_id, name, state, meta)"
            " SELECT MD5(subject), 'book', 'change', 'SUCCESS', '{}'"
            " FROM subjects WHERE run_id = :over",
            "INSERT INTO steps (id, flow_id, position, name, kind, state, version, meta)"
            " SELECT CONCAT(MD5(s.subject), p.n), MD5(s.subject), p.n, CONCAT(p.n, s.subject),"
            " 'task', 'SUCCESS', '1.0', '{}'"
            f" FROM subjects s CROSS JOIN ({places}) p WHERE s.run_id = :over",
            "INSERT INTO events (run_id, time, subject, step, what, detail, owner)"
            " SELECT s.run_id, 1.0, s.subject, CONCAT(p.n, s.subject), 'finished', '', 'other'"
            f" FROM subjects s CROSS JOIN ({places}) p WHERE s.run_id = :over",
            "INSERT INTO leases (cloud_id, subject, run_id, owner, token)"
            " SELECT 'another', subject, run_id, CONCAT('other', subject), position"
            " FROM subjects WHERE run_id = :over",
        ):
            conn.execute(sa.text(statement), {"over": over})
    with journal_database.reader(journal.engine).connect() as conn:
        tables = [table.name for table in schema.metadata.sorted_tables]
        if journal.engine.dialect.name == "postgresql":
            conn.exec_driver_sql("ANALYZE")
        else:
            conn.exec_driver_sql(f"ANALYZE TABLE {', '.join(tables)}").all()
    return run


@contextlib.contextmanager
def watched(journal: Journal) -> Iterator[dict[str, Any]]:
    """Yield a dict that fills with the statements that a journal makes, and parameters."""
    found: dict[str, Any] = {}

    def note(_conn, _cursor, statement, parameters, _context, many) -> None:
        found.setdefault(statement, parameters[0] if many else parameters)

    both = (journal.engine, journal_database.reader(journal.engine))
    for engine in both:
        sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    for engine in both:
        sa.event.remove(engine, "before_cursor_execute", note)


def read_whole(journal: Journal, statement: str, parameters: Any) -> set[str]:
    """Return the tables that a statement reads from the first row to the last."""
    with journal_database.reader(journal.engine).connect() as conn:
        if journal.engine.dialect.name == "postgresql":
            query = f"EXPLAIN (FORMAT JSON) {statement}"
            plan = conn.exec_driver_sql(query, parameters).scalar()
            return {
                node["Relation Name"] for node in nodes(plan) if "Seq Scan" in node["Node Type"]
            }
        rows = conn.exec_driver_sql(f"EXPLAIN FORMAT=JSON {statement}", parameters).scalar()
        return {
            node["table_name"]
            for node in nodes(json.loads(rows))
            if node.get("access_type") in ("ALL", "index")
        }


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a plan that read a table."""
    if isinstance(plan, list):
        for part in plan:
            yield from nodes(part)
    elif isinstance(plan, dict):
        if "Relation Name" in plan or "table_name" in plan:
            yield plan
        for part in plan.values():
            yield from nodes(part)


def test_taking_a_subject_and_recording_its_steps_reads_no_table_from_end_to_end(journal, tmp_path):
    run = filled(journal)
    capability.MODULES["toy"] = "tests.unit.engine_toy"
    tools = Tools(ToyCloud(tmp_path / "cloud"), None, Settings(), journal.vault)
    with journal.keeper("me") as keeper, watched(journal) as found:
        worker = Worker(journal, tools, keeper, Manner())
        assert worker.do(run, Job("new0", Work.CHANGE)) == "changed"
        journal.update_subject(run, "new1", state="parked")
        taken = journal.claims.take(run, Job("new1", Work.CHANGE), keeper, 1.0)
        keeper.look()
        keeper.forget(taken.lease)  # so that it is taken over, as after a death
        assert worker.do(run, Job("new1", Work.CHANGE)) == "changed"
        journal.update_run(run, ordered=True)
        journal.update_subject(run, "new0", work="undo")
        assert worker.do(run, Job("new0", Work.UNDO)) == "undone"
        journal.claims.decide(run)
        journal.events(run, "new0")
        journal.runs(submitted=True, open_only=True)

    looked = {
        statement: parameters
        for statement, parameters in found.items()
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE")
        and any(f" {table}" in statement for table in LARGE)
    }
    assert any("FROM steps" in statement for statement in looked)
    assert any("FROM events" in statement for statement in looked)
    assert any("FROM leases" in statement for statement in looked)
    assert any("FROM subjects" in statement for statement in looked)
    whole = {
        statement: tables
        for statement, parameters in looked.items()
        if (tables := read_whole(journal, statement, parameters) & LARGE)
    }
    assert whole == {}
    assert len(journal.steps(run, "new0")) == len(FORWARD)
