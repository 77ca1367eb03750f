"""The database commits, and its answer gets lost: what is asked again is not done twice."""

from __future__ import annotations

import pytest
from sqlalchemy import exc as sa_exc

from tests.unit.engine_toy import ToyCloud, make_engine, make_plan
from upgrade_flows.engine.scheduler import Job, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State


@pytest.fixture(params=["postgresql", "mariadb"])
def journal(request, database, tmp_path):
    journal = Journal.open(database(request.param), tmp_path / "key")
    yield journal
    journal.close()


def lose_answer(journal: Journal, monkeypatch, number: int) -> list[int]:
    """Lose the answer to a commit, counted from now; return the list of those that were lost."""
    dialect, commits, lost = journal.engine.dialect, [], []
    commit = dialect.do_commit

    def do_commit(connection) -> None:
        commit(connection)
        commits.append(1)
        if len(commits) == number:
            lost.append(number)
            raise sa_exc.OperationalError("COMMIT", {}, Exception("the connection was lost"))

    monkeypatch.setattr(dialect, "do_commit", do_commit)
    return lost


def test_a_run_whose_recording_was_not_answered_is_recorded_once(journal, monkeypatch):
    lost = lose_answer(journal, monkeypatch, 1)
    run = journal.create_run(make_plan("a", "b"), submitted=True)
    assert lost == [1]
    assert [found.id for found in journal.runs()] == [run]
    assert list(journal.subjects(run)) == ["a", "b"]


def test_a_subject_whose_taking_was_not_answered_is_taken(journal, monkeypatch):
    run = journal.create_run(make_plan("a"))
    with journal.keeper("me") as keeper:
        lost = lose_answer(journal, monkeypatch, 1)
        assert journal.claims.take(run, Job("a", Work.CHANGE), keeper, 1.0)
        assert lost == [1]


@pytest.mark.parametrize("number", range(2, 10))
def test_a_run_in_which_an_answer_was_lost_is_changed_and_every_step_is_done_once(
    journal, monkeypatch, tmp_path, number
):
    cloud = ToyCloud(tmp_path / "cloud")
    engine = make_engine(journal, cloud)
    run = engine.start(make_plan("a"))
    lost = lose_answer(journal, monkeypatch, number)
    try:
        engine.run(run)
    finally:
        assert lost == [number]
        assert journal.subject(run, "a").state is State.CHANGED
        assert len(cloud.deeds) == len(set(cloud.deeds)) == 5
    assert journal.run(run).state == "changed"
