"""``kill -9`` at every instant of a run, without killing anything.

At an instant the journal is copied and the cloud is snapshotted; the rest of the process then
goes its way, which nobody looks at.  The two copies are what a killed process would have left.
One pass over a scenario yields them for all instants.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan

_COPIES = itertools.count()


@dataclass(frozen=True)
class Scenario:
    """What is run and killed.

    :param build: makes the cloud, given a folder that it may use.
    :param plan: makes the plan, by looking at the cloud.
    :param engine: ``engine(journal, cloud, observer=...)``.
    :param operations: methods of the engine, called one after the other with the run's id.
    :param hook: has a callback called around every API call, ``callback(call, args, phase)``.
    :param every_commit: whether to be killed also before each commit to the journal.
    :param may_raise: what an operation may raise (a planned failure of the scenario).
    """

    build: Callable[[Path], Any]
    plan: Callable[[Any], Plan]
    engine: Callable[..., Engine]
    operations: tuple[str, ...] = ("run",)
    snapshot: Callable[[Any], Any] = lambda cloud: cloud.snapshot()
    restore: Callable[[Any, Path], Any] = lambda snapshot, _folder: _fake().restored(snapshot)
    hook: Callable[[Any, Callable[..., None]], None] = lambda cloud, cb: cloud.faults.hook(cb)
    every_commit: bool = False
    may_raise: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True)
class Point:
    """What a kill at one instant leaves: a journal, a cloud, and the operation under way."""

    label: str
    folder: Path
    snapshot: Any
    run_id: str
    operation: int


@dataclass
class _Camera:
    scenario: Scenario
    folder: Path
    cloud: Any
    run_id: str = ""
    operation: int = 0
    step: str = ""
    points: list[Point] = field(default_factory=list)

    def take(self, label: str) -> None:
        number = len(self.points)
        target = self.folder / f"killed-{number:04}"
        target.mkdir()
        _copy_journal(self.folder / "journal.db", target / "journal.db")
        shutil.copy(self.folder / "journal.db.key", target)
        operation = self.scenario.operations[self.operation]
        self.points.append(
            Point(
                f"{number}: {operation}: {label}", target,
                self.scenario.snapshot(self.cloud), self.run_id, self.operation,
            )
        )  # fmt: skip

    def on_event(self, event: Event) -> None:
        self.step = event.step or event.subject
        self.take(f"{self.step} {event.what}")

    def on_call(self, call: str, args: tuple[Any, ...], phase: str) -> None:
        self.take(f"{self.step}: {phase} {call}{args!r}")

    def on_commit(self, _conn: sa.Connection) -> None:
        self.take(f"{self.step}: before a commit")


def kill_points(scenario: Scenario, folder: Path) -> list[Point]:
    """Run a scenario once and return what a kill leaves at each of its instants.

    These are: before and after each step (its start and end are noted in the journal), before
    and after the effect of each API call inside of it, and, if asked for, before each commit.
    """
    cloud = scenario.build(folder)
    journal = Journal.open(f"sqlite:///{folder}/journal.db")
    camera = _Camera(scenario, folder, cloud)
    engine = scenario.engine(journal, cloud, observer=camera.on_event)
    camera.run_id = engine.start(scenario.plan(cloud))
    scenario.hook(cloud, camera.on_call)
    if scenario.every_commit:
        sa.event.listen(journal.engine, "commit", camera.on_commit)
    for index, operation in enumerate(scenario.operations):
        camera.operation = index
        camera.take("begins")
        _operate(scenario, engine, operation, camera.run_id)
    if scenario.every_commit:
        sa.event.remove(journal.engine, "commit", camera.on_commit)
    journal.close()
    return camera.points


def distinct(points: Iterable[Point]) -> list[Point]:
    """Return the points without those that left the very same as an earlier one."""
    found: dict[Any, Point] = {}
    for point in points:
        journal = (point.folder / "journal.db").read_bytes()
        key = (point.operation, point.snapshot, hashlib.sha256(journal).digest())
        found.setdefault(key, point)
    return list(found.values())


def fresh(point: Point) -> Point:
    """Return a copy of what a kill left: going on from it changes the journal."""
    folder = point.folder.with_name(f"{point.folder.name}-{next(_COPIES)}")
    shutil.copytree(point.folder, folder)
    return replace(point, folder=folder)


def settle_down(
    scenario: Scenario, point: Point, instead: str | None = None
) -> tuple[Any, Journal, str]:
    """Go on from a kill as an operator would; return the cloud, the journal and the run's id.

    The run is resumed by a new engine; then the operation that was killed is asked for again
    (it may not have been noted yet), and those that come after it.

    :param instead: the one operation that is asked for, rather than all of this.
    """
    cloud = scenario.restore(point.snapshot, point.folder)
    journal = Journal.open(f"sqlite:///{point.folder}/journal.db")
    engine = scenario.engine(journal, cloud)
    if instead is not None:
        _operate(scenario, engine, instead, point.run_id)
        return cloud, journal, point.run_id
    _operate(scenario, engine, "resume", point.run_id)
    for operation in scenario.operations[point.operation :]:
        if operation != "run":  # which is what resuming does
            _operate(scenario, engine, operation, point.run_id)
    return cloud, journal, point.run_id


def _operate(scenario: Scenario, engine: Engine, operation: str, run_id: str) -> None:
    with suppress(*scenario.may_raise):
        getattr(engine, operation)(run_id)


def _copy_journal(source: Path, target: Path) -> None:
    """Copy what is committed, and let the leases be those of a process that is gone."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        new.execute("PRAGMA synchronous=OFF")
        old.backup(new)
        new.execute("UPDATE owners SET expires = 0")
        new.commit()


def _fake() -> Any:
    from upgrade_flows.cloud.fake import FakeCloud

    return FakeCloud
