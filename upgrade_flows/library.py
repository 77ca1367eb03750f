"""Everything put together, for other programs: from a cloud's name to a report.

The functions are what the command line does, without its questions and tables::

    cloud = connect("my-cloud")
    request = UpgradeRequest("recreate", Scope(hosts=("compute-7",)))
    made = plan(cloud, request)
    report = run(cloud, made)

With conductors, ``submit`` and ``watch`` take the place of ``run``.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from upgrade_flows import checks
from upgrade_flows.checks.database import access
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.cloud.clients import connect
from upgrade_flows.cloud.collect import collect
from upgrade_flows.conf import paths
from upgrade_flows.dispatch import Dispatcher
from upgrade_flows.engine.boards import open_board
from upgrade_flows.engine.leases import process_owner
from upgrade_flows.engine.ledger import Observer
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.model.check import CheckReport
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Report
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.planning import planner
from upgrade_flows.plugins import registry
from upgrade_flows.reports import build, follow
from upgrade_flows.simulation import SimulationReport, WhatIf
from upgrade_flows.simulation import simulate as _simulate
from upgrade_flows.steps.base import Settings

__all__ = [
    "check",
    "commit",
    "connect",
    "inventory",
    "pause",
    "plan",
    "plugins",
    "report",
    "resume",
    "rollback",
    "run",
    "simulate",
    "skip",
    "submit",
    "watch",
]


@functools.cache
def plugins() -> registry.Registry:
    """Return the plugins of this process, all of them loaded and complete.

    :raises PluginError: one does not load; the message holds all reasons.
    """
    return registry.load()


def inventory(cloud: Cloud, scope: Scope) -> Inventory:
    """Read a cloud; nothing is changed.

    :raises RequestError: the scope names what does not exist.
    """
    return collect(cloud, scope)


def plan(cloud: Cloud, request: UpgradeRequest) -> Plan:
    """Work a request out; nothing is changed.

    :raises RequestError: the request cannot be understood, or names what does not exist.
    """
    more = capability.reads(request.capability)
    return planner.make_plan(request, collect(cloud, request.scope, None, **more), plugins())


def check(
    cloud: Cloud | None = None,
    areas: Sequence[str] = (),
    databases: Mapping[str, str] | None = None,
    target: str = "",
    waivers: Path | None = None,
    upstream: Sequence[Sequence[str]] = (),
    limits: checks.Limits | None = None,
) -> CheckReport:
    """Look for what stands in the way of an upgrade; nothing is changed.

    :param cloud: the cloud to look at; without it, databases and commands alone.
    :param areas: what to look at, as ``upgrade-flows check --list`` shows it; by default all.
    :param databases: SQLAlchemy URLs of the services' databases, by name: ``cinder``,
        ``nova_api``... and ``nova_cell:<name>`` for each cell.
    :param target: the release to upgrade to, as in ``2025.1``.
    :param waivers: a file of findings that somebody answers for.
    :param upstream: commands of the services that check their upgrade, as argument lists.
    :raises RequestError: an area, a URL or the file of waivers cannot be understood.
    """
    opened = access.open_all(databases or {})
    try:
        sources = checks.Sources(cloud, opened, target, limits, upstream)
        return checks.gate(sources, areas, waivers)
    finally:
        for database in opened.values():
            database.close()


def run(
    cloud: Cloud, made: Plan, journal: str | None = None, observer: Observer | None = None
) -> Report:
    """Do what a plan says, and return what happened.

    :param journal: a database URL; by default the one of the command line.
    :raises PlanChanged: the plan was edited, or made for another cloud.
    :raises SubjectBusy: another run has one of the subjects.
    """
    with _open(journal) as opened:
        engine = _engine(cloud, opened, observer)
        run_id = engine.start(made)
        engine.run(run_id)
        return build.build(opened, run_id)


def simulate(
    made: Plan, what_if: WhatIf | None = None, observer: Observer | None = None
) -> SimulationReport:
    """Play the plan of a rolling upgrade through on a cloud in memory; nothing is changed.

    :param what_if: what is to go wrong; by default nothing.
    :raises RequestError: the plan has no schedule, was edited, or a share makes no sense.
    """
    return _simulate(made, what_if or WhatIf(), plugins(), observer=observer)


def submit(cloud: Cloud, made: Plan, journal: str | None = None, board: str | None = None) -> str:
    """Have conductors do what a plan says; return the id of the run at once.

    :param board: the URL of the job board; without it conductors find the run within seconds.
    :raises PlanChanged: the plan was edited, or made for another cloud.
    :raises SubjectBusy: another run has one of the subjects.
    """
    with _open(journal) as opened, _dispatcher(opened, cloud.id, board) as dispatcher:
        return dispatcher.submit(made)


def watch(
    run_id: str,
    journal: str | None = None,
    observer: Observer | None = None,
    timeout_s: float | None = None,
) -> Report:
    """Wait until a run has ended or is parked, whoever carries it out; return what happened.

    :param observer: called with every event from now on.
    :param timeout_s: return after so long in any case; by default it is waited for ever.
    """
    with _open(journal) as opened:
        return _watch(opened, run_id, opened.last_event(run_id), observer, timeout_s)


def pause(run_id: str, journal: str | None = None, wait_s: float = 60.0) -> str:
    """Let nothing more begin in a run, wait until its last steps have ended; return its state.

    :raises RequestError: the run has ended.
    """
    with _open(journal) as opened:
        dispatcher = Dispatcher(opened, opened.run(run_id).cloud_id)
        dispatcher.pause(run_id)
        return dispatcher.stopped(run_id, wait_s)


def resume(
    cloud: Cloud,
    run_id: str,
    journal: str | None = None,
    board: str | None = None,
    here: bool = False,
) -> Report:
    """Go on with a run that was parked, or whose process died.

    If it was submitted, conductors do it, and it is waited for them.

    :param board: the URL of their job board, as for ``submit``.
    :param here: do it in this process in any case.
    """
    return _do("resume", cloud, run_id, (), journal, board, here)


def rollback(
    cloud: Cloud,
    run_id: str,
    subjects: Sequence[str] | None = None,
    journal: str | None = None,
    board: str | None = None,
    here: bool = False,
) -> Report:
    """Take back what a run did, all of it or to some subjects; see ``resume`` for who does it."""
    return _do("rollback", cloud, run_id, (subjects,), journal, board, here)


def commit(
    cloud: Cloud,
    run_id: str,
    subjects: Sequence[str] | None = None,
    journal: str | None = None,
    board: str | None = None,
    here: bool = False,
) -> Report:
    """Give up the way back, of a whole run or of some subjects; see ``resume`` for who does it."""
    return _do("commit", cloud, run_id, (subjects,), journal, board, here)


def skip(run_id: str, subjects: Sequence[str], journal: str | None = None) -> str:
    """Let a run go on without subjects, which are left as they are; return the run's state.

    :raises RequestError: one is not waiting for anybody's decision: only what is pending, held,
        parked or quarantined can be skipped.
    """
    with _open(journal) as opened:
        Dispatcher(opened, opened.run(run_id).cloud_id).skip(run_id, subjects)
        return opened.run(run_id).state


def report(run_id: str, journal: str | None = None) -> Report:
    """Return what has happened in a run so far."""
    with _open(journal) as opened:
        return build.build(opened, run_id)


def _do(
    verb: str,
    cloud: Cloud,
    run_id: str,
    arguments: tuple[Sequence[str] | None, ...],
    journal: str | None,
    board: str | None,
    here: bool,
) -> Report:
    with _open(journal) as opened:
        if here or not opened.run(run_id).submitted:
            getattr(_engine(cloud, opened), verb)(run_id, *arguments)
            return build.build(opened, run_id)
        after = opened.last_event(run_id)
        with _dispatcher(opened, cloud.id, board) as dispatcher:
            getattr(dispatcher, verb)(run_id, *arguments)
        return _watch(opened, run_id, after)


def _watch(
    journal: Journal,
    run_id: str,
    after: int,
    observer: Observer | None = None,
    timeout_s: float | None = None,
) -> Report:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    for look in follow.looks(journal, run_id, after):
        for event in look.events:
            if observer is not None:
                observer(event)
        if end is not None and time.monotonic() >= end:
            break
    return build.build(journal, run_id)


def _dispatcher(journal: Journal, cloud_id: str, board: str | None) -> Dispatcher:
    if board is None:
        return Dispatcher(journal, cloud_id)
    return Dispatcher(journal, cloud_id, lambda: open_board(board, process_owner()))


def _open(url: str | None) -> AbstractContextManager[Journal]:
    return contextlib.closing(Journal.open(url or paths.journal_url()))


def _engine(cloud: Cloud, journal: Journal, observer: Observer | None = None) -> Engine:
    return Engine(
        journal,
        cloud,
        plugins(),
        Settings(),
        observer=observer,
        verify=lambda action: planner.verify(cloud, plugins(), action),
    )
