"""The journal keeps its promises on PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time

import pytest
import sqlalchemy as sa
from alembic import autogenerate, migration
from taskflow import engines, task
from taskflow.patterns import linear_flow
from taskflow.persistence import models

from tests.durable.scene import until
from tests.unit.engine_toy import ToyCloud, make_engine, make_plan
from upgrade_flows import errors
from upgrade_flows.engine import database as journal_database
from upgrade_flows.engine import schema
from upgrade_flows.engine.migrations import run as migrate
from upgrade_flows.engine.scheduler import Job, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State

KINDS = ("postgresql", "mariadb")


@pytest.fixture(params=KINDS)
def new(request, database):
    """Return a function that makes a new, empty database and returns its URL."""
    return lambda: database(request.param)


@pytest.fixture
def journal(new, tmp_path):
    journal = Journal.open(new(), tmp_path / "key")
    yield journal
    journal.close()


def take(journal: Journal, run: str, subject: str, keeper):
    return journal.claims.take(run, Job(subject, Work.CHANGE), keeper, 1.0)


def dead(journal: Journal, owner: str):
    """Return the keeper of an owner that was never heard of."""
    return journal.keeper(owner)


def test_what_is_created_and_what_migrations_lead_to_is_what_the_code_knows(new):
    created, migrated = journal_database.connect(new()), sa.create_engine(new())
    migrate.upgrade(migrated)
    for engine in (created, migrated):
        with engine.connect() as conn:
            context = migration.MigrationContext.configure(conn, opts={"compare_type": True})
            assert autogenerate.compare_metadata(context, schema.metadata) == []
            assert context.get_current_revision() == schema.REVISIONS[-1]
    assert tables_of(created) == tables_of(migrated)
    created.dispose()
    migrated.dispose()


def tables_of(engine: sa.Engine) -> dict[str, list[str]]:
    """Return all that a database knows of its tables."""
    found = sa.MetaData()
    found.reflect(engine)
    return {
        table.name: sorted(
            [f"{c.name} {c.type!r} {c.nullable} {c.primary_key}" for c in table.columns]
            + [f"{index.name} {index.columns.keys()}" for index in table.indexes]
            + [f"{key.column} {key.parent}" for key in table.foreign_keys]
        )
        for table in found.sorted_tables
    }


def test_processes_that_open_an_empty_database_at_once_do_not_meet(new, tmp_path):
    url, start, failed = new(), threading.Barrier(6), []

    def open_it() -> None:
        start.wait()
        try:
            Journal.open(url, tmp_path / "key").close()
        except errors.JournalError as exc:
            failed.append(exc)

    in_threads(6, open_it)
    assert failed == []


@pytest.mark.parametrize("runs", [1, 8])
def test_of_eight_that_want_a_subject_at_once_one_gets_it(journal, runs):
    names = [journal.create_run(make_plan("a")) for _ in range(runs)]
    got, busy, start = [], [], threading.Barrier(8)

    def want(number: int) -> None:
        with journal.keeper(f"owner{number}") as keeper:
            start.wait()
            try:
                got.append(take(journal, names[number % runs], "a", keeper))
            except errors.SubjectBusy as exc:
                busy.append(exc)
            start.wait()  # nobody leaves before all have tried

    in_threads(8, want, *range(8))
    assert len([taken for taken in got if taken]) == 1
    assert len(busy) + len(got) == 8


def in_threads(count: int, call, *numbers: int) -> None:
    """Call in threads, with numbers or without, and wait for all."""
    args = [(number,) for number in numbers] or [()] * count
    threads = [threading.Thread(target=call, args=one) for one in args]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_lease_whose_owner_is_not_heard_of_is_taken_and_serves_no_more(journal):
    run = journal.create_run(make_plan("a"))
    me = journal.keeper("me", ttl_s=0.7)
    me.renew()  # once, and never again
    lost = journal.ledger(take(journal, run, "a", me), time.time)
    with journal.keeper("you") as you:
        with pytest.raises(errors.SubjectBusy, match="owner me"):
            take(journal, run, "a", you)

        def taken():
            with contextlib.suppress(errors.SubjectBusy):
                return take(journal, run, "a", you)

        found = until("the lease is stale", taken, 5)
        lost.event("started", step="x")
        for record in (lost.commit, lambda: lost.end(State.CHANGED)):
            with pytest.raises(errors.SubjectBusy, match="is lost"):
                record()
        assert journal.events(run) == ()
        journal.ledger(found, time.time).end(State.CHANGED, work="")
    assert journal.subject(run, "a").state is State.CHANGED


def test_the_servers_clock_decides_whatever_the_hosts_clocks_say(journal, new, tmp_path):
    run = journal.create_run(make_plan("a"))
    early = Journal(journal.engine)
    early.now = lambda: time.time() - 3600
    late = Journal(journal.engine)
    late.now = lambda: time.time() + 3600
    me = early.keeper("me", ttl_s=0.7)
    me.renew()
    assert take(early, run, "a", me)
    with late.keeper("you") as you:
        with pytest.raises(errors.SubjectBusy, match="owner me"):
            take(late, run, "a", you)

        def taken():
            with contextlib.suppress(errors.SubjectBusy):
                return take(late, run, "a", you)

        until("the owner is stale", taken, 5)
        with journal.keeper("third") as third, pytest.raises(errors.SubjectBusy, match="owner you"):
            take(journal, run, "a", third)


def test_the_servers_clock_goes_on_evenly_when_summer_ends(mariadb, database):
    zone = "Europe/Berlin"
    convert = shutil.which("mariadb-tzinfo-to-sql") or shutil.which("mysql_tzinfo_to_sql")
    mariadb.query("USE mysql; " + mariadb.run([convert, f"/usr/share/zoneinfo/{zone}", zone]))
    engine = sa.create_engine(database("mariadb"))
    query = sa.select(journal_database.current_time(engine, time.time))
    with engine.connect() as conn:
        conn.exec_driver_sql(f"SET time_zone = '{zone}'")
        # 2026-10-25, when the clocks show the hour from two to three for the second time
        moments = [1792886400.5 + 600 * number for number in range(18)]
        for moment in moments:
            conn.exec_driver_sql(f"SET timestamp = {moment}")
            assert conn.execute(query).scalar() == moment
    engine.dispose()


def test_a_transaction_that_stood_still_for_too_long_is_made_again(new, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_database, "STILL_S", 1)
    journal = Journal.open(new(), tmp_path / "key")
    run = journal.create_run(make_plan("a"))
    pauses = [1.5, 0.0]

    def change() -> None:
        with journal.engine.begin() as conn:
            conn.execute(sa.update(schema.runs).values(moves="back"))
            time.sleep(pauses.pop(0))
            conn.execute(sa.update(schema.runs).values(withdrawn=True))

    journal_database.patiently("it cannot be changed", change)
    assert pauses == []
    assert (journal.run(run).moves, journal.run(run).withdrawn) == ("back", True)
    journal.close()


def test_a_subject_whose_workers_die_without_progress_is_quarantined(journal):
    run, journal.claims.most_tries = journal.create_run(make_plan("a")), 5
    for number in range(5):
        taken = take(journal, run, "a", dead(journal, f"owner{number}"))
        ledger = journal.ledger(taken, time.time)
        ledger.event("started", step="poison:a")
        ledger.commit()
    assert take(journal, run, "a", dead(journal, "last")) is None
    record = journal.subject(run, "a")
    assert record.state is State.QUARANTINED
    assert record.error == "the process that worked on it ended 5 times during poison:a"


def test_purging_forgets_what_is_over_and_keeps_the_rest(journal, tmp_path):
    engine = make_engine(journal, ToyCloud(tmp_path / "cloud"))
    settled, changed = engine.start(make_plan("a")), engine.start(make_plan("b"))
    for run in (settled, changed):
        engine.run(run)
    engine.commit(settled)
    assert journal.purge(before=time.time() + 1) == (settled,)
    assert [run.id for run in journal.runs()] == [changed]
    with journal.engine.connect() as conn:
        for table, rows in (("books", 1), ("flows", 1), ("steps", 5), ("subjects", 1)):
            assert conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == rows


def test_results_of_a_megabyte_in_any_script_come_back_as_they_were(journal, tmp_path):
    cloud = ToyCloud(tmp_path / "cloud")
    engine = make_engine(journal, cloud)
    name = "Größe 東京 🚀"
    value = {"ascii": "x" * 1_000_000, "said": "naïve \\ ' \" % : 漢字 🚀\n\t", "": [1, -2.5, None]}
    cloud.orders[f"do:left-{name}", "return"] = value
    run = engine.start(make_plan(name))
    assert engine.run(run) == "changed"
    stored = {atom.name: atom.results for atom in journal.flow(run, name, "change")}
    assert stored[f"do:left-{name}"] == value
    assert engine.rollback(run) == "undone"
    assert json.loads(json.dumps(value)) == value


def test_subjects_with_long_names_are_changed_and_undone(journal, tmp_path):
    engine = make_engine(journal, ToyCloud(tmp_path / "cloud"))
    names = ("x" * 255, "x" * 254 + "y")
    run = engine.start(make_plan(*names))
    assert engine.run(run) == "changed"
    assert list(journal.subjects(run)) == list(names)
    assert engine.rollback(run) == "undone"


def test_subjects_that_differ_in_case_or_accent_only_are_two(journal, tmp_path):
    engine = make_engine(journal, ToyCloud(tmp_path / "cloud"))
    run = engine.start(make_plan("host", "HOST", "höst", at_a_time=2))
    assert engine.run(run) == "changed"
    assert list(journal.subjects(run)) == ["host", "HOST", "höst"]


class Say(task.Task):
    """A task of somebody else, which provides its name."""

    def __init__(self, name: str, said: list[str]) -> None:
        super().__init__(name, provides=f"{name}-said")
        self.said = said

    def execute(self):
        self.said.append(self.name)
        return self.name


def test_taskflows_own_engine_runs_on_the_journal_and_is_resumed_from_it(journal, tmp_path):
    said: list[str] = []

    def load(detail_id: str | None):
        flow = linear_flow.Flow("f").add(*(Say(name, said) for name in ("one", "two", "three")))
        with contextlib.closing(journal.backend.get_connection()) as conn:
            if detail_id is None:
                book = models.LogBook("theirs")
                detail = models.FlowDetail("f", "8d8a9a2e-8a0c-4f6e-9a55-0a4ea2c6d001")
                book.add(detail)
                conn.save_logbook(book)
            else:
                detail = conn.get_flow_details(detail_id)
        return engines.load(flow, flow_detail=detail, backend=journal.backend)

    first = load(None)
    first.compile()
    first.prepare()
    for _ in first.run_iter():
        if said == ["one", "two"]:
            break  # as if killed: the rest of it is never run
    second = load("8d8a9a2e-8a0c-4f6e-9a55-0a4ea2c6d001")
    second.run()
    assert said in (["one", "two", "three"], ["one", "two", "two", "three"])
    assert second.storage.fetch_all() == {f"{n}-said": n for n in ("one", "two", "three")}
