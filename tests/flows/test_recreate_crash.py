"""Killed before, inside or after any step of ``recreate``, it ends as if nothing had happened."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import pytest
from taskflow import engines

from tests.expectations import marked
from tests.flows.crash import Scenario, distinct, fresh, kill_points, settle_down
from tests.flows.difference import difference, told_by_first_ids
from tests.flows.scenes import (
    CASES,
    OLD,
    PLUGINS,
    Sabotage,
    build,
    cloud_with,
    plan_for,
    reverted,
    sabotage,
    steps_of,
    told_apart_only_by_id,
)
from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model import codec
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Settings

STRATEGIES = {strategy for strategy, _ in CASES.values()}

#: strategies whose originals are gone, so that a rollback rebuilds them
REBUILT = ("recreate", "snapshot")

#: all that is accepted is done a moment later: every wait looks twice
SOON = 0.04

SHOWN = [(case, "ACTIVE") for case in CASES] + [
    (case, "SHUTOFF") for case in ("rebind", "shelve-volume")
]


class OldModeBeforeRollback(Engine):
    """An engine whose operator brings the host back to its old mode before a rollback."""

    def rollback(self, run_id, subjects=None):
        self._tools.cloud.set_mode("h1", OLD)
        return super().rollback(run_id, subjects)


class Killed:
    """One instance that is changed and then rolled back or committed, killed at every instant.

    :param engine: what carries the run out, and goes on with it in another process.
    :param ways: by what was done after the change, the instants and the uninterrupted end.
    """

    def __init__(self, case, status, folder, engine=OldModeBeforeRollback):
        self.case, self.status = case, status
        self.before = self.original().state(bindings=True)
        self.scenario = Scenario(
            build=lambda _: self.original(),
            plan=self.plan,
            engine=lambda journal, cloud, **more: engine(
                journal, cloud, self.plugins(cloud), self.settings, **more
            ),
        )
        self.points, self.ends = {}, {}
        for way in ("rollback", "commit"):
            self._pass(way, folder / way)
        # taken back before there was a result, or before anything was touched
        back = self.ends["rollback"]
        self.ends["as it was"] = {key: back[key] for key in ("run", "residue", "cloud")}
        self.ends["never begun"] = {"residue": [], "cloud": self.untouched()}

    settings = Settings()

    def plan(self, cloud):
        return plan_for(self.case, cloud, self.server)

    def plugins(self, cloud):
        return PLUGINS

    def untouched(self):
        """Return the state of the cloud in which nothing was ever done, in the old mode."""
        cloud = self.original()
        cloud.set_mode("h1", OLD)
        return cloud.state(bindings=True)

    def original(self):
        cloud, self.server = cloud_with(self.case, self.status)
        cloud.durations.update(dict.fromkeys(cloud.durations, SOON))
        return cloud

    def _pass(self, way, folder):
        folder.mkdir()
        made = []
        scenario = dataclasses.replace(
            self.scenario,
            operations=("run", way),
            build=lambda _: made.append(self.original()) or made[0],
        )
        points = kill_points(scenario, folder)
        changed = next(point for point in points if point.operation == 1)
        self.points["run"] = distinct(point for point in points if point.operation == 0)
        self.points[way] = distinct(point for point in points if point.operation == 1)
        for name, cloud, place in (
            ("run", FakeCloud.restored(changed.snapshot), changed.folder),
            (way, made[0], folder),
        ):
            journal = Journal.open(f"sqlite:///{place}/journal.db")
            self.ends[name] = self.end(cloud, journal)
            journal.close()

    def end(self, cloud, journal):
        """Return all that an end is told by, whatever ids were given on the way to it."""
        (run,) = journal.runs()
        record = journal.subject(run.id, self.server)
        state = cloud.state(bindings=True)
        timeless = {"measured_downtime_s": None, "downtime_by_actions_s": None}
        told = {
            "run": run.state,
            "state": record.state,
            "error": record.error,
            "residue": codec.to_plain(record.residue),
            "result": record.result and {**record.result, **timeless},
            "cloud": state,
        }
        return told_by_first_ids(state, self.before, run.id, told)

    def wrong(self, killed, *wanted, instead=None):
        """Go on from every instant; return those that come to no wanted end, and what differs."""
        scenario = dataclasses.replace(
            self.scenario, operations=("run",) if killed == "run" else ("run", killed)
        )
        found = {}
        for point in self.points[killed]:
            try:
                cloud, journal, _ = settle_down(scenario, fresh(point), instead)
            except Exception as exc:
                found[point.label] = repr(exc)
                continue
            ended = self.end(cloud, journal)
            journal.close()
            differs = [
                difference(end, {key: ended[key] for key in end})
                for end in (self.ends[name] for name in wanted)
            ]
            if all(differs):
                found[point.label] = min(differs, key=len)
        return found


@pytest.fixture(scope="module")
def killed(request):
    """Return the instants of one case; on a file system in memory, for nothing is to last."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield Killed(*request.param, folder)
    shutil.rmtree(folder)


def over(shown):
    """Parametrise a test by cases; one after the other, a case's instants are made only once."""
    names = [f"{case}-{status}" for case, status in shown]
    return pytest.mark.parametrize("killed", shown, indirect=True, ids=names)


every_case = over(SHOWN)
one_of_each_strategy = over([s for s in SHOWN if s[0] in STRATEGIES and s[1] == "ACTIVE"])


@every_case
def test_uninterrupted_a_change_is_taken_back_or_settled_and_leaves_nothing(killed):
    run, back, settled = killed.ends["run"], killed.ends["rollback"], killed.ends["commit"]
    assert (run["run"], run["state"], run["error"]) == ("changed", State.CHANGED, "")
    assert (settled["state"], settled["residue"]) == (State.SETTLED, [])

    original = killed.untouched()
    if CASES[killed.case][0] in REBUILT:
        assert back["state"] == State.RESIDUE
        assert "was rebuilt as new-servers-0" in back["residue"][0]["why"]
        rebuilt = told_apart_only_by_id(back["cloud"], "new-servers-0", killed.server)
        assert difference(original, rebuilt) == {}
    else:
        assert (back["state"], back["residue"]) == (State.UNDONE, [])
        assert difference(original, back["cloud"]) == {}

    (now,) = settled["cloud"]["servers"].values()
    assert (now["name"], now["tags"][0], now["locked"]) == ("web", "blue", False)
    assert marked(now["tags"]) == []
    assert set(settled["cloud"]["keypairs"]) == {"user-1"}
    kept = {"new-images-0"} if killed.case == "snapshot" else set()
    assert set(settled["cloud"]["images"]) - set(killed.before["images"]) == kept


@every_case
def test_killed_anywhere_and_resumed_a_change_ends_the_same(killed):
    assert len(killed.points["run"]) > 12
    assert killed.wrong("run", "run") == {}


@one_of_each_strategy
def test_killed_anywhere_and_rolled_back_instead_a_change_leaves_the_original(killed):
    # killed before the original is deleted, there is nothing to rebuild
    assert killed.wrong("run", "as it was", "never begun", instead="rollback") == {}


@every_case
def test_killed_anywhere_a_rollback_goes_on_to_the_original(killed):
    assert len(killed.points["rollback"]) > 12
    assert killed.wrong("rollback", "rollback") == {}


@every_case
def test_killed_anywhere_a_commit_goes_on_to_its_end(killed):
    assert killed.wrong("commit", "commit") == {}


def test_a_borrowed_key_that_cannot_be_given_back_does_not_keep_the_replacement():
    cloud, server = cloud_with("snapshot")
    flow = build("snapshot", cloud, server)
    victim = f"compare-identity:{server}"
    own = cloud.direct.compute.own_user_id()

    def lose():
        cloud.set_mode("h1", OLD)
        (create,) = [step for step in steps_of(flow) if step.name.startswith("create-repl")]
        cloud.add_key(own, "key-1", f"ssh-ed25519 AAAAkey-1 {create.short_tag}")
        cloud.faults.fail("compute.delete_keypair", errors.Forbidden("not today"), times=99)

    engine = engines.load(sabotage(flow, victim, lose))
    with pytest.raises(Sabotage):
        engine.run()

    left = {s.name.partition(":")[0]: r for s in steps_of(flow) if (r := reverted(engine, s.name))}
    assert left["create-replacement"]["residue"]["why"] == "not today"
    assert len(cloud.direct.compute.servers()) == 1
