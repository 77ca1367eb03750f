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
from alembic import autogenerate, migration

from tests.unit.engine_toy import ToyCloud, make_engine, make_plan, open_journal
from upgrade_flows import errors
from upgrade_flows.engine import database, leases, schema
from upgrade_flows.engine.migrations import run as migrate
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.scheduler import Job, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import Residue, State
from upgrade_flows.steps.vault import Vault


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
        ("postgresql//u:secret@h/db", r"'postgresql//\*\*\*@h/db' is not one"),
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
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    with pytest.raises(errors.JournalError, match="has schema 9999, this upgrade_flows knows 0"):
        open_journal(tmp_path)


def test_a_journal_from_before_the_first_release_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("CREATE TABLE journal_version (version INTEGER)")
    db.close()
    with pytest.raises(errors.JournalError, match="written before the first release"):
        open_journal(tmp_path)


def test_migrations_lead_to_the_tables_that_the_code_knows(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/migrated.db")
    migrate.upgrade(engine)
    with engine.connect() as conn:
        context = migration.MigrationContext.configure(conn, opts={"compare_type": True})
        assert autogenerate.compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISIONS[-1]
    engine.dispose()


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
        for table, rows in (("books", 1), ("flows", 1), ("steps", 5)):
            assert conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == rows


@pytest.fixture
def keepers(journal):
    """Return a function that makes a keeper of that owner; all are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda owner, **options: stack.enter_context(journal.keeper(owner, **options))


def take(journal, run, subject, keeper, work=Work.CHANGE):
    return journal.claims.take(run, Job(subject, work), keeper, 1.0)


def let_go(journal, taken, state=State.UNDONE):
    journal.ledger(taken, time.time).end(state, work="")


def test_two_runs_cannot_take_the_same_subject(journal, keepers):
    first, second = (journal.create_run(make_plan("a", "b", at_a_time=2)) for _ in "12")
    me, you = keepers("me"), keepers("you")
    taken = take(journal, first, "a", me)
    with pytest.raises(errors.SubjectBusy, match=f"a is being .* by run {first} .owner me"):
        take(journal, second, "a", you)
    assert take(journal, second, "b", you)
    let_go(journal, taken)
    assert take(journal, second, "a", you)


def test_a_subject_whose_turn_it_is_not_is_not_taken(journal, keepers):
    run = journal.create_run(make_plan("a", "b"))
    me, you = keepers("me"), keepers("you")
    assert take(journal, run, "b", you) is None
    assert take(journal, run, "a", me)
    assert take(journal, run, "b", you) is None  # the window is full


def test_of_many_that_want_a_subject_at_the_same_time_one_gets_it(journal, keepers):
    runs = [journal.create_run(make_plan("a")) for _ in range(8)]
    got, start = [], threading.Barrier(8)
    owners = [keepers(f"owner{n}") for n in range(8)]

    def want(run, keeper):
        start.wait()
        with contextlib.suppress(errors.SubjectBusy):
            got.append(take(journal, run, "a", keeper))

    threads = [threading.Thread(target=want, args=pair) for pair in zip(runs, owners, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_a_stale_lease_is_taken_over_and_its_first_owner_can_record_nothing(journal, keepers):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    lost = take(journal, run, "a", keepers("me", ttl_s=60))
    stale = journal.ledger(lost, time.time)
    now[0] += 59
    you = keepers("you", ttl_s=60)
    with pytest.raises(errors.SubjectBusy, match="owner me"):
        take(journal, run, "a", you)
    now[0] += 2
    taken = take(journal, run, "a", you)
    stale.event("started", step="x")
    for record in (stale.commit, lambda: stale.end(State.CHANGED)):
        with pytest.raises(errors.SubjectBusy, match="is lost"):
            record()
    assert journal.events(run) == ()
    let_go(journal, taken)
    assert journal.subject(run, "a").state is State.UNDONE


def test_a_lease_that_comes_back_to_its_owner_does_not_serve_its_older_self(journal, keepers):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    me, you = keepers("me", ttl_s=60), keepers("you", ttl_s=60)
    old = journal.ledger(take(journal, run, "a", me), time.time)
    now[0] += 61
    you.renew()
    taken = take(journal, run, "a", you)
    journal.ledger(taken, time.time).end(State.PARKED)
    me.renew()
    assert take(journal, run, "a", me)
    with pytest.raises(errors.SubjectBusy, match="is lost"):
        old.commit() or old.end(State.CHANGED)


def test_an_owner_renews_nothing_of_anybody_else(journal, keepers):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    me, you = keepers("me", ttl_s=60), keepers("you", ttl_s=60)
    take(journal, run, "a", me)
    now[0] += 61
    you.renew()
    take(journal, run, "a", you)
    now[0] += 59
    me.renew()  # it was stopped for a while, and goes on
    now[0] += 2
    assert take(journal, run, "a", keepers("third"))  # you was not heard of for 61 s


def test_an_owner_is_kept_alive_while_its_process_lives(journal, keepers):
    run = journal.create_run(make_plan("a"))
    take(journal, run, "a", keepers("me", ttl_s=0.4))
    you = keepers("you")
    time.sleep(1.0)
    with pytest.raises(errors.SubjectBusy):
        take(journal, run, "a", you)


def test_the_lease_of_a_process_that_is_gone_is_stale_at_once(journal, keepers):
    run = journal.create_run(make_plan("a"))
    code = "from upgrade_flows.engine import leases; print(leases.process_owner())"
    said = subprocess.run(  # its name, from a process that has ended
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    dead = said.stdout.strip()
    assert leases.gone(dead)
    assert not leases.gone(leases.process_owner())
    assert not leases.gone("somebody else")
    take(journal, run, "a", keepers(dead))
    assert take(journal, run, "a", keepers("me"))


def test_a_subject_that_is_unfinished_in_another_run_is_refused(journal, keepers):
    first, second = journal.create_run(make_plan("a")), journal.create_run(make_plan("a"))
    journal.update_subject(first, "a", state=State.PARKED)
    with pytest.raises(errors.SubjectBusy, match=f"a is parked in run {first}"):
        take(journal, second, "a", keepers("me"))
    assert take(journal, first, "a", keepers("you"))


def test_a_subject_whose_workers_die_again_and_again_is_quarantined_with_the_reason(
    journal, keepers
):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now, journal.claims.most_tries = lambda: now[0], 5

    def die(number):
        """Be a process that dies in the middle of its second step."""
        now[0] += 61
        taken = take(journal, run, "a", keepers(f"owner{number}", ttl_s=60))
        if taken is not None:
            ledger = journal.ledger(taken, time.time)
            ledger.event("started", step="poison:a")
            ledger.commit()
        return taken

    assert all(die(number) for number in range(5))
    assert die(99) is None
    record = journal.subject(run, "a")
    assert record.state is State.QUARANTINED
    assert record.error == "the process that worked on it ended 5 times during poison:a"
    assert not journal.claims.decide(run).jobs

    Orders(journal, "toy").resume(run)
    assert journal.subject(run, "a").state is State.PARKED
    assert die(100)


def test_whoever_has_an_operator_at_hand_sets_nobody_aside(journal, keepers):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now = lambda: now[0]
    for number in range(12):
        now[0] += 61
        taken = take(journal, run, "a", keepers(f"owner{number}", ttl_s=60))
        ledger = journal.ledger(taken, time.time)
        ledger.event("started", step="poison:a")
        ledger.commit()
    assert journal.subject(run, "a").state is State.CHANGING


def test_deaths_between_which_work_goes_on_do_not_quarantine(journal, keepers):
    run = journal.create_run(make_plan("a"))
    now = [1000.0]
    journal.now, journal.claims.most_tries = lambda: now[0], 5
    for number in range(12):
        now[0] += 61
        taken = take(journal, run, "a", keepers(f"owner{number}", ttl_s=60))
        ledger = journal.ledger(taken, time.time)
        ledger.event("finished", step=f"step{number}:a")
        ledger.commit()


def test_a_run_that_loses_its_lease_stops_before_its_next_step(journal, tmp_path):
    cloud = ToyCloud(tmp_path / "cloud")
    engine = make_engine(journal, cloud)
    run = engine.start(make_plan("a"))

    def lose():
        with journal.engine.begin() as conn:
            conn.execute(sa.text("UPDATE leases SET owner = 'you', token = 7"))

    cloud.orders["restore:a", "do"] = lose
    with pytest.raises(errors.SubjectBusy, match="is lost"):
        engine.run(run)
    assert cloud.deeds == ["observe:a do", "restore:a do"]
    atoms = {atom.name: atom.state for atom in journal.flow(run, "a", "change")}
    assert atoms["restore:a"] == "RUNNING"  # whoever goes on looks after it


def test_what_is_wanted_otherwise_meanwhile_recalls_the_lease(journal, keepers):
    run = journal.create_run(make_plan("a"))
    me = keepers("me")
    taken = take(journal, run, "a", me)
    me.look()
    assert not taken.lease.recalled
    Orders(journal, "toy").pause(run)
    me.look()
    assert taken.lease.recalled


def test_a_locked_database_is_waited_for_and_given_up_on_in_the_end(journal, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_S", 0.3)
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


def test_of_many_that_make_the_key_at_once_all_have_the_same(tmp_path):
    start, found = threading.Barrier(8), []

    def make():
        start.wait()
        found.append(Vault.at(tmp_path / "key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = found[0].seal("secret")
    assert [vault.open(sealed) for vault in found] == ["secret"] * 8
    assert mode(tmp_path / "key") == 0o600
    assert os.listdir(tmp_path) == ["key"]
