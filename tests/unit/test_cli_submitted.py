"""The commands for runs that conductors carry out, with real conductors on a toy cloud."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import threading
import time

import pytest

from tests.unit.board import MemoryBoard
from tests.unit.cli_samples import Terminal, cli
from tests.unit.engine_toy import capability, make_engine, make_plan
from tests.unit.test_conductor import Place, eventually, fail
from upgrade_flows import dispatch, errors, library
from upgrade_flows.cli import following
from upgrade_flows.cli.progress import Progress
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.engine import database
from upgrade_flows.engine.records import Event
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Finding, State
from upgrade_flows.reports import follow

BOARD = "[board]\nurl = memory://\n"


class ToyWiring(Wiring):
    """Hands out the parts of a place."""

    plugins = None

    def __init__(self, place, board_error=None):
        self.place, self.board_error = place, board_error
        self.upgraded = []
        place.cloud.check_credentials = lambda: None

    def connect(self, name, region):
        return self.place.cloud

    def journal(self, url, key_file=None):
        return self.place.journal

    def board(self, url):
        if self.board_error:
            raise self.board_error
        assert url == "memory://"
        return MemoryBoard(self.place.listing, "command line")

    def engine(self, journal, cloud, settings, observer, steps_at_a_time):
        return make_engine(journal, cloud, observer=observer)


class NoCloud(ToyWiring):
    """A machine that does not reach the cloud."""

    def connect(self, name, region):
        raise errors.Unavailable("the cloud does not answer")


class Interrupted(io.StringIO):
    """Output on which Ctrl-C is pressed when it shows something."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def write(self, text):
        super().write(text)
        if self.when in text:
            raise KeyboardInterrupt
        return len(text)


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(follow, "POLL_S", 0.02)
    monkeypatch.setattr(dispatch, "LOOK_S", 0.02)
    monkeypatch.setitem(capability.MODULES, "toy", "tests.unit.engine_toy")
    (tmp_path / "uf.conf").write_text(BOARD)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def place(tmp_path):
    with contextlib.ExitStack() as stack:
        place = Place(tmp_path, stack)
        place.held = []
        yield place
        for go in place.held:
            go.set()


def uf(place, *argv, wiring=None, **streams):
    """Run a command in a place, whose board is configured."""
    return cli("--config-file", "uf.conf", *argv, wiring=wiring or ToyWiring(place), **streams)


def written(*subjects, **more):
    """Write a plan and return the name of its file."""
    with open("plan.json", "w") as stream:
        stream.write(make_plan(*subjects, **more).to_json())
    return "plan.json"


def held(place, deed):
    """Have the cloud hold a deed until it is let go; return the two moments."""
    started, go = threading.Event(), threading.Event()
    place.cloud.orders[deed, "do"] = lambda: started.set() or go.wait(20)
    place.held.append(go)
    return started, go


def once(condition, keepers, go):
    """Let a deed go once something is ordered and whoever does it has noticed."""

    def watch():
        eventually(condition)
        for keeper in keepers():
            keeper.look()  # which it does every second
        go.set()

    threading.Thread(target=watch, daemon=True).start()


def is_paused(place, run):
    return lambda: place.journal.run(run).moves == "none"


def the_run(place):
    (run,) = place.journal.runs()
    return run


# submit ------------------------------------------------------------------------------------------


def test_submit_records_the_run_lists_what_is_due_and_says_what_is_next(place):
    code, out, err = uf(place, "submit", written("a", "b", at_a_time=2), "--yes")
    run = the_run(place)
    assert (code, err) == (0, "")
    assert (run.submitted, run.state) == (True, "pending")
    assert sorted(job.name for job in place.listing.owners) == [
        f"change a of {run.id}",
        f"change b of {run.id}",
    ]
    assert place.cloud.deeds == []
    assert out.startswith("Plan plan (toy)")
    assert f"Run {run.id} is recorded, for conductors to carry out.\n" in out
    assert out.endswith(
        f"'upgrade-flows watch {run.id}' shows what happens, 'upgrade-flows status {run.id}' where"
        f" each of them stands; 'upgrade-flows pause {run.id}' stops it.\n"
    )


def test_submit_says_that_no_conductor_is_alive(place):
    _, out, _ = uf(place, "submit", written("a"), "--yes")
    assert (
        "No conductor is alive at the moment: start one with upgrade-flows-conductor, or carry it"
        f" out here with 'upgrade-flows resume {the_run(place).id} --here'.\n"
    ) in out


def test_submit_does_not_speak_of_conductors_where_one_is_alive(place):
    place.conductor()
    eventually(place.journal.conductors)
    assert "No conductor" not in uf(place, "submit", written("a"), "--yes")[1]


@pytest.mark.parametrize("answer", ["", "n\n"])
def test_a_submission_that_is_not_confirmed_records_nothing(place, answer):
    code, out, err = uf(place, "submit", written("a"), stdin=Terminal(answer))
    assert (code, err) == (2, "upgrade-flows: nothing was done\n")
    assert "Have conductors change 1 server as shown? [y/N] " in out
    assert place.journal.runs() == ()


def test_a_plan_with_findings_that_forbid_it_is_not_submitted(place):
    made = make_plan("a")
    bad = (Finding("UF-X-1", "a", "error", "it is locked", "unlock it"),)
    made = Plan(made.id, made.created, "toy", made.request, made.waves, findings=bad).sealed()
    with open("plan.json", "w") as stream:
        stream.write(made.to_json())
    code, _, err = uf(place, "submit", "plan.json", "--yes")
    assert code == 3
    assert "unlock it" in err
    assert place.journal.runs() == ()


def test_a_run_whose_board_does_not_answer_is_recorded_all_the_same(place):
    wiring = ToyWiring(place, errors.BoardError("redis at board:6379 does not answer"))
    code, out, _ = uf(place, "submit", written("a"), "--yes", wiring=wiring)
    assert code == 0
    assert (
        "The job board does not answer (redis at board:6379 does not answer); conductors find the"
        " run in the journal, within seconds.\n"
    ) in out
    place.conductor()
    place.reaches(the_run(place).id, "changed")


def test_a_board_that_fails_while_it_is_told_is_no_failure_either(place, monkeypatch):
    def away(board, jobs):
        raise errors.BoardError("the server went away")

    monkeypatch.setattr(MemoryBoard, "post", away)
    code, out, _ = uf(place, "submit", written("a"), "--yes")
    assert code == 0
    assert "(the server went away)" in out


def test_without_a_board_conductors_find_the_run_by_themselves(place):
    code, out, _ = cli("submit", written("a"), "--yes", wiring=ToyWiring(place))
    assert code == 0
    assert "board" not in out
    place.conductor()
    place.reaches(the_run(place).id, "changed")


def test_a_board_url_that_cannot_be_understood_is_refused_before_anything_is_recorded(place):
    class RealBoard(ToyWiring):
        board = Wiring.board

    code, _, err = uf(place, "submit", written("a"), "--yes", wiring=RealBoard(place))
    assert code == 2
    assert err.startswith("upgrade-flows: ")
    assert place.journal.runs() == ()


def test_servers_of_another_run_cannot_be_submitted(place):
    started, _ = held(place, "restore:a")
    place.conductor()
    place.submit(make_plan("a"))
    assert started.wait(20)
    code, _, err = uf(place, "submit", written("a"), "--yes")
    assert code == 2
    assert "'upgrade-flows status --all' shows the other runs" in err
    assert len(place.journal.runs()) == 1


# watch -------------------------------------------------------------------------------------------


def test_submit_can_show_what_happens_and_ends_with_the_report(place):
    place.conductor()
    code, out, _ = uf(place, "submit", written("a"), "--yes", "--watch")
    assert code == 0
    run = the_run(place).id
    shown = [line.partition(" ")[2] for line in out.splitlines() if line[2:3] == ":"]
    assert shown[:3] == ["a: changing", "a: observe started", "a: observe done"]
    assert shown[-1] == "a: changed"
    assert f"Run {run} of plan plan (toy): changed" in out
    assert out.rstrip().endswith(f"'upgrade-flows commit {run}'.")


def test_a_watched_run_that_fails_is_exit_code_4(place):
    place.cloud.orders["verify:a", "do"] = fail
    place.conductor()
    code, out, err = uf(place, "submit", written("a"), "--yes", "--watch")
    assert code == 4
    assert "a: verify failed: " in out
    assert "1 server failed" in err


def test_a_watched_run_that_leaves_something_behind_is_exit_code_5(place):
    def refuse():
        raise ConnectionError("no")

    place.cloud.orders["verify:a", "do"] = fail
    place.cloud.orders["restore:a", "undo"] = refuse
    place.conductor()
    code, _, err = uf(place, "submit", written("a"), "--yes", "--watch")
    assert code == 5
    assert "1 thing left behind" in err


def test_a_watched_run_that_no_longer_fits_is_exit_code_3(place):
    place.conductor(verify=lambda action: "it has moved")
    code, _, err = uf(place, "submit", written("a"), "--yes", "--watch")
    assert code == 3
    assert "1 server not touched" in err


def test_watch_needs_no_cloud_and_shows_only_what_happens_from_now_on(place):
    started, go = held(place, "restore:a")
    place.conductor()
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    out = io.StringIO()
    watching = threading.Thread(
        target=uf, args=(place, "watch"), kwargs={"wiring": NoCloud(place), "stdout": out}
    )
    watching.start()
    eventually(lambda: "Run" in out.getvalue())
    time.sleep(0.1)
    go.set()
    watching.join(20)
    lines = out.getvalue().splitlines()
    assert lines[0] == f"Run {run} is running: 2 servers, 1 changing, 1 pending"
    assert [line.partition(" ")[2] for line in lines[1:3]] == [
        "a: restore done",
        "a: do started",
    ]
    assert f"Run {run} of plan plan (toy): changed" in lines


def test_an_interrupt_ends_watching_and_not_the_run(place):
    started, go = held(place, "restore:a")
    place.conductor()
    out = Interrupted("restore started")
    code, _, _ = uf(place, "submit", written("a"), "--yes", "--watch", stdout=out)
    run = the_run(place)
    assert (code, run.state) == (130, "running")
    assert out.getvalue().endswith(
        f"No longer watching; run {run.id} goes on. 'upgrade-flows watch {run.id}' shows it again,"
        f" 'upgrade-flows pause {run.id}' stops it.\n"
    )
    assert started.wait(20)
    go.set()
    place.reaches(run.id, "changed")


def test_watching_a_run_that_has_ended_reports_it(place):
    place.conductor()
    run = place.submit(make_plan("a"))
    place.reaches(run, "changed")
    code, out, _ = uf(place, "watch", run[:12])
    assert code == 0
    assert "toy): changed" in out


def test_watching_a_run_that_is_parked_is_exit_code_4(place):
    run = place.submit(make_plan("a"))
    place.orders.pause(run)
    place.orders.conclude(run)
    code, out, err = uf(place, "watch")
    assert code == 4
    assert f"Run {run} is parked (paused): 1 server, 1 pending" in out
    assert "is not at its end; 'upgrade-flows resume' goes on" in err


def test_it_is_said_once_that_nobody_works_on_a_run_and_how_to_go_on(place, monkeypatch):
    monkeypatch.setattr(following, "TTLS", 0.002)  # 60 ms of silence
    run = place.submit(make_plan("a"))
    out = io.StringIO()
    watching = threading.Thread(target=uf, args=(place, "watch"), kwargs={"stdout": out})
    watching.start()
    eventually(lambda: "Nobody has worked" in out.getvalue())
    time.sleep(0.2)
    place.conductor()
    watching.join(20)
    assert not watching.is_alive()
    said = [line for line in out.getvalue().splitlines() if line.startswith("Nobody")]
    assert said == [
        f"Nobody has worked on run {run} for 0.1 s. No conductor is alive at the moment: start one"
        f" with upgrade-flows-conductor; or carry it out here with 'upgrade-flows resume {run}"
        " --here'."
    ]
    assert "toy): changed" in out.getvalue()


def test_nothing_is_said_while_a_long_step_is_being_done(place, monkeypatch):
    monkeypatch.setattr(following, "TTLS", 0.015)
    started, go = held(place, "restore:a")
    place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    threading.Timer(1.2, go.set).start()
    code, out, _ = uf(place, "watch", run)
    assert code == 0
    assert "Nobody" not in out


def test_watching_a_run_whose_command_line_is_gone_says_who_can_go_on(place, monkeypatch):
    monkeypatch.setattr(following, "TTLS", 0.002)
    run = place.orders.start(make_plan("a"))
    place.journal.update_run(run, state="running")
    code, _, err = uf(place, "watch")
    assert code == 4
    assert f"nobody is at work on run {run} any more" in err
    assert f"'upgrade-flows resume {run}' goes on" in err


def test_an_event_that_is_committed_after_a_later_one_is_not_missed():
    found = [[(7, "seven")], [(5, "five"), (7, "seven")], [(5, "five"), (7, "seven"), (8, "eight")]]

    class Journal:
        def run(self, run_id):
            state = "running" if len(found) > 1 else "changed"
            return type("Run", (), {"state": state})

        def numbered_events(self, run_id, after):
            return [pair for pair in found.pop(0) if pair[0] > after]

    looks = follow.looks(Journal(), "r", 4, sleep=lambda _: None)
    assert [look.events for look in looks] == [("seven",), ("five",), ("eight",)]


def test_a_live_table_begins_with_where_the_run_stands(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    plan = make_plan("a", "b", "c", "d")
    with Progress(plan, stream, following.HINT) as progress:
        progress.begin_from({"a": State.CHANGED, "b": State.CHANGING}, {"b": "stop-server"})
        progress(Event(0.0, "c", "", "quarantined"))
    shown = stream.getvalue()
    assert "stop-server" in shown
    assert "1 of 4 done, 1 in work; Ctrl-C ends watching, the run goes on" in shown


# pause -------------------------------------------------------------------------------------------


def test_pause_says_what_is_in_work_and_by_whom_and_waits_until_it_is_parked(place):
    started, go = held(place, "restore:a")
    conductor = place.conductor("host-1/ab/17/99/cd")
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    once(is_paused(place, run), lambda: [conductor._keeper], go)
    code, out, _ = uf(place, "pause", wiring=NoCloud(place))
    assert code == 0
    assert out == (
        f"Run {run} is paused: the steps in work are the last ones.\n"
        "  a: changing, restore, by host-1 pid 17\n"
        f"Run {run} is parked.\n"
        f"'upgrade-flows resume {run}' goes on, 'upgrade-flows rollback {run}' takes back what was"
        " done.\n"
    )
    assert place.cloud.deeds == ["observe:a do", "restore:a do"]


def test_a_pause_that_takes_too_long_says_so_with_exit_code_4_and_stands(place):
    started, go = held(place, "restore:a")
    conductor = place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    code, out, _ = uf(place, "pause", "--wait", "0.1")
    assert code == 4
    assert f"Run {run} is running, and parked as soon as these steps end;" in out
    conductor._keeper.look()
    go.set()
    place.reaches(run, "parked")


def test_pause_does_not_wait_if_it_is_not_to(place):
    started, _ = held(place, "restore:a")
    place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)
    assert uf(place, "pause", "--wait", "0")[0] == 0
    assert place.journal.run(run).moves == "none"


def test_an_interrupt_ends_the_wait_and_the_run_stays_paused(place, monkeypatch):
    started, _ = held(place, "restore:a")
    place.conductor()
    run = place.submit(make_plan("a"))
    assert started.wait(20)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(dispatch.Dispatcher, "stopped", interrupted)
    code, out, _ = uf(place, "pause")
    assert code == 130
    assert out.endswith(f"No longer waiting; run {run} stays paused.\n")
    assert place.journal.run(run).moves == "none"


def test_a_run_that_nobody_has_begun_is_parked_at_once(place):
    run = place.submit(make_plan("a"))
    assert uf(place, "pause")[0] == 0
    assert place.state(run) == "parked"
    place.conductor()
    time.sleep(0.3)
    assert place.cloud.deeds == []


def test_a_run_that_has_ended_cannot_be_paused(place):
    place.conductor()
    run = place.submit(make_plan("a"))
    place.reaches(run, "changed")
    code, out, err = uf(place, "pause")
    assert (code, out) == (2, "")
    assert f"run {run} is changed: nothing is being done in it that could be paused" in err
    assert place.journal.run(run).moves == "all"


def test_a_run_that_is_parked_already_stays_as_it_is(place):
    place.submit(make_plan("a"))
    uf(place, "pause")
    code, out, _ = uf(place, "pause")
    assert code == 0
    assert "is parked already" in out


def test_a_run_that_a_command_line_carries_out_can_be_paused_from_elsewhere(place, monkeypatch):
    started, go = held(place, "restore:a")
    keeper, keepers = place.journal.keeper, []
    monkeypatch.setattr(
        place.journal, "keeper", lambda *args: keepers.append(keeper(*args)) or keepers[-1]
    )
    engine = make_engine(place.journal, place.cloud)
    run = engine.start(make_plan("a", "b"))
    working = threading.Thread(target=engine.run, args=(run,))
    working.start()
    assert started.wait(20)
    once(is_paused(place, run), lambda: keepers, go)
    code, out, _ = uf(place, "pause")
    working.join(20)
    assert code == 0
    assert f"restore, by {os.uname().nodename} pid {os.getpid()}\n" in out
    assert place.cloud.deeds == ["observe:a do", "restore:a do"]


@pytest.mark.parametrize("wait", ["-1", "nan"])
def test_a_pause_that_waits_a_strange_time_is_refused(place, wait):
    run = place.submit(make_plan("a"))
    assert uf(place, "pause", "--wait", wait)[0] == 2
    assert place.journal.run(run).moves == "all"


# resume, rollback, commit ------------------------------------------------------------------------


def test_resume_has_conductors_go_on_and_shows_it_without_a_cloud(place):
    run = place.submit(make_plan("a"))
    uf(place, "pause")
    place.listing.owners.clear()
    place.conductor()
    code, out, _ = uf(place, "resume", wiring=NoCloud(place))
    assert code == 0
    assert f"The resume of run {run} is ordered, for conductors to do.\n" in out
    assert "a: changed" in out
    assert place.state(run) == "changed"


def test_an_order_lists_what_is_due_on_the_board_and_need_not_be_watched(place):
    run = place.submit(make_plan("a"))
    uf(place, "pause")
    place.listing.owners.clear()
    code, out, _ = uf(place, "resume", "--no-watch")
    assert code == 0
    assert [job.name for job in place.listing.owners] == [f"change a of {run}"]
    assert f"carry it out here with 'upgrade-flows resume {run} --here'" in out
    assert f"'upgrade-flows watch {run}' shows what happens" in out


def test_a_submitted_run_can_be_carried_out_here(place):
    run = place.submit(make_plan("a"))
    code, out, _ = uf(place, "resume", "--here")
    assert code == 0
    assert "a: verify done" in out
    assert place.state(run) == "changed"
    assert uf(place, "rollback", "--here", "--yes")[0] == 0
    assert place.state(run) == "undone"


def test_an_interrupt_here_pauses_the_run_so_that_no_conductor_goes_on_with_it(place):
    place.cloud.orders["restore:a", "do"] = lambda: (
        os.kill(os.getpid(), signal.SIGINT),
        eventually(lambda: place.journal.run(run).moves == "none"),
    )
    run = place.submit(make_plan("a", "b"))
    code, out, _ = uf(place, "resume", "--here")
    assert code == 130
    assert "toy): parked" in out
    assert place.state(run) == "parked"


def test_work_that_could_not_be_ended_here_is_no_success(place):
    run = place.submit(make_plan("a"))
    uf(place, "resume", "--here")
    place.cloud.orders["do:forget-a", "do"] = fail
    code, _, err = uf(place, "commit", "--here", "--yes")
    assert code == 4
    assert f"run {run} is not at its end" in err


def test_resuming_a_withdrawn_run_does_not_fail_for_what_failed_before(place):
    place.cloud.orders["verify:a", "do"] = fail
    place.conductor()
    run = place.submit(make_plan("a", "b", max_failures=1))
    place.reaches(run, "failed")
    started, go = threading.Event(), threading.Event()
    place.held.append(go)
    place.cloud.orders["verify:b", "undo"] = lambda: started.set() or go.wait(20)
    uf(place, "rollback", "--yes", "--no-watch")
    assert started.wait(20)
    threading.Timer(0.1, go.set).start()
    assert uf(place, "resume")[0] == 0
    assert place.state(run) == "undone"


def test_resume_tries_again_what_was_quarantined(place, monkeypatch):
    def broken(ctx, action):
        raise ImportError("no module named storage_x")

    place.conductor(most_tries=2)
    with monkeypatch.context() as patch:
        patch.setattr("tests.unit.engine_toy.change", broken)
        run = place.submit(make_plan("a"))
        place.reaches(run, "parked")
    assert place.journal.subject(run, "a").state is State.QUARANTINED
    assert uf(place, "resume")[0] == 0
    assert place.journal.subject(run, "a").state is State.CHANGED


def test_resume_of_a_submitted_run_that_has_ended_touches_nothing(place):
    place.conductor()
    run = place.submit(make_plan("a"))
    place.reaches(run, "changed")
    before = place.journal.run(run)
    code, out, _ = uf(place, "resume")
    assert code == 0
    assert out.startswith(f"Run {run} is changed: there is nothing to go on with.\n")
    assert place.journal.run(run) == before


def test_rollback_and_commit_of_a_submitted_run_are_done_by_conductors(place):
    place.conductor("one")
    run = place.submit(make_plan("a", "b", "c"))
    place.reaches(run, "changed")
    code, out, _ = uf(place, "rollback", "--server", "b", "--yes", wiring=NoCloud(place))
    assert code == 0
    assert "b: undone" in out
    assert uf(place, "commit", "--yes", wiring=NoCloud(place))[0] == 0
    states = {name: str(r.state) for name, r in place.journal.subjects(run).items()}
    assert states == {"a": "settled", "b": "undone", "c": "settled"}
    assert {event.owner for event in place.journal.events(run) if event.step} == {"one"}


def test_a_rollback_turns_round_what_conductors_are_changing(place):
    started, go = held(place, "restore:a")
    conductor = place.conductor()
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    once(lambda: place.journal.run(run).withdrawn, lambda: [conductor._keeper], go)
    assert uf(place, "rollback", "--yes")[0] == 0
    assert place.state(run) == "undone"
    assert place.cloud.deeds[-1] == "observe:a undo"


def test_a_submitted_run_of_which_nothing_has_begun_can_be_withdrawn(place):
    run = place.submit(make_plan("a"))
    code, out, _ = uf(place, "rollback", stdin=Terminal("y\n"))
    assert code == 0
    assert f"Withdraw run {run}? Nothing of it has begun, and nothing will. [y/N] " in out
    assert place.state(run) == "undone"
    place.conductor()
    time.sleep(0.3)
    assert place.cloud.deeds == []


def test_the_order_to_do_it_here_names_the_servers_that_were_meant(place):
    conductor = place.conductor()
    run = place.submit(make_plan("a", "b"))
    place.reaches(run, "changed")
    conductor.end()
    _, out, _ = uf(place, "rollback", "--server", "b", "--yes", "--no-watch")
    assert f"'upgrade-flows rollback {run} --server b --here'" in out


def test_an_order_for_what_is_not_changed_is_refused_and_changes_nothing(place):
    place.cloud.orders["verify:a", "do"] = fail
    place.conductor()
    run = place.submit(make_plan("a", "b", max_failures=1))
    place.reaches(run, "failed")
    code, _, err = uf(place, "commit", "--server", "a", "--server", "b", "--yes")
    assert code == 2
    assert "a is failed: it cannot be committed" in err
    assert place.state(run) == "failed"


@pytest.mark.parametrize("command", ["resume", "rollback --yes", "commit --yes"])
def test_a_run_that_was_not_submitted_cannot_be_left_to_conductors(place, command):
    run = place.orders.start(make_plan("a"))
    code, _, err = uf(place, *command.split(), "--no-watch")
    assert code == 2
    assert f"run {run} was not submitted to conductors" in err
    assert place.state(run) == "pending"


# status and journal ------------------------------------------------------------------------------


def test_status_names_who_has_a_server_in_work_and_who_could(place):
    started, _ = held(place, "restore:a")
    place.conductor("host-1/ab/17/99/cd")
    run = place.submit(make_plan("a", "b"))
    assert started.wait(20)
    place.orders.pause(run)
    err = Terminal()
    _, out, _ = uf(place, "status", "-f", "json", stderr=err)
    assert [(row["Server"], row["State"], row["Owner"]) for row in json.loads(out)] == [
        ("a", "changing", "host-1 pid 17"),
        ("b", "pending", ""),
    ]
    assert err.getvalue().startswith(f"run {run}: running, paused, submitted, started 20")
    assert "\n1 conductor alive: host-1 pid 17\n" in err.getvalue()


def test_an_owner_that_died_is_shown_as_gone(place):
    run = place.submit(make_plan("a"))
    keeper = place.journal.keeper("host-1/ab/17/99/cd")
    keeper.renew()
    (job,) = place.journal.claims.decide(run).jobs
    assert place.journal.claims.take(run, job, keeper, time.time())
    place.journal.now = lambda: time.time() + 3600
    _, out, _ = uf(place, "status", "-f", "json")
    assert json.loads(out)[0]["Owner"] == "host-1 pid 17 (gone)"
    assert place.journal.conductors() == ()


def test_a_command_line_at_work_is_not_taken_for_a_conductor(place):
    started, go = held(place, "restore:a")
    engine = make_engine(place.journal, place.cloud)
    run = engine.start(make_plan("a"))
    working = threading.Thread(target=engine.run, args=(run,))
    working.start()
    assert started.wait(20)
    assert place.journal.conductors() == ()
    go.set()
    working.join(20)


def test_status_says_why_a_server_is_quarantined(place, monkeypatch):
    def broken(ctx, action):
        raise ImportError("no module named storage_x")

    monkeypatch.setattr("tests.unit.engine_toy.change", broken)
    place.conductor(most_tries=2)
    run = place.submit(make_plan("a"))
    place.reaches(run, "parked")
    _, out, _ = uf(place, "status", "-f", "json")
    row = json.loads(out)[0]
    assert (row["State"], row["Owner"]) == ("quarantined", "")
    assert row["Error"] == "given up after 2 tries: ImportError: no module named storage_x"


def test_the_list_of_runs_says_which_are_submitted_and_paused(place):
    run = place.submit(make_plan("a"))
    place.orders.pause(run)
    place.orders.start(make_plan("b"))
    _, out, _ = uf(place, "status", "--all", "-f", "json")
    rows = {row["Run"]: (row["Submitted"], row["Paused"]) for row in json.loads(out)}
    assert rows.pop(run) == (True, True)
    assert list(rows.values()) == [(False, False)]


def test_journal_upgrade_brings_the_configured_journal_up_to_date(monkeypatch):
    asked = []

    class Engine:
        def dispose(self):
            asked.append("closed")

    monkeypatch.setattr(
        database, "connect", lambda url, upgrade: asked.append((url, upgrade)) or Engine()
    )
    code, out, _ = cli(
        "--journal", "mysql+pymysql://u:p@db/j", "journal", "upgrade", wiring=Wiring()
    )
    assert code == 0
    assert asked == [("mysql+pymysql://u:p@db/j", True), "closed"]
    assert out == "The journal is up to date; start the conductors again.\n"


# the library -------------------------------------------------------------------------------------


def test_programs_submit_watch_pause_and_go_on_as_operators_do(place, monkeypatch):
    url = f"sqlite:///{place.folder}/journal.db"
    monkeypatch.setattr(library, "open_board", lambda *_: MemoryBoard(place.listing, "program"))
    run = library.submit(place.cloud, make_plan("a"), url, board="memory://")
    assert [job.name for job in place.listing.owners] == [f"change a of {run}"]
    assert library.pause(run, url) == "parked"
    assert library.watch(run, url).state == "parked"
    place.conductor()
    assert library.resume(place.cloud, run, url, board="memory://").state == "changed"
    assert library.rollback(place.cloud, run, None, url, "memory://").state == "undone"
    with pytest.raises(errors.RequestError, match="is undone"):
        library.pause(run, url)


def test_programs_see_every_event_and_need_not_wait_for_ever(place):
    url = f"sqlite:///{place.folder}/journal.db"
    run = library.submit(place.cloud, make_plan("a"), url)
    assert library.watch(run, url, timeout_s=0.0).state == "pending"
    seen = []
    threading.Timer(0.1, place.conductor).start()
    assert library.watch(run, url, observer=seen.append).state == "changed"
    assert [event.what for event in seen if not event.step] == ["changing", "changed"]


def test_programs_can_carry_a_submitted_run_out_themselves(place, monkeypatch):
    url = f"sqlite:///{place.folder}/journal.db"
    run = library.submit(place.cloud, make_plan("a"), url)
    monkeypatch.setattr(library.planner, "verify", lambda *_: None)
    assert library.resume(place.cloud, run, url, here=True).state == "changed"
    assert library.commit(place.cloud, run, journal=url, here=True).state == "settled"
