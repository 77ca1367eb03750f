"""Everything put together, for other programs: from a cloud's name to a report.

The functions are what the command line does, without its questions and tables::

    cloud = connect("my-cloud")
    request = UpgradeRequest("recreate", Scope(hosts=("compute-7",)))
    made = plan(cloud, request)
    report = run(cloud, made)
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.cloud.clients import connect
from upgrade_flows.cloud.collect import collect
from upgrade_flows.conf import paths
from upgrade_flows.engine.ledger import Observer
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Report
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.planning import planner
from upgrade_flows.plugins import registry
from upgrade_flows.reports import build
from upgrade_flows.steps.base import Settings

__all__ = [
    "commit",
    "connect",
    "inventory",
    "plan",
    "plugins",
    "report",
    "resume",
    "rollback",
    "run",
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
    return planner.make_plan(request, collect(cloud, request.scope), plugins())


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


def resume(cloud: Cloud, run_id: str, journal: str | None = None) -> Report:
    """Go on with a run that was parked, or whose process died."""
    with _open(journal) as opened:
        _engine(cloud, opened).resume(run_id)
        return build.build(opened, run_id)


def rollback(
    cloud: Cloud, run_id: str, subjects: Sequence[str] | None = None, journal: str | None = None
) -> Report:
    """Take back what a run did, all of it or to some subjects."""
    with _open(journal) as opened:
        _engine(cloud, opened).rollback(run_id, subjects)
        return build.build(opened, run_id)


def commit(
    cloud: Cloud, run_id: str, subjects: Sequence[str] | None = None, journal: str | None = None
) -> Report:
    """Give up the way back of a run, of all of it or of some subjects."""
    with _open(journal) as opened:
        _engine(cloud, opened).commit(run_id, subjects)
        return build.build(opened, run_id)


def report(run_id: str, journal: str | None = None) -> Report:
    """Return what has happened in a run so far."""
    with _open(journal) as opened:
        return build.build(opened, run_id)


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
