"""A process that is killed, and the one that goes on with its journal."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows.crash import Scenario, kill_points, settle_down
from tests.unit.engine_toy import ToyCloud, make_engine, make_plan, open_journal
from upgrade_flows.model.report import State

ROOT = Path(__file__).parents[2]


def kill(folder, doom, work, run):
    """Run an operation in a process of its own, which SIGKILLs itself in the middle of a step."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.engine_toy", str(folder), doom, work, run],
        cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -9


@pytest.fixture
def place(tmp_path):
    journal = open_journal(tmp_path)
    cloud = ToyCloud(tmp_path / "cloud")
    engine = make_engine(journal, cloud)
    yield tmp_path, journal, cloud, engine
    journal.close()


@pytest.mark.parametrize("victim", ["observe:a", "restore:a", "do:left-a", "verify:a"])
def test_after_a_kill_only_the_step_that_was_under_way_runs_twice(place, victim):
    folder, journal, cloud, engine = place
    run = engine.start(make_plan("a"))
    kill(folder, f"{victim} do", "run", run)
    assert journal.subject(run, "a").state is State.CHANGING
    assert engine.resume(run) == "changed"
    counts = Counter(cloud.deeds)
    assert counts.pop(f"{victim} do") == 2
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("victim", ["observe:a", "restore:a", "do:right-a", "verify:a"])
def test_after_a_kill_in_the_middle_of_an_undo_it_goes_on_backwards(place, victim):
    folder, journal, cloud, engine = place
    run = engine.start(make_plan("a"))
    engine.run(run)
    kill(folder, f"{victim} undo", "rollback", run)
    assert journal.subject(run, "a").state is State.UNDOING
    assert engine.resume(run) == "undone"
    counts = Counter(cloud.deeds)
    assert counts.pop(f"{victim} undo") == 2
    assert set(counts.values()) == {1}
    assert len(counts) == 9


@pytest.mark.parametrize("victim", ["observe:a", "do:right-a", "verify:a"])
def test_a_killed_change_can_be_undone_instead_also_the_step_that_was_under_way(place, victim):
    folder, _, cloud, engine = place
    run = engine.start(make_plan("a"))
    kill(folder, f"{victim} do", "run", run)
    done = [deed.split()[0] for deed in cloud.deeds]
    assert engine.rollback(run) == "undone"
    undone = [deed.split()[0] for deed in cloud.deeds[len(done) :]]
    assert undone[0] == victim
    assert sorted(undone) == sorted(done)


def test_a_killed_settling_goes_on(place):
    folder, journal, cloud, engine = place
    run = engine.start(make_plan("a"))
    engine.run(run)
    kill(folder, "do:forget-a do", "commit", run)
    assert journal.subject(run, "a").state is State.SETTLING
    assert engine.resume(run) == "settled"
    assert cloud.deeds[5:] == ["do:delete-a do", "do:forget-a do", "do:forget-a do"]


def toy_scenario(*operations):
    return Scenario(
        build=lambda folder: ToyCloud(folder / "cloud"),
        plan=lambda cloud: make_plan("a"),
        engine=make_engine,
        operations=operations,
        snapshot=lambda cloud: cloud.path.read_text(),
        restore=_restored,
        hook=_hook,
        every_commit="rollback" in operations,
    )


def _restored(snapshot, folder):
    (folder / "cloud").write_text(snapshot)
    return ToyCloud(folder / "cloud")


def _hook(cloud, callback):
    do = cloud.do

    def hooked(step, verb):
        callback("do", (step, verb), "before")
        do(step, verb)
        callback("do", (step, verb), "after")

    cloud.do = hooked


@pytest.mark.parametrize(
    ("operations", "end"),
    [(("run",), "changed"), (("run", "rollback"), "undone"), (("run", "commit"), "settled")],
)
def test_killed_at_any_instant_a_run_ends_as_if_nothing_had_happened(tmp_path, operations, end):
    scenario = toy_scenario(*operations)
    points = kill_points(scenario, tmp_path)
    expected = set((tmp_path / "cloud").read_text().splitlines())
    assert len(points) > 20
    for point in points:
        cloud, journal, run = settle_down(scenario, point)
        journal.close()
        deeds = Counter(cloud.deeds)
        assert set(deeds) == expected, point.label
        assert max(deeds.values()) <= 2, point.label
        assert sum(count == 2 for count in deeds.values()) <= 1, point.label
        assert journal.run(run).state == end, point.label


def test_killed_at_any_instant_of_a_failure_the_error_survives(tmp_path):
    def engine(journal, cloud, **options):
        cloud.orders["verify:a", "do"] = fail
        return make_engine(journal, cloud, **options)

    def fail():
        raise RuntimeError("the guest is silent")

    scenario = replace(toy_scenario("run"), engine=engine)
    for point in kill_points(scenario, tmp_path):
        cloud, journal, run = settle_down(scenario, point)
        record = journal.subject(run, "a")
        journal.close()
        assert (record.state, record.error) == (
            State.FAILED, "verify:a: the guest is silent",
        ), point.label  # fmt: skip
        assert [deed for deed in cloud.deeds if deed.endswith("undo")][-1] == "observe:a undo"
