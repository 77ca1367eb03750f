"""What conductors do with submitted runs; the toy cloud remembers every deed."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections import Counter

import pytest

from tests.unit.board import Listing, MemoryBoard
from tests.unit.engine_toy import ToyCloud, capability, make_plan, open_journal
from upgrade_flows import errors
from upgrade_flows.engine import boards
from upgrade_flows.engine.conductor import Conductor
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.worker import Tools
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Settings

FORWARD = ["observe", "restore", "left", "right", "verify"]


def eventually(condition, seconds=20):
    """Wait for a condition; fail when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


class Place:
    """A journal, a cloud, a board, and the conductors that a test starts."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.journal = open_journal(folder)
        stack.callback(self.journal.close)
        self.cloud = ToyCloud(folder / "cloud")
        self.listing = Listing()
        self.orders = Orders(self.journal, "toy")
        self.seen = []

    def conductor(self, owner="one", journal=None, **options):
        capability.MODULES["toy"] = "tests.unit.engine_toy"
        board = MemoryBoard(self.listing, owner)
        options.setdefault("observer", lambda run, event: self.seen.append((run, event)))
        tools = Tools(self.cloud, None, Settings(), (journal or self.journal).vault)
        conductor = Conductor(journal or self.journal, board, tools, owner=owner, **options)
        thread = threading.Thread(target=conductor.run, daemon=True)
        thread.start()

        def end():
            conductor.stop()
            thread.join(20)
            assert not thread.is_alive()

        conductor.end = end
        self.stack.callback(end)
        return conductor

    def submit(self, plan):
        run = self.orders.start(plan, submitted=True)
        self.post(run)
        return run

    def post(self, run):
        jobs = self.journal.claims.decide(run).jobs
        board = MemoryBoard(self.listing, "command line")
        board.post([boards.Job(run, job.subject, str(job.work)) for job in jobs])

    def state(self, run):
        return self.journal.run(run).state

    def reaches(self, run, state):
        eventually(lambda: self.state(run) == state)


@pytest.fixture
def place(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Place(tmp_path, stack)


def steps_done(cloud):
    return Counter(deed for deed in cloud.deeds)


def test_a_submitted_run_is_changed_and_its_jobs_leave_the_board(place):
    place.conductor()
    run = place.submit(make_plan("a", "b", "c", at_a_time=2))
    place.reaches(run, "changed")
    assert set(steps_done(place.cloud).values()) == {1}
    assert len(place.cloud.deeds) == 15
    eventually(lambda: place.listing.owners == {})
    assert [event.what for r, event in place.seen if not event.subject] == ["changed"]
    assert {event.owner for _, event in place.seen if event.step} == {"one"}


def test_a_job_that_the_board_lost_is_posted_again_by_the_sweep(place):
    run = place.orders.start(make_plan("a"), submitted=True)  # and nobody tells the board
    place.conductor()
    place.reaches(run, "changed")


def test_a_run_that_was_not_submitted_is_left_alone(place):
    run = place.orders.start(make_plan("a"))
    place.conductor()
    time.sleep(0.3)
    assert place.state(run) == "pending"
    assert place.cloud.deeds == []


def test_the_window_holds_across_conductors(place):
    working, most, lock, full = set(), [], threading.Lock(), threading.Event()

    def enter(subject):
        def order():
            with lock:
                working.add(subject)
                most.append(len(working))
                if len(working) == 3:
                    full.set()
            assert full.wait(20)  # more than one conductor alone has room for
            time.sleep(0.02)

        return order

    names = [f"s{number}" for number in range(12)]
    for name in names:
        place.cloud.orders[f"observe:{name}", "do"] = enter(name)
        place.cloud.orders[f"verify:{name}", "do"] = lambda name=name: working.discard(name)
    for owner in ("one", "two", "three"):
        place.conductor(owner, jobs=2)
    run = place.submit(make_plan(*names, at_a_time=3))
    place.reaches(run, "changed")
    assert max(most) == 3
    assert set(steps_done(place.cloud).values()) == {1}
    assert len({event.owner for event in place.journal.events(run) if event.step}) > 1


def test_the_budget_of_failures_holds_across_conductors(place):
    names = [f"s{number}" for number in range(10)]
    for name in names:
        place.cloud.orders[f"verify:{name}", "do"] = fail
    for owner in ("one", "two"):
        place.conductor(owner)
    run = place.submit(make_plan(*names, at_a_time=1, max_failures=2))
    place.reaches(run, "halted")
    states = Counter(record.state for record in place.journal.subjects(run).values())
    assert states == {State.FAILED: 3, State.PENDING: 7}


def fail():
    raise errors.StepFailed("no")


def test_orders_of_an_operator_reach_a_run_that_is_being_worked_on(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    conductor = place.conductor()
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    place.orders.pause(run)
    conductor._keeper.look()  # which it does every second
    go.set()
    place.reaches(run, "parked")
    assert place.cloud.deeds == ["observe:a do", "restore:a do"]

    place.orders.resume(run)
    place.post(run)
    place.reaches(run, "changed")
    place.orders.rollback(run, ["b"])
    place.post(run)
    eventually(lambda: place.journal.subject(run, "b").state is State.UNDONE)
    assert place.journal.subject(run, "a").state is State.CHANGED
    place.reaches(run, "changed")
    place.orders.commit(run)
    place.post(run)
    place.reaches(run, "settled")


def test_a_rollback_turns_round_what_is_being_changed(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    conductor = place.conductor()
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    place.orders.rollback(run)
    conductor._keeper.look()
    go.set()
    place.reaches(run, "undone")
    assert place.cloud.deeds == ["observe:a do", "restore:a do", "restore:a undo", "observe:a undo"]


def test_a_conductor_that_is_told_to_stop_parks_and_gives_back_and_another_goes_on(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    first = place.conductor("one")
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    first.stop()
    assert first.status().stopping
    go.set()
    first.end()
    assert place.journal.subject(run, "a").state is State.PARKED
    assert set(place.listing.owners.values()) == {None}
    place.conductor("two")
    place.reaches(run, "changed")
    assert set(steps_done(place.cloud).values()) == {1}


def test_a_factory_that_fails_is_tried_again_and_quarantined_with_the_reason(place, monkeypatch):
    calls = []

    def change(ctx, action):
        calls.append(action.subject)
        raise ImportError("no module named storage_x")

    monkeypatch.setattr("tests.unit.engine_toy.change", change)
    place.conductor(most_tries=3)
    run = place.submit(make_plan("a", "b"))
    eventually(lambda: place.journal.subject(run, "a").state is State.QUARANTINED)
    assert calls == ["a"] * 3
    error = place.journal.subject(run, "a").error
    assert error == "given up after 3 tries: ImportError: no module named storage_x"
    place.reaches(run, "parked")
    assert place.listing.owners == {}

    monkeypatch.undo()
    place.orders.resume(run)
    place.post(run)
    place.reaches(run, "changed")


def test_a_settling_that_keeps_failing_is_quarantined_and_the_others_are_settled(place):
    place.cloud.orders["do:forget-a", "do"] = fail
    place.conductor(most_tries=2)
    run = place.submit(make_plan("a", "b"))
    place.reaches(run, "changed")
    place.orders.commit(run)
    place.post(run)
    eventually(lambda: place.journal.subject(run, "a").state is State.QUARANTINED)
    eventually(lambda: place.journal.subject(run, "b").state is State.SETTLED)
    assert "do:forget-a: no" in place.journal.subject(run, "a").error


def test_a_subject_of_another_run_is_waited_for(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    place.conductor()
    first = place.submit(make_plan("a"))
    assert started.wait(20)
    second = place.journal.create_run(make_plan("a"), submitted=True)
    place.post(second)
    time.sleep(0.3)
    assert place.journal.subject(second, "a").state is State.PENDING
    go.set()
    place.reaches(first, "changed")
    place.reaches(second, "changed")


def test_a_board_that_is_away_when_a_job_ends_is_told_later(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    conductor = place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    away = threading.Event()
    consume = conductor._board.consume

    def fails(job):
        if not away.is_set():
            raise boards.BoardError("the server is away")
        consume(job)

    conductor._board.consume = fails
    go.set()
    eventually(lambda: conductor.status().last_error == "the server is away")
    assert place.journal.subject(run, "a").state is State.CHANGED  # on record before
    away.set()
    place.reaches(run, "changed")
    eventually(lambda: place.listing.owners == {})


def test_its_status_names_what_is_in_hand(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["restore:a", "do"] = lambda: started.set() or go.wait(20)
    conductor = place.conductor(jobs=4)
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    status = conductor.status()
    go.set()
    assert [(job.run_id, job.subject, job.work) for job in status.jobs] == [(run, "a", "change")]
    assert (status.owner, status.capacity, status.stopping) == ("one", 4, False)
    assert status.journal_ok_s < 5
    assert status.board_ok_s < 15


def test_a_rollback_that_comes_during_the_last_step_is_not_forgotten(place):
    started, go = threading.Event(), threading.Event()
    place.cloud.orders["verify:a", "do"] = lambda: started.set() or go.wait(20)
    place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    place.orders.rollback(run)
    go.set()
    place.reaches(run, "undone")
    assert place.cloud.deeds[-1] == "observe:a undo"


def test_what_was_settled_meanwhile_is_not_rolled_back(place):
    place.conductor()
    run = place.submit(make_plan("a"))
    place.reaches(run, "changed")
    states = place.journal.subjects(run)
    place.orders.commit(run)
    place.post(run)
    place.reaches(run, "settled")
    done = place.cloud.deeds
    orders = Orders(place.journal, "toy")
    orders._choose = lambda *_: set(states)  # which looked a moment before
    orders.rollback(run, ["a"])
    place.post(run)
    time.sleep(0.5)
    assert place.journal.subject(run, "a").state is State.SETTLED
    assert place.cloud.deeds == done


def test_a_run_of_another_cloud_is_left_to_its_own_conductors(place):
    place.conductor()
    run = place.journal.create_run(
        dataclasses.replace(make_plan("a"), cloud_id="elsewhere").sealed(), submitted=True
    )
    place.post(run)  # before any sweep could tell that it is foreign
    time.sleep(1.0)
    assert place.journal.subject(run, "a").state is State.PENDING
    assert place.cloud.deeds == []
    assert len(place.listing.owners) == 1


def test_a_check_that_cannot_be_made_is_tried_again_and_then_quarantined(place):
    def verify(action):
        raise errors.RequestError("there is no capability 'toy' here")

    place.conductor(verify=verify, most_tries=2)
    run = place.submit(make_plan("a"))
    eventually(lambda: place.journal.subject(run, "a").state is State.QUARANTINED)
    assert "there is no capability 'toy' here" in place.journal.subject(run, "a").error
    assert place.cloud.deeds == []
