"""A simulation from its plan to its report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.ledger import Observer
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.flows.host_upgrade.rules import LEAVING, How
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Report, State
from upgrade_flows.planning import hosts, planner
from upgrade_flows.planning.rolling import Ground
from upgrade_flows.plugins.host.simulated import SimulatedHosts
from upgrade_flows.plugins.registry import Registry
from upgrade_flows.reports import build
from upgrade_flows.simulation import measure, scene
from upgrade_flows.simulation.course import SimulatedEngine, told
from upgrade_flows.simulation.faults import WhatIf
from upgrade_flows.simulation.report import SimulationReport, Unmoved
from upgrade_flows.steps.base import Plugins, Settings
from upgrade_flows.steps.vault import Vault

#: where a journal that nobody keeps costs no disk, if there is such a place
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it


def simulate(
    plan: Plan,
    what_if: WhatIf,
    plugins: Plugins,
    settings: Settings | None = None,
    observer: Observer | None = None,
) -> SimulationReport:
    """Play a rolling upgrade of hosts through on a cloud in memory, and say what came of it.

    No cloud is asked, and nothing is kept.  What happens is up to the engine, the schedule and
    the flows that a run has, with the deadlines of ``settings``.

    :param observer: called with each event; its times are simulated epoch seconds.
    :raises RequestError: the plan has no schedule, was edited, or a share makes no sense.
    """
    what_if.check()
    scene.refuse_others(plan)
    ground = hosts.ground_of(plan.schedule, plugins)
    cloud = scene.build(plan, ground, what_if.slower)
    what_if.arm(cloud)
    made = scene.plan_for(cloud, plan)
    simulated = SimulatedHosts(cloud, scene.reboots(plan))
    known = Registry(plugins.network, plugins.storage, {scene.PLUGIN: simulated}, plugins.placement)
    with _journal() as journal:
        engine = SimulatedEngine(
            journal,
            cloud,
            known,
            settings or Settings(),
            observer=observer,
            verify=functools.partial(planner.verify, cloud, known),
            vault=Vault.temporary(),
        )
        began = cloud.clock.time()
        run_id = engine.start(made)
        state = engine.run(run_id)
        report = build.build(journal, run_id)
        subjects = journal.subjects(run_id)
    base = min((s.started for s in subjects.values() if s.started is not None), default=began)
    cloud.direct  # noqa: B018 - brings the cloud up to the time of its clock
    moved = measure.flights(cloud.world, base)
    away = measure.absences(subjects, engine.events, base)
    took = measure.ends(moved, away)
    peaks = measure.peaks(ground, moved, away)
    roll = measure.roll_of(ground, subjects, moved, away)
    predicted = hosts.roll_of(plan.schedule)
    through = [one.instance for one in moved if not one.failed]
    returns = Options.read(plan.request.target.options).bring_back
    return SimulationReport(
        what_if=what_if,
        state=str(state),
        halted=engine.halted,
        predicted_s=float(predicted.makespan),
        bound_s=float(predicted.bound.seconds),
        simulated_s=took,
        hosts=len(plan.actions),
        upgraded=sum(one.state is State.CHANGED for one in subjects.values()),
        held={n: one.error for n, one in subjects.items() if _ended_badly(one.state)},
        pending=tuple(n for n, one in subjects.items() if one.state is State.PENDING),
        moves=len(through),
        predicted_moves=predicted.moved.total(),
        failed_moves=sum(one.failed and not one.refused for one in moved),
        refused_moves=sum(one.refused for one in moved),
        twice=sum(times > 1 for times in Counter(through).values()),
        predicted_twice=len(predicted.twice),
        unmoved=tuple(_unmoved(made, cloud, engine, ground, subjects)),
        peaks=peaks,
        exceeded=measure.exceeded(ground, roll, peaks, returns),
        report=_timed(report, base, took),
    )


@contextlib.contextmanager
def _journal() -> Iterator[Journal]:
    """Yield a journal that is gone afterwards."""
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(
        prefix="upgrade-flows-", dir=_MEMORY if usable else None
    ) as path:
        journal = Journal.open(f"sqlite:///{path}/journal.sqlite")
        sa.event.listen(journal.engine, "connect", _hurry)
        journal.engine.dispose()
        try:
            yield journal
        finally:
            journal.close()


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # it need not outlive us


def _ended_badly(state: State) -> bool:
    return state not in (State.CHANGED, State.PENDING)


def _unmoved(
    plan: Plan,
    cloud: FakeCloud,
    engine: SimulatedEngine,
    ground: Ground,
    subjects: dict[str, Any],
) -> Iterator[Unmoved]:
    """Yield the instances that were to leave a host, and are still on it: it was given up."""
    reasons = {said["instance"]: said["why"] for _, said in told(engine.events, "unmoved")}
    for action in plan.actions:
        if not _ended_badly(subjects[action.subject].state):
            continue
        for key in cloud.world.servers_on.get(action.subject, {}):
            details = action.details["instances"].get(key)
            how = details["how"] if details else How.LIVE
            if key in reasons and (how in LEAVING or how == How.WAIT):
                name = cloud.world.instance(key).server.name
                yield Unmoved(key, name, action.subject, reasons[key])


def _timed(report: Report, base: float, took: float) -> Report:
    """Return a report whose run began and ended when its hosts did, in simulated time."""
    return dataclasses.replace(report, started=base, ended=base + took)
