"""What boards do without a server: addresses, waking, and answers that get lost."""

from __future__ import annotations

import importlib
import threading
import time

import pytest

from upgrade_flows import errors
from upgrade_flows.engine import boards
from upgrade_flows.engine.boards import BoardError, Job, claims
from upgrade_flows.engine.boards.address import parse
from upgrade_flows.engine.boards.bell import Bell

JOB, OTHER = Job("run-1", "host-1", "change"), Job("run-1", "host-2", "change")


def test_a_job_has_the_same_uuid_for_ever():
    assert str(JOB.uuid) == "99e73bc9-402a-56c8-9ac5-3dfd49512a59"
    assert Job("run-1", "host-1", "undo").uuid != JOB.uuid


def test_a_job_comes_back_from_its_json():
    assert Job.from_json(JOB.to_json()) == JOB
    for foreign in (None, "text", {}, {"run_id": 1, "subject": "s", "work": "undo"}):
        assert Job.from_json(foreign) is None


@pytest.mark.parametrize(
    ("url", "where", "place", "conf"),
    [
        (
            "redis://host",
            "redis://host:6379/0",
            "upgrade_flows",
            {"host": "host", "port": 6379, "db": 0},
        ),
        (
            "rediss://me:p%23w@host:1/2?namespace=n&ssl_ca_certs=/ca",
            "rediss://host:1/2",
            "n",
            {
                "host": "host", "port": 1, "db": 2, "ssl": True, "ssl_ca_certs": "/ca",
                "username": "me", "password": "p#w",
            },
        ),
        (
            "redis://:pw@[::1]:1?ssl=true",
            "redis://[::1]:1/0",
            "upgrade_flows",
            {"host": "::1", "port": 1, "db": 0, "ssl": True, "password": "pw"},
        ),
        (
            "etcd://host?path=other&protocol=https&ca_cert=/ca",
            "etcd://host:2379",
            "other",
            {"host": "host", "port": 2379, "protocol": "https", "ca_cert": "/ca"},
        ),
        (
            "zookeeper://a,b:1/p/q?use_ssl=yes",
            "zookeeper://a:2181,b:1",
            "/p/q",
            {"hosts": "a:2181,b:1", "use_ssl": True},
        ),
        ("zookeeper://a", "zookeeper://a:2181", "/upgrade_flows/jobs", {"hosts": "a:2181"}),
    ],
)  # fmt: skip
def test_an_address_is_read(url, where, place, conf):
    address = parse(url)
    assert (address.where, address.place, address.conf) == (where, place, conf)
    assert "pw" not in repr(address)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("amqp://host", "starts with none of redis://, rediss://, etcd://, zookeeper://"),
        ("host:6379", "starts with none of"),
        ("redis://", "names no host"),
        ("redis://host:none", "port is not a number"),
        ("redis://host/db", "database is not a number"),
        ("redis://host?color=red", "option 'color' is none of ssl, "),
        ("redis://host?ssl=perhaps", "neither true nor false"),
        ("redis://host?namespace=", "'namespace' is empty"),
        ("redis://host?namespace=a&namespace=b", "'namespace' comes twice"),
        ("etcd://host/jobs", "the board's name is ?path="),
        ("etcd://host?protocol=ftp", "neither http nor https"),
        ("etcd://me:s3cret@host", "takes no user and password"),
        ("zookeeper://me:s3cret@host", "takes no user and password"),
        ("redis://me:s3cret/x@host", "written like %23"),
        ("redis://me:12?s3cret=@host", "written like %23"),
        ("redis://me:s3cret#@host", "written like %23"),
        ("redis://me:s3cret[@host", "is not the URL of anything"),
    ],
)
def test_a_wrong_address_is_refused_with_the_reason_and_without_the_password(url, reason):
    with pytest.raises(errors.RequestError) as caught:
        parse(url)
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch):
    def missing(name):
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(errors.PluginError, match="install kazoo"):
        boards.open_board("zookeeper://host", "me")


@pytest.mark.parametrize(("owner", "ttl_s"), [("", 30), ("me", 0)])
def test_claims_need_an_owner_and_a_time(owner, ttl_s):
    with pytest.raises(errors.RequestError):
        boards.open_board("redis://host", owner, ttl_s)


def test_whoever_comes_first_looks_for_himself():
    bell = Bell(lambda: False, "test")
    assert bell.sleep(10)
    assert not bell.sleep(0.01)
    bell.close()


def test_all_who_sleep_are_woken():
    bell = Bell(lambda: False, "test")
    bell.sleep(0)
    woken = []
    sleepers = [threading.Thread(target=lambda: woken.append(bell.sleep(10))) for _ in range(5)]
    for sleeper in sleepers:
        sleeper.start()
    time.sleep(0.1)
    bell.ring()
    for sleeper in sleepers:
        sleeper.join(5)
    assert woken == [True] * 5
    bell.close()


def test_a_look_that_finds_something_wakes_even_after_one_that_failed():
    answers = iter([OSError("away"), True])

    def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    bell = Bell(look, "test")
    bell.sleep(0)
    assert bell.sleep(10)
    bell.close()


class LossyBoard(claims.ServerBoard[int]):
    """A board in memory, some of whose answers get lost after the work is done."""

    errors = (OSError,)

    def __init__(self):
        super().__init__("memory", "me", 30)
        self.jobs, self.owners, self.lose, self.down = {}, {}, 0, False

    def _answer(self, value=None):
        if self.down or self.lose:
            self.lose = max(0, self.lose - 1)
            raise OSError("lost")
        return value

    def _list(self, jobs):
        for job in jobs:
            self.jobs.setdefault(job)
        self._answer()

    def _list_unclaimed(self, limit):
        return self._answer([job for job in self.jobs if job not in self.owners][:limit])

    def _list_all(self):
        return self._answer(set(self.jobs))

    def _try(self, job):
        if job not in self.jobs or self.owners.get(job, "me") != "me":
            return self._answer()
        self.owners[job] = "me"
        return self._answer(1)

    def _keep(self, held):
        return self._answer({job for job in held if self.owners.get(job) == "me"})

    def _release(self, job, token):
        if self.owners.get(job) == "me":
            del self.owners[job]
        self._answer()

    def _complete(self, job, token):
        if self.owners.get(job) == "me":
            del self.owners[job], self.jobs[job]
        self._answer()

    def _unlist(self, job):
        if job not in self.owners:
            self.jobs.pop(job, None)
        self._answer()

    def _disconnect(self):
        pass


@pytest.fixture
def board(monkeypatch):
    monkeypatch.setattr(claims, "PATIENCE_S", 0.3)
    return LossyBoard()


def test_lost_answers_are_asked_for_again(board):
    board.lose = 1
    board.post([JOB, OTHER])
    board.lose = 1
    assert board.claim(JOB)
    board.lose = 1
    assert board.renew() == set()
    board.lose = 1
    board.consume(JOB)
    board.lose = 1
    board.remove(OTHER)
    assert board.listed() == set()
    assert board.renew() == set()


def test_a_claim_whose_answer_never_came_is_given_back(board):
    board.post([JOB])
    board.down = True
    with pytest.raises(BoardError, match="memory: cannot claim: OSError: lost"):
        board.claim(JOB)
    board.down = False
    assert board.unclaimed(1) == []
    assert board.renew() == set()
    assert board.unclaimed(1) == [JOB]


def test_a_claim_whose_answer_never_came_can_be_claimed_again(board):
    board.post([JOB])
    board.down = True
    with pytest.raises(BoardError):
        board.claim(JOB)
    board.down = False
    assert board.claim(JOB)
    assert board.renew() == set()
    assert board.owners == {JOB: "me"}


def test_a_job_that_could_not_be_given_back_is_not_renewed(board):
    board.post([JOB])
    assert board.claim(JOB)
    board.down = True
    with pytest.raises(BoardError):
        board.give_back(JOB)
    board.owners[JOB] = "me"  # it never got there
    board.down = False
    board.renew()
    assert board.owners == {}


def test_a_job_that_could_not_be_consumed_is_still_held(board):
    board.post([JOB])
    assert board.claim(JOB)
    board.down = True
    with pytest.raises(BoardError):
        board.consume(JOB)
    board.down = False
    board.jobs[JOB], board.owners[JOB] = None, "me"  # it never got there
    assert board.renew() == set()
    board.consume(JOB)
    assert board.listed() == set()


def test_a_refusal_is_told_at_once(board, monkeypatch):
    monkeypatch.setattr(board, "_transient", lambda exc: False)
    board.lose = 1
    with pytest.raises(BoardError):
        board.listed()


def test_a_closed_board_gives_back_and_does_nothing_more(board):
    board.post([JOB])
    assert board.claim(JOB)
    board.close()
    board.close()
    assert board.owners == {}
    with pytest.raises(BoardError, match="closed"):
        board.claim(JOB)
