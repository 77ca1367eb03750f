"""Starting: what is waited for, and what is refused."""

import dataclasses

import pytest
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from tests.unit.service_fakes import Board
from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine import schema
from upgrade_flows.engine.boards import BoardError
from upgrade_flows.engine.store import Journal
from upgrade_flows.service import start
from upgrade_flows.service.settings import Settings
from upgrade_flows.steps.base import Settings as StepSettings

SETTINGS = Settings(
    name="one", cloud="prod", region=None, journal="postgresql://db/uf", key_file=None,
    board="redis://h", jobs=10, ttl_s=30.0, steps_at_a_time=1, most_tries=5, health=None,
    bus=None, steps=StepSettings(),
)  # fmt: skip

AWAY = sa_exc.OperationalError("SELECT 1", None, Exception("connection refused"))


class Clock:
    def __init__(self, monkeypatch):
        self.now, self.rests = 0.0, []
        monkeypatch.setattr(start.time, "monotonic", lambda: self.now)

    def rest(self, seconds):
        self.rests.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def journal_error(cause):
    error = errors.JournalError("the journal cannot be used")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        errors.Unavailable("503"),
        errors.TimedOut("no answer"),
        BoardError("connection refused"),
        journal_error(AWAY),
        AWAY,
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_answer_is_tried_again_for_a_minute_and_then_named(clock, error):
    def call():
        raise error

    with pytest.raises(start.Unreachable, match=r"^the thing did not answer for 60 s: "):
        start.patiently("the thing", call, clock.rest)
    assert clock.rests == [1, 2, 4, 8, 10, 10, 10, 10, 5]


def test_what_answers_at_last_is_used(clock):
    answers = [errors.Unavailable("503"), errors.Unavailable("503"), "here"]

    def call():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert start.patiently("the thing", call, clock.rest) == "here"
    assert clock.rests == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        errors.Unauthorized("401"),
        errors.Forbidden("403"),
        errors.RequestError("the URL of the board is wrong"),
        journal_error(None),
        journal_error(sa_exc.ProgrammingError("x", None, Exception("no permission"))),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_waiting_helps_against_is_raised_at_once(clock, error):
    def call():
        raise error

    with pytest.raises(type(error)) as raised:
        start.patiently("the thing", call, clock.rest)
    assert raised.value is error
    assert clock.rests == []


def with_key(path):
    return dataclasses.replace(SETTINGS, key_file=path)


def test_a_database_server_without_a_key_file_is_refused():
    with pytest.raises(errors.RequestError, match=r"^\[journal\] key_file is missing"):
        start.check_key(SETTINGS)


def test_a_key_file_that_is_not_there_is_not_made_up(tmp_path):
    with pytest.raises(errors.RequestError, match="does not exist: copy it from a machine"):
        start.check_key(with_key(tmp_path / "key"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_everybody_can_read_is_complained_about(tmp_path, caplog):
    path = tmp_path / "key"
    path.touch(0o644)
    start.check_key(with_key(path))
    assert "chmod o=" in caplog.text


def test_an_sqlite_journal_makes_its_own_key():
    start.check_key(dataclasses.replace(SETTINGS, journal="sqlite:////x"))


@pytest.fixture
def journal(tmp_path):
    opened = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def owner_in(journal, owner, expires):
    with journal.engine.begin() as conn:
        conn.execute(sa.insert(schema.owners).values(owner=owner, expires=expires))


def test_an_sqlite_journal_that_another_machine_works_on_is_refused(journal):
    owner_in(journal, "elsewhere/1a2b/7/9/x", journal.now() + 30)
    with pytest.raises(errors.RequestError, match=r"SQLite file, and elsewhere works on it"):
        start.check_machine(journal, "here/1a2b/8/9/y")


def test_an_sqlite_journal_is_for_several_processes_of_one_machine(journal):
    owner_in(journal, "here/1a2b/7/9/x", journal.now() + 30)
    owner_in(journal, "elsewhere/1a2b/7/9/x", journal.now() - 1)
    start.check_machine(journal, "here/1a2b/8/9/y")


def test_credentials_that_are_missing_are_asked_for_in_words_of_the_service(monkeypatch):
    def nothing(**kwargs):
        raise errors.RequestError("no credentials; use --os-cloud")

    monkeypatch.setattr("upgrade_flows.cloud.clients.connect", nothing)
    with pytest.raises(errors.RequestError, match=r"; here \[cloud\] name stands for --os-cloud$"):
        start.Wiring().cloud(SETTINGS)


def test_the_real_conductor_is_made_with_what_is_configured(journal):
    cloud = FakeCloud(hosts=("compute-1",))
    board = Board()
    made = start.Wiring().conductor(SETTINGS, "me", journal, board, cloud, None, lambda *_: None)
    status = made.status()
    assert (status.owner, status.capacity, status.stopping) == ("me", 10, False)
