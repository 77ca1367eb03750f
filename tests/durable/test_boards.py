"""The three boards keep their promises, on real servers."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass

import pytest

from tests import services
from upgrade_flows.engine.boards import BoardError, Job, claims, open_board

KINDS = ("redis", "etcd", "zookeeper")
#: how long claims live; etcd and ZooKeeper grant no less (with ticks of 2 s)
TTL_S = {"redis": 2.0, "etcd": 2.0, "zookeeper": 4.0}
#: how much later than the TTL a server may notice: ZooKeeper looks once per tick of 2 s
SLACK_S = {"redis": 1.0, "etcd": 1.0, "zookeeper": 3.0}
SPACE = {"redis": "?namespace=", "etcd": "?path=", "zookeeper": "/"}

JOBS = [Job("run-1", f"host-{number:03}", "change") for number in range(300)]
JOB = JOBS[0]

CHILD = """
import sys
from upgrade_flows.engine.boards import Job, open_board

url, ttl_s = sys.argv[1], float(sys.argv[2])
board = open_board(url, "child", ttl_s)
job = Job("run-1", "host-000", "change")
print(board.claim(job), flush=True)
for line in sys.stdin:
    if line == "renew\\n":
        print(sorted(lost.subject for lost in board.renew()), flush=True)
    else:
        print(getattr(board, line.strip())(job), flush=True)
"""


@dataclass
class Kit:
    """One kind of server, and boards on it that no other test sees."""

    kind: str
    server: services.Service
    stack: contextlib.ExitStack

    def __post_init__(self) -> None:
        self.url = f"{self.server.url}{SPACE[self.kind]}test-{secrets.token_hex(4)}"
        self.ttl_s, self.slack_s = TTL_S[self.kind], SLACK_S[self.kind]
        self._numbers = itertools.count()

    def board(self, ttl_s: float = 30.0):
        board = open_board(self.url, f"owner-{next(self._numbers)}", ttl_s)
        self.stack.callback(board.close)
        return board

    def child(self) -> Child:
        """Start a process that claims JOB."""
        child = Child(self.url, self.ttl_s)
        self.stack.callback(child.kill)
        return child


class Child:
    def __init__(self, url: str, ttl_s: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, str(ttl_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.claimed = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, signum: signal.Signals) -> None:
        os.kill(self.process.pid, signum)

    def ask(self, word: str) -> str:
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture(params=KINDS)
def kit(request):
    server = request.getfixturevalue(request.param)
    with contextlib.ExitStack() as stack:
        yield Kit(request.param, server, stack)


def quiet(board) -> None:
    """Hear the news that there are."""
    while board.wait(0.2):
        pass


def claim_when_free(board, job: Job, timeout_s: float) -> None:
    """Claim a job as a conductor would."""
    started = time.monotonic()
    while time.monotonic() < started + timeout_s:
        if job in board.unclaimed(10) and board.claim(job):
            return
        board.wait(0.2)
    raise AssertionError(f"{job} is not free after {timeout_s} s")


def test_a_job_that_is_posted_twice_is_listed_once(kit):
    one, other = kit.board(), kit.board()
    one.post([JOB, JOB])
    other.post([JOB])
    assert one.unclaimed(10) == [JOB]
    assert other.claim(JOB)
    one.post([JOB])
    assert one.unclaimed(10) == []
    assert one.listed() == {JOB}


def test_a_job_that_was_consumed_can_be_posted_again(kit):
    board = kit.board()
    for _ in range(3):
        board.post([JOB])
        assert board.claim(JOB)
        board.consume(JOB)
        assert board.listed() == set()


def test_the_oldest_jobs_come_first_and_no_more_than_wanted(kit):
    board = kit.board()
    board.post(reversed(JOBS[:150]))
    board.post(JOBS[150:])
    order = [*reversed(JOBS[:150]), *JOBS[150:]]
    assert board.unclaimed(5) == order[:5]
    assert board.unclaimed(1000) == order
    assert board.unclaimed(0) == []
    assert board.claim(order[1])
    assert board.unclaimed(3) == [order[0], *order[2:4]]
    assert board.listed() == set(JOBS)


def test_a_job_is_claimed_by_one_of_sixteen_threads(kit):
    boards = [kit.board(), kit.board()]
    boards[0].post(JOBS[:40])
    won: Counter[Job] = Counter()
    barrier = threading.Barrier(16)

    def try_all(board) -> None:
        barrier.wait()
        for job in JOBS[:40]:
            if board.claim(job):
                won[job] += 1

    threads = [threading.Thread(target=try_all, args=[boards[n % 2]]) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == Counter(JOBS[:40])


def test_only_what_is_listed_can_be_claimed(kit):
    board = kit.board()
    assert not board.claim(JOB)
    board.consume(JOB)
    board.give_back(JOB)
    board.remove(JOB)
    board.post([JOB])
    assert board.unclaimed(1) == [JOB]


def test_a_job_given_back_is_claimed_by_another_at_once(kit):
    one, other = kit.board(), kit.board()
    one.post([JOB])
    assert one.claim(JOB)
    assert not other.claim(JOB)
    quiet(other)
    timer = threading.Timer(0.3, one.give_back, [JOB])
    timer.start()
    started = time.monotonic()
    assert other.wait(10)
    assert time.monotonic() - started < 5
    assert other.unclaimed(1) == [JOB]
    assert other.claim(JOB)
    one.give_back(JOB)
    one.consume(JOB)
    assert other.renew() == set()
    assert other.listed() == {JOB}


def test_an_unclaimed_job_is_removed_and_a_claimed_one_is_not(kit):
    one, other = kit.board(), kit.board()
    one.post(JOBS[:2])
    assert one.claim(JOBS[0])
    for job in JOBS[:2]:
        other.remove(job)
    assert other.listed() == {JOBS[0]}
    assert one.renew() == set()


def test_claims_that_are_renewed_outlive_their_ttl(kit):
    one, other = kit.board(kit.ttl_s), kit.board(kit.ttl_s)
    one.post(JOBS[:20])
    assert all(one.claim(job) for job in JOBS[:20])
    end = time.monotonic() + 2 * kit.ttl_s
    while time.monotonic() < end:
        time.sleep(kit.ttl_s / 4)
        assert one.renew() == set()
        assert not other.claim(JOB)
    assert other.unclaimed(20) == []


def test_the_claim_of_a_killed_process_ends_with_its_ttl(kit):
    board = kit.board()
    board.post([JOB])
    child = kit.child()
    assert child.claimed == "True"
    child.kill()
    assert not board.claim(JOB)
    claim_when_free(board, JOB, kit.ttl_s + kit.slack_s)


def test_a_process_that_slept_over_its_claim_can_do_nothing_with_it(kit):
    board = kit.board()
    board.post([JOB])
    child = kit.child()
    assert child.claimed == "True"
    child.send(signal.SIGSTOP)
    claim_when_free(board, JOB, kit.ttl_s + kit.slack_s)
    child.send(signal.SIGCONT)
    assert child.ask("give_back") == "None"
    assert child.ask("consume") == "None"
    assert board.renew() == set()
    assert board.listed() == {JOB}
    assert child.ask("claim") == "False"
    board.consume(JOB)
    assert board.listed() == set()


@pytest.mark.parametrize("word", ["consume", "give_back", "renew"])
def test_a_stale_owner_is_refused_whatever_it_tries_first(kit, word):
    board = kit.board()
    board.post([JOB])
    child = kit.child()
    child.send(signal.SIGSTOP)
    claim_when_free(board, JOB, kit.ttl_s + kit.slack_s)
    child.send(signal.SIGCONT)
    child.ask(word)
    assert board.renew() == set()
    assert board.unclaimed(1) == []
    assert board.listed() == {JOB}


def test_renew_tells_what_was_lost_once(kit):
    board = kit.board()
    board.post(JOBS[:2])
    child = kit.child()
    child.send(signal.SIGSTOP)
    claim_when_free(board, JOB, kit.ttl_s + kit.slack_s)
    child.send(signal.SIGCONT)
    assert child.ask("renew") == "['host-000']"
    assert child.ask("renew") == "[]"


def test_a_lost_claim_is_told_though_nobody_else_took_the_job(kit):
    board = kit.board()
    board.post([JOB])
    child = kit.child()
    child.send(signal.SIGSTOP)
    end = time.monotonic() + kit.ttl_s + kit.slack_s
    while board.unclaimed(1) != [JOB]:
        assert time.monotonic() < end
        time.sleep(0.1)
    child.send(signal.SIGCONT)
    assert child.ask("renew") == "['host-000']"
    assert child.ask("claim") == "True"
    assert child.ask("consume") == "None"
    assert board.listed() == set()


def test_a_restart_of_the_server_loses_neither_jobs_nor_claims(kit):
    one, other = kit.board(), kit.board()
    one.post(JOBS[:30])
    assert all(one.claim(job) for job in JOBS[:10])
    quiet(other)
    kit.server.restart()
    assert one.renew() == set()
    assert other.listed() == set(JOBS[:30])
    assert other.unclaimed(100) == JOBS[10:30]
    assert not other.claim(JOB)
    one.consume(JOB)
    one.give_back(JOBS[1])
    assert other.claim(JOBS[1])
    assert other.listed() == set(JOBS[1:30])


def test_a_post_after_a_crash_of_the_server_wakes_within_three_seconds(kit):
    one, other = kit.board(), kit.board()
    quiet(other)
    kit.server.kill()
    kit.server.start()
    started = time.monotonic()
    one.post([JOB])
    while JOB not in other.unclaimed(1):
        assert other.wait(8)
    assert time.monotonic() - started < 9
    assert other.claim(JOB)
    quiet(other)
    one.post([JOBS[1]])  # the next news are heard as quickly as before
    assert other.wait(0.5)
    assert other.unclaimed(1) == [JOBS[1]]


def test_what_is_asked_while_the_server_is_away_is_done_when_it_is_back(kit):
    board = kit.board()
    board.post(JOBS[:3])
    assert board.claim(JOBS[0])
    assert board.claim(JOBS[1])
    kit.server.kill()
    results = {}

    def ask(name, call, *args) -> None:
        results[name] = call(*args)

    calls = [
        ("post", board.post, [JOBS[3]]),
        ("claim", board.claim, JOBS[2]),
        ("consume", board.consume, JOBS[0]),
        ("give back", board.give_back, JOBS[1]),
        ("renew", board.renew),
        ("list", board.unclaimed, 10),
    ]
    threads = [threading.Thread(target=ask, args=call) for call in calls]
    for thread in threads:
        thread.start()
    time.sleep(1)
    kit.server.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(results) == ["claim", "consume", "give back", "list", "post", "renew"]
    assert results["claim"] is True
    assert results["renew"] == set()
    assert board.listed() == {JOBS[1], JOBS[2], JOBS[3]}
    assert board.unclaimed(10) == [JOBS[1], JOBS[3]]


def test_a_server_that_hangs_for_a_while_is_waited_for(kit):
    board = kit.board()
    board.post([JOB])
    kit.server.pause()
    timer = threading.Timer(3, kit.server.go_on)
    timer.start()
    try:
        assert board.claim(JOB)
        assert board.renew() == set()
    finally:
        timer.join()
    assert board.listed() == {JOB}


def test_a_server_that_stays_away_is_an_error_and_nothing_hangs(kit, monkeypatch):
    board = kit.board()
    board.post(JOBS[:2])
    assert board.claim(JOB)
    assert board.claim(JOBS[1])
    monkeypatch.setattr(claims, "PATIENCE_S", 1.0)
    monkeypatch.setattr(claims, "SHORT_PATIENCE_S", 1.0)
    kit.server.kill()
    try:
        started = time.monotonic()
        calls = [
            (board.post, [JOBS[2]]),
            (board.claim, JOBS[3]),
            (board.consume, JOB),
            (board.give_back, JOBS[1]),
            (board.renew,),
            (board.listed,),
            (kit.board,),
        ]
        for call, *args in calls:
            with pytest.raises(BoardError, match=kit.server.url.rpartition("/")[2].split("?")[0]):
                call(*args)
        quiet(board)
        assert not board.wait(0.2)
        assert time.monotonic() - started < 25
    finally:
        kit.server.start()
    monkeypatch.undo()
    assert board.renew() == set()
    assert board.unclaimed(10) == [JOBS[1]]
    board.consume(JOB)
    assert board.listed() == {JOBS[1]}


def test_closing_while_the_server_hangs_takes_seconds_not_minutes(kit):
    board = kit.board()
    board.post([JOB])
    assert board.claim(JOB)
    kit.server.pause()
    try:
        started = time.monotonic()
        board.close()
        assert time.monotonic() - started < 15
    finally:
        kit.server.go_on()


def test_a_password_is_refused_at_once_and_not_shown(redis):
    url = redis.url.replace("://", "://user:s3cret@")
    started = time.monotonic()
    with pytest.raises(BoardError) as caught:
        open_board(url, "owner")
    assert time.monotonic() - started < 10
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_waiter_is_woken_by_a_post_of_another_process_quickly(kit):
    one, other = kit.board(), kit.board()
    quiet(other)
    for job in JOBS[:3]:
        posted = []

        def post(job=job, posted=posted) -> None:
            posted.append(time.monotonic())
            one.post([job])

        threading.Timer(0.2, post).start()
        assert other.wait(10)
        assert time.monotonic() - posted[0] < 5
        assert other.unclaimed(1) == [job]
        assert other.claim(job)
        quiet(other)


def test_a_wait_ends_in_time_or_by_a_wake(kit):
    board = kit.board()
    quiet(board)
    started = time.monotonic()
    assert not board.wait(0.5)
    assert 0.4 < time.monotonic() - started < 5
    threading.Timer(0.2, board.wake).start()
    assert board.wait(10)
    board.wake()
    assert board.wait(10)
    assert time.monotonic() - started < 9
    before = signal.signal(signal.SIGUSR1, lambda *_: board.wake())
    try:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        assert board.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - started < 15


def test_closing_gives_back_what_is_claimed(kit):
    one, other = kit.board(), kit.board()
    one.post([JOB])
    assert one.claim(JOB)
    one.close()
    assert other.claim(JOB)


def test_claims_are_cheap_for_those_that_stand_idle(kit):
    board = kit.board()
    board.post(JOBS[:100])
    assert all(board.claim(job) for job in JOBS[:100])
    quiet(board)
    cpu, started = time.process_time(), time.monotonic()
    board.wait(4)
    used = (time.process_time() - cpu) / (time.monotonic() - started)
    assert used < 0.02


def test_taskflow_sees_the_same_jobs_and_claims(kit):
    board = kit.board()
    board.post(JOBS[:2])
    assert board.claim(JOBS[0])
    with taskflow_board(kit) as theirs:
        seen = {job.details["subject"]: job for job in theirs.iterjobs(ensure_fresh=True)}
        assert {name: job.state for name, job in seen.items()} == {
            "host-000": "CLAIMED",
            "host-001": "UNCLAIMED",
        }
        assert theirs.find_owner(seen["host-000"]) == board.owner
        theirs.claim(seen["host-001"], "somebody")
        assert not board.claim(JOBS[1])
        assert board.unclaimed(10) == []
        board.give_back(JOBS[0])
        theirs.claim(seen["host-000"], "somebody")
        theirs.consume(seen["host-000"], "somebody")
        theirs.abandon(seen["host-001"], "somebody")
    assert board.listed() == {JOBS[1]}
    assert board.claim(JOBS[1])


@contextlib.contextmanager
def taskflow_board(kit):
    from taskflow.jobs import backends

    name = kit.url.rpartition("=" if kit.kind != "zookeeper" else "/")[2]
    place = {"host": "127.0.0.1", "port": kit.server.port}
    conf = {
        "redis": {**place, "namespace": name},
        "etcd": {**place, "path": name},
        "zookeeper": {"hosts": f"127.0.0.1:{kit.server.port}", "path": f"/{name}"},
    }[kit.kind]
    with contextlib.closing(backends.fetch("test", {"board": kit.kind, **conf})) as theirs:
        theirs.connect()
        yield theirs
