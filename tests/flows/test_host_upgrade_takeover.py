"""A conductor is killed before, inside or after any step of a host's upgrade; another goes on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.flows.conducted import Conducted
from tests.flows.killed_hosts import KilledHost
from tests.flows.rolling_scenes import plugins
from upgrade_flows.steps.base import Settings


def conductors(journal, cloud, **more):
    return Conducted(journal, cloud, plugins(cloud), Settings(reboot_s=300.0), **more)


@pytest.fixture(scope="module")
def killed():
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield KilledHost(folder, conductors, every=2)
    shutil.rmtree(folder)


def test_uninterrupted_conductors_come_to_the_same_ends_as_the_command_line(killed):
    run, back = killed.ends["run"], killed.ends["rollback"]
    assert (run["run"], run["state"], run["error"]) == ("changed", "changed", "")
    assert run["in service"] == [("h1", True, None, "new", "new"), ("h2", True, None, "old", "old")]
    assert (back["run"], back["state"], back["residue"]) == ("undone", "undone", [])
    assert back["in service"] == [
        ("h1", True, None, "old", "old"),
        ("h2", True, None, "old", "old"),
    ]


def test_another_conductor_ends_the_upgrade_as_if_nothing_had_happened(killed):
    assert len(killed.points["run"]) > 35
    assert killed.wrong("run", killed.ends["run"]) == {}


def test_another_conductor_takes_back_what_was_killed_on_the_way(killed):
    keys = ("residue", "servers", "in service", "migrations")
    wanted = {key: killed.ends["rollback"][key] for key in keys}
    assert killed.wrong("run", wanted, instead="rollback") == {}


def test_another_conductor_ends_the_rollback_as_if_nothing_had_happened(killed):
    assert len(killed.points["rollback"]) > 15
    wanted = {k: v for k, v in killed.ends["rollback"].items() if k not in ("boots", "result")}
    assert killed.wrong("rollback", wanted) == {}
