"""Plans and runs on the lab: each instance with the strategy that it is to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upgrade_flows.cloud.collect import collect
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.records import SubjectRecord
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.plugins import registry
from upgrade_flows.steps.base import Settings


class Runs:
    """The runs of one test module, in a journal of its own."""

    def __init__(self, cloud: Any, folder: Path) -> None:
        self.cloud = cloud
        self.plugins = registry.load()
        self.url = f"sqlite:///{folder}/journal.db"
        self.journal = Journal.open(self.url)

    def plan(self, strategies: Mapping[str, str], away: str, **options: str) -> Plan:
        """Return one plan in which each server id has the strategy that it maps to."""
        plans = []
        for strategy in sorted(set(strategies.values())):
            ids = tuple(server for server, name in strategies.items() if name == strategy)
            scope = Scope(servers=ids)
            hosts = (away,) if strategy == "cold-migrate" else ()
            request = UpgradeRequest("recreate", scope, Target(strategy, hosts, options))
            plans.append(self.planned(request))
        assert [finding for plan in plans for finding in plan.findings] == []
        return together(plans)

    def planned(self, request: UpgradeRequest) -> Plan:
        """Plan a request on what the lab is now."""
        return make_plan(request, collect(self.cloud, request.scope), self.plugins)

    def engine(self, settings: Settings = Settings()) -> Engine:
        """Return an engine as a process of its own would have it."""
        return Engine(self.journal, self.cloud, self.plugins, settings, verify=self._verify)

    def run(self, plan: Plan) -> str:
        """Run a plan to its end and return the run's id."""
        engine = self.engine()
        run_id = engine.start(plan)
        engine.run(run_id)
        return run_id

    def outcomes(self, run_id: str) -> dict[str, SubjectRecord]:
        """Return what became of each subject, by the name that it has in the plan."""
        plan = self.journal.run(run_id).plan
        records = self.journal.subjects(run_id)
        return {action.name: records[action.subject] for action in plan.actions}

    def _verify(self, action: Action) -> str | None:
        return verify(self.cloud, self.plugins, action)


def together(plans: Sequence[Plan]) -> Plan:
    """Return one plan of what several say, done side by side however many of them fail."""
    actions = tuple(action for plan in plans for action in plan.actions)
    wave = Wave("all", actions, 4, Gate(max_failures=len(actions)))
    return dataclasses.replace(plans[0], waves=(wave,)).sealed()
