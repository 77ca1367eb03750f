"""The journal on a database server: MariaDB, as a team that shares its runs would have it."""

from __future__ import annotations

import pytest

from tests.flows.scenes import OLD, PLUGINS, cloud_with, plan_for
from tests.lab import database
from upgrade_flows import errors
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Settings

NAME = "upgrade_flows_journal"


@pytest.fixture
def url(lab):
    database.query(lab, f"DROP DATABASE IF EXISTS {NAME}")
    database.query(lab, f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4")
    yield lab.database_url(NAME)
    database.query(lab, f"DROP DATABASE {NAME}")


@pytest.mark.parametrize("case", ["rebind", "snapshot"])
def test_a_run_is_changed_by_one_process_and_rolled_back_by_another(url, case, tmp_path):
    cloud, server = cloud_with(case)
    key = tmp_path / "key"
    first = Journal.open(url, key)
    engine = Engine(first, cloud, PLUGINS, Settings(), owner="one")
    run_id = engine.start(plan_for(case, cloud, server))
    engine.run(run_id)
    assert first.subjects(run_id)[server].state is State.CHANGED
    first.close()

    second = Journal.open(url, key)
    cloud.set_mode("h1", OLD)
    Engine(second, cloud, PLUGINS, Settings(), owner="two").rollback(run_id)
    state = second.subjects(run_id)[server].state
    second.close()
    assert state is (State.UNDONE if case == "rebind" else State.RESIDUE)
    assert [s.status for s in cloud.direct.compute.servers()] == ["ACTIVE"]


def test_without_a_key_file_it_says_what_to_do(url):
    cloud, _ = cloud_with("rebind")
    with pytest.raises(errors.JournalError, match=r"set \[journal\] key_file"):
        Engine(Journal.open(url), cloud, PLUGINS, Settings())
