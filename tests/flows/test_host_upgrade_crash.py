"""Killed before, inside or after any step of a host's upgrade, it ends as if nothing had been."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.flows.killed_hosts import KilledHost


@pytest.fixture(scope="module", params=["quick", "slow", "brings back", "two hosts"])
def killed(request):
    """Return the instants; on a file system in memory, for nothing is to last."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    if request.param == "brings back":
        yield KilledHost(folder, every=3, bring_back=True)
    elif request.param == "two hosts":
        yield KilledHost(folder, every=3, hosts=("h1", "h2"), targets=())
    else:
        yield KilledHost(folder, slow=request.param == "slow", every=2)
    shutil.rmtree(folder)


def test_uninterrupted_a_host_is_upgraded_and_taken_back(killed):
    run, back = killed.ends["run"], killed.ends["rollback"]
    assert (run["run"], run["state"], run["error"]) == ("changed", "changed", "")
    assert run["in service"] == [
        (name, True, None, *(["new"] * 2 if name in killed.hosts else ["old"] * 2))
        for name in ("h1", "h2")
    ]
    assert (back["run"], back["state"], back["residue"]) == ("undone", "undone", [])
    assert back["in service"] == [
        ("h1", True, None, "old", "old"),
        ("h2", True, None, "old", "old"),
    ]
    assert run["servers"] == back["servers"]
    assert (run["migrations"], run["leases"], back["leases"]) == ([], 0, 0)


def test_killed_anywhere_and_resumed_it_ends_the_same(killed):
    assert len(killed.points["run"]) > 20
    assert killed.wrong("run", killed.ends["run"]) == {}


def test_killed_anywhere_and_rolled_back_instead_nothing_of_it_is_left(killed):
    keys = ("residue", "servers", "in service", "migrations")
    wanted = {key: killed.ends["rollback"][key] for key in keys}
    assert killed.wrong("run", wanted, instead="rollback") == {}


def test_killed_anywhere_a_rollback_goes_on_to_the_same_end(killed):
    assert len(killed.points["rollback"]) > 8
    wanted = {k: v for k, v in killed.ends["rollback"].items() if k not in ("boots", "result")}
    assert killed.wrong("rollback", wanted) == {}


def test_undisturbed_a_host_is_booted_once_on_each_way(killed):
    number = len(killed.hosts) - 1
    assert killed.ends["run"]["boots"] == {"h1": 1, "h2": number}
    assert killed.ends["rollback"]["boots"] == {"h1": 2, "h2": 2 * number}
