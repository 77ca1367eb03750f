"""A conductor is killed before, inside or after any step of ``recreate``; another one goes on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.flows.conducted import Conducted
from tests.flows.scenes import OLD
from tests.flows.test_recreate_crash import REBUILT, SHOWN, STRATEGIES, Killed
from upgrade_flows.model.report import State

CASES = [case for case, status in SHOWN if case in STRATEGIES and status == "ACTIVE"]


class OldModeBeforeRollback(Conducted):
    """Conductors whose operator brings the host back to its old mode before a rollback."""

    def rollback(self, run_id):
        self.cloud.set_mode("h1", OLD)
        super().rollback(run_id)


@pytest.fixture(scope="module", params=CASES)
def killed(request):
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield Killed(request.param, "ACTIVE", folder, OldModeBeforeRollback)
    shutil.rmtree(folder)


def test_uninterrupted_conductors_come_to_the_same_ends_as_the_command_line(killed):
    run, back, settled = (killed.ends[way] for way in ("run", "rollback", "commit"))
    assert (run["run"], run["state"], run["error"]) == ("changed", State.CHANGED, "")
    rebuilt = killed.case in REBUILT
    assert back["state"] == (State.RESIDUE if rebuilt else State.UNDONE)
    assert (settled["state"], settled["residue"]) == (State.SETTLED, [])


def test_another_conductor_ends_the_change_as_if_nothing_had_happened(killed):
    assert len(killed.points["run"]) > 12
    assert killed.wrong("run", "run") == {}


def test_another_conductor_ends_the_rollback_as_if_nothing_had_happened(killed):
    assert len(killed.points["rollback"]) > 12
    assert killed.wrong("rollback", "rollback") == {}


def test_another_conductor_takes_back_what_was_killed_on_the_way(killed):
    assert killed.wrong("run", "as it was", "never begun", instead="rollback") == {}


def test_another_conductor_ends_the_commit_as_if_nothing_had_happened(killed):
    assert killed.wrong("commit", "commit") == {}
