"""The journal: how it is opened, what it keeps, who may work on what."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from tests.unit.engine_toy import ToyCloud, make_engine, make_plan, open_journal
from upgrade_flows import errors
from upgrade_flows.engine import leases, persistence
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import Residue, State


@pytest.fixture
def journal(tmp_path):
    journal = open_journal(tmp_path)
    yield journal
    journal.close()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_journal_and_its_folder_are_for_its_owner_only(tmp_path):
    old = os.umask(0)
    try:
        journal = Journal.open(f"sqlite:///{tmp_path}/new/journal.db")
        journal.create_run(make_plan("a"))
        assert mode(tmp_path / "new") == 0o700
        for suffix in ("", "-wal", "-shm"):
            assert mode(tmp_path / f"new/journal.db{suffix}") == 0o600
        journal.close()
    finally:
        os.umask(old)


def test_an_open_journal_file_is_closed_to_others(tmp_path):
    (tmp_path / "journal.db").touch(mode=0o644)
    open_journal(tmp_path).close()
    assert mode(tmp_path / "journal.db") == 0o600


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not one: use sqlite:////"),
        ("sqlite://", "must outlive the process"),
        ("sqlite:////proc/nowhere/journal.db", "name another file"),
        ("oracle+nodriver://u:secret@h/db", "needs a driver"),
    ],
)
def test_a_journal_that_cannot_be_used_says_what_to_do(url, says):
    with pytest.raises(errors.JournalError, match=says) as caught:
        Journal.open(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"my shopping list" * 1000)
    with pytest.raises(errors.JournalError, match="restore it from a backup"):
        open_journal(tmp_path)
    assert path.read_bytes() == b"my shopping list" * 1000


def test_a_journal_of_a_newer_version_is_refused(tmp_path):
    open_journal(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("UPDATE journal_version SET version = 99")
    db.close()
    with pytest.raises(errors.JournalError, match="has schema 99, this upgrade_flows knows 1"):
        open_journal(tmp_path)


def test_taskflows_tables_have_an_index_on_their_parents(journal):
    inspector = sa.inspect(journal.engine)
    for table in ("atomdetails", "flowdetails"):
        assert ["parent_uuid"] in [i["column_names"] for i in inspector.get_indexes(table)]


def test_runs_are_listed_newest_first_with_their_plans(journal):
    times = iter([1000.0, 2000.0])
    journal.now = lambda: next(times)
    plan = make_plan("a", "b")
    first, second = journal.create_run(plan), journal.create_run(plan)
    assert [run.id for run in journal.runs()] == [second, first]
    assert journal.run(first).plan == plan
    with pytest.raises(errors.RequestError, match="no run 'x'"):
        journal.run("x")


def test_a_subjects_record_comes_back_as_it_was_put(journal):
    run = journal.create_run(make_plan("b", "a"))
    left = Residue("step", "call()", "no")
    journal.update_subject(run, "a", state=State.RESIDUE, result={"x": [1]}, residue=(left,))
    assert list(journal.subjects(run)) == ["b", "a"]
    record = journal.subject(run, "a")
    assert (record.state, record.result, record.residue) == (State.RESIDUE, {"x": [1]}, (left,))


def test_purging_forgets_what_is_over_and_keeps_what_can_be_taken_back(journal, tmp_path):
    engine = make_engine(journal, ToyCloud(tmp_path / "cloud"))
    settled, changed = engine.start(make_plan("a")), engine.start(make_plan("b"))
    for run in (settled, changed):
        engine.run(run)
    engine.commit(settled)
    assert journal.purge(before=0.0) == ()
    assert journal.purge(before=time.time() + 1) == (settled,)
    assert [run.id for run in journal.runs()] == [changed]
    with journal.engine.connect() as conn:
        for table, rows in (("logbooks", 1), ("flowdetails", 1), ("atomdetails", 5)):
            assert conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == rows


def test_two_runs_cannot_take_the_same_subject(journal):
    mine, other = journal.create_run(make_plan("a", "b")), journal.create_run(make_plan("b", "c"))
    with journal.lease(["a", "b"], "me", mine):
        with pytest.raises(errors.SubjectBusy, match=f"b is being .* by run {mine} .owner me"):
            journal.lease(["c", "b"], "you", other)
        journal.lease(["c"], "you", other).release()  # all or nothing: c was not kept
    journal.lease(["b", "c"], "you", other).release()


def test_of_many_that_want_a_subject_at_the_same_time_one_gets_it(journal):
    run = journal.create_run(make_plan("a"))
    got, start = [], threading.Barrier(8)

    def want(owner):
        start.wait()
        with contextlib.suppress(errors.SubjectBusy):
            got.append(journal.lease(["a"], owner, run))

    threads = [threading.Thread(target=want, args=(f"owner{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()


def test_a_stale_lease_is_taken_over_and_its_first_owner_notices(journal):
    first, second = journal.create_run(make_plan("a")), journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    lost = journal.lease(["a"], "me", first, ttl_s=60)
    now[0] += 61
    taken = journal.lease(["a"], "you", second, ttl_s=60)
    lost.renew()
    with pytest.raises(errors.SubjectBusy, match="you took a"):
        lost.check()
    taken.check()
    lost.release()
    with pytest.raises(errors.SubjectBusy, match=f"run {second}"):
        journal.lease(["a"], "me", first)  # the release took nothing of the new owner's
    taken.release()


def test_a_lease_that_was_not_renewed_in_time_is_not_trusted(journal):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    lease = journal.lease(["a"], "me", run, ttl_s=60)
    now[0] += 60
    with pytest.raises(errors.SubjectBusy, match="not renewed in time"):
        lease.check()
    lease.release()


def test_a_lease_is_renewed_while_its_process_lives(journal):
    run = journal.create_run(make_plan("a"))
    with journal.lease(["a"], "me", run, ttl_s=0.4) as lease:
        time.sleep(1.0)
        lease.check()
        with pytest.raises(errors.SubjectBusy):
            journal.lease(["a"], "you", run)


def test_the_lease_of_a_process_that_is_gone_is_stale_at_once(journal):
    run = journal.create_run(make_plan("a"))
    code = "from upgrade_flows.engine import leases; print(leases.process_owner())"
    said = subprocess.run(  # its name, from a process that has ended
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    dead = said.stdout.strip()
    assert leases.gone(dead)
    assert not leases.gone(leases.process_owner())
    assert not leases.gone("somebody else")
    old = journal.lease(["a"], dead, run)
    journal.lease(["a"], leases.process_owner(), run).release()
    old.release()


def test_a_subject_that_is_unfinished_in_another_run_is_refused(journal):
    first, second = journal.create_run(make_plan("a")), journal.create_run(make_plan("a"))
    journal.update_subject(first, "a", state=State.PARKED)
    with pytest.raises(errors.SubjectBusy, match=f"a is parked in run {first}"):
        journal.lease(["a"], "me", second)
    journal.lease(["a"], "me", first).release()


def test_a_run_that_loses_its_lease_stops_before_its_next_step(journal, tmp_path):
    cloud = ToyCloud(tmp_path / "cloud")
    engine = make_engine(journal, cloud)
    run = engine.start(make_plan("a"))

    def lose():
        with journal.engine.begin() as conn:
            conn.execute(sa.text("UPDATE leases SET owner = 'you'"))
        late[0] = 120.0

    late = [0.0]
    real = journal.now
    journal.now = lambda: real() + late[0]
    cloud.orders["restore:a", "do"] = lose
    with pytest.raises(errors.SubjectBusy, match="is lost"):
        engine.run(run)
    assert cloud.deeds == ["observe:a do", "restore:a do"]
    atoms = {atom.name: atom.state for atom in journal.flow(run, "a", "change")}
    assert atoms["restore:a"] == "RUNNING"  # whoever goes on looks after it


def test_a_locked_database_is_waited_for_and_given_up_on_in_the_end(journal, monkeypatch):
    monkeypatch.setattr(persistence, "PATIENCE_S", 0.3)
    run = journal.create_run(make_plan("a"))
    journal.engine.dispose()  # new connections wait for less than the usual half minute
    sa.event.listen(
        journal.engine, "connect", lambda conn, _: conn.execute("PRAGMA busy_timeout=50")
    )
    blocker = sqlite3.connect(journal.engine.url.database)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.JournalError, match=r"the journal cannot be written: .*locked"):
        journal.update_subject(run, "a", state=State.PARKED)
    blocker.rollback()
    blocker.close()
    journal.update_subject(run, "a", state=State.PARKED)


def test_a_lock_that_goes_away_is_not_noticed(journal):
    run = journal.create_run(make_plan("a"))
    blocker = sqlite3.connect(journal.engine.url.database, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, blocker.rollback)
    timer.start()
    journal.update_subject(run, "a", state=State.PARKED)
    timer.join()
    blocker.close()
    assert journal.subject(run, "a").state is State.PARKED


def test_two_engines_cannot_work_on_one_run(journal, tmp_path):
    cloud = ToyCloud(tmp_path / "cloud")
    engine, other = make_engine(journal, cloud), make_engine(journal, cloud)
    run = engine.start(make_plan("a"))
    refused = []

    def try_too():
        with pytest.raises(errors.SubjectBusy) as caught:
            other.resume(run)
        refused.append(str(caught.value))

    cloud.orders["restore:a", "do"] = try_too
    assert engine.run(run) == "changed"
    assert f"by run {run}" in refused[0]
