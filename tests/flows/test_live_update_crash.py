"""Killed before, inside or after any step of a live update, it ends as if nothing had happened."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.flows.conducted import Conducted
from tests.flows.difference import difference
from tests.flows.killed_live import KilledLive
from tests.flows.live_scenes import CASES
from upgrade_flows.engine.operations import Engine
from upgrade_flows.model.report import State


@pytest.fixture(scope="module")
def killed(request):
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    case, engine = request.param
    yield KilledLive(case, folder, engine)
    shutil.rmtree(folder)


BY_HAND = [(case, Engine) for case in CASES]
BY_CONDUCTORS = [(case, Conducted) for case in ("image-hot", "volume-update")]


def over(shown):
    names = [f"{case}-{engine.__name__}" for case, engine in shown]
    return pytest.mark.parametrize("killed", shown, indirect=True, ids=names)


every_way = over(BY_HAND + BY_CONDUCTORS)


@every_way
def test_uninterrupted_it_is_taken_back_or_settled_and_leaves_nothing(killed):
    run, back, settled = killed.ends["run"], killed.ends["rollback"], killed.ends["commit"]
    assert (run["run"], run["state"], run["error"]) == ("changed", State.CHANGED, "")
    assert (back["state"], back["residue"]) == (State.UNDONE, [])
    assert difference(killed.untouched(), back["cloud"]) == {}
    assert (settled["state"], settled["residue"]) == (State.SETTLED, [])
    assert run["serving"] == back["serving"] == settled["serving"] == 1


@every_way
def test_killed_anywhere_and_resumed_it_ends_the_same(killed):
    assert len(killed.points["run"]) > 30
    assert killed.wrong("run", "run") == {}


@every_way
def test_killed_anywhere_and_rolled_back_instead_the_original_serves(killed):
    assert killed.wrong("run", "as it was", "never begun", instead="rollback") == {}


@every_way
def test_killed_anywhere_a_rollback_goes_on_to_the_original(killed):
    assert len(killed.points["rollback"]) > 30
    assert killed.wrong("rollback", "rollback") == {}


@every_way
def test_killed_anywhere_a_commit_goes_on_to_its_end(killed):
    assert len(killed.points["commit"]) > 5
    assert killed.wrong("commit", "commit") == {}
