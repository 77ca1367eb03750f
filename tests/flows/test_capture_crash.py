"""Killed before, inside or after any step of a capture, it ends as if nothing had happened."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.flows.capture_scenes import cloud_with, plan_for
from tests.flows.difference import difference
from tests.flows.test_recreate_crash import SOON, Killed
from upgrade_flows.engine.operations import Engine
from upgrade_flows.model.report import State


class KilledCapture(Killed):
    """One instance that is captured; the image is then taken back or kept."""

    def __init__(self, case, folder):
        super().__init__(case, "ACTIVE", folder, Engine)

    def original(self):
        cloud, self.server = cloud_with(self.case)
        cloud.durations.update(dict.fromkeys(cloud.durations, SOON))
        return cloud

    def untouched(self):
        return self.original().state(bindings=True)

    def plan(self, cloud):
        return plan_for(self.case, cloud, self.server)

    def end(self, cloud, journal):
        """Return what an end is told by; how long the trial took does not matter."""
        told = super().end(cloud, journal)
        if told["result"]:
            told["result"]["image"]["verified"] = None
        return told


@pytest.fixture(scope="module")
def killed(request):
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield KilledCapture(request.param, folder)
    shutil.rmtree(folder)


every_case = pytest.mark.parametrize(
    "killed", ["image-data-stopped", "volume-data-stopped", "volume"], indirect=True
)


@every_case
def test_uninterrupted_it_is_taken_back_or_kept_and_leaves_nothing_else(killed):
    run, back, settled = killed.ends["run"], killed.ends["rollback"], killed.ends["commit"]
    assert (run["run"], run["state"], run["error"]) == ("changed", State.CHANGED, "")
    assert (back["state"], back["residue"]) == (State.UNDONE, [])
    assert difference(killed.untouched(), back["cloud"]) == {}
    assert (settled["state"], settled["residue"]) == (State.SETTLED, [])
    names = {image["name"] for image in settled["cloud"]["images"].values()}
    assert "golden" in names


@every_case
def test_killed_anywhere_and_resumed_it_ends_the_same(killed):
    assert len(killed.points["run"]) > 20
    assert killed.wrong("run", "run") == {}


@every_case
def test_killed_anywhere_and_rolled_back_instead_nothing_is_left(killed):
    assert killed.wrong("run", "as it was", "never begun", instead="rollback") == {}


@every_case
def test_killed_anywhere_a_rollback_goes_on_to_its_end(killed):
    assert killed.wrong("rollback", "rollback") == {}


@every_case
def test_killed_anywhere_a_commit_goes_on_to_its_end(killed):
    assert killed.wrong("commit", "commit") == {}
