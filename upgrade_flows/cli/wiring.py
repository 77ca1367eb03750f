"""Where the parts are put together: the only place that knows all of them.

Imports are made when a part is asked for, so that ``--help`` needs no cloud libraries and a test
can hand in another ``Wiring``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.model.check import CheckReport, CheckResult
from upgrade_flows.model.inventory import Inventory, Server
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.steps.base import Plugins, Settings

if TYPE_CHECKING:
    from upgrade_flows.checks import Checks
    from upgrade_flows.cli.settings import CheckSettings


class Wiring:
    """The parts of one process."""

    def connect(self, name: str | None, region: str | None) -> Cloud:
        """Return the cloud of that name; without a name, the one the environment says."""
        from upgrade_flows.cloud import clients

        cloud: Cloud = clients.connect(cloud=name, region=region)
        return cloud

    @functools.cached_property
    def plugins(self) -> Plugins:
        """The plugins, all of them loaded and complete."""
        from upgrade_flows.plugins import registry

        plugins: Plugins = registry.load()
        return plugins

    def collect(
        self, cloud: Cloud, what: Scope | UpgradeRequest, progress: Callable[..., None]
    ) -> Inventory:
        """Read what planning needs to know of a scope, or for a request."""
        from upgrade_flows.cloud import collect
        from upgrade_flows.flows import capability

        if isinstance(what, Scope):
            return collect.collect(cloud, what, progress)
        more = capability.reads(what.capability)
        return collect.collect(cloud, what.scope, progress, **more)

    def select(self, inventory: Inventory, scope: Scope) -> tuple[Server, ...]:
        """Return the servers of an inventory that are in scope."""
        from upgrade_flows.cloud import collect

        servers: tuple[Server, ...] = collect.select(inventory, scope)
        return servers

    def vif_rows(self, inventory: Inventory, servers: Sequence[Server]) -> list[Any]:
        """Return the modes, bound and wanted, of the ports of servers."""
        from upgrade_flows.checks import vif_mode

        return list(vif_mode.rows(inventory, tuple(servers), self.plugins))

    @functools.cached_property
    def checks(self) -> Checks:
        """The checks, all of them loaded and whole."""
        from upgrade_flows.checks import registry

        return registry.load()

    def check(
        self,
        cloud: Callable[[], Cloud],
        settings: CheckSettings,
        areas: Sequence[str],
        tell: Callable[[CheckResult, int, int], None] | None = None,
    ) -> CheckReport:
        """Run the checks of some areas, or all; the cloud is connected to if one looks at it."""
        from upgrade_flows import checks
        from upgrade_flows.checks.database import access

        databases = access.open_all(settings.databases)
        try:
            sources = checks.Sources(
                cloud,
                databases,
                settings.target,
                checks.Limits(**settings.limits),
                settings.upstream,
            )
            return checks.gate(
                sources, areas, settings.waivers, self.checks, tell, settings.timeout_s
            )
        finally:
            for database in databases.values():
                database.close()

    def make_plan(
        self, request: UpgradeRequest, inventory: Inventory, progress: Callable[..., None]
    ) -> Plan:
        """Work a request out."""
        from upgrade_flows.planning import planner

        return planner.make_plan(request, inventory, self.plugins, tell=progress)

    def journal(self, url: str, key_file: Path | None = None) -> Any:
        """Open the journal, and find the key that goes with it."""
        from upgrade_flows.engine import store

        return store.Journal.open(url, key_file)

    def upgrade_journal(self, url: str) -> None:
        """Bring a journal up to date."""
        from upgrade_flows.engine import database

        database.connect(url, upgrade=True).dispose()

    def board(self, url: str) -> Any:
        """Connect to a job board."""
        from upgrade_flows.engine import boards, leases

        return boards.open_board(url, leases.process_owner())

    def dispatcher(self, journal: Any, cloud_id: str, board_url: str | None) -> Any:
        """Return what gives orders on submitted runs."""
        from upgrade_flows import dispatch

        open_board = functools.partial(self.board, board_url) if board_url else None
        return dispatch.Dispatcher(journal, cloud_id, open_board)

    def engine(
        self,
        journal: Any,
        cloud: Cloud,
        settings: Settings,
        observer: Callable[..., None] | None,
        steps_at_a_time: int = 1,
    ) -> Any:
        """Return the engine that runs plans on a cloud."""
        from upgrade_flows.engine import operations

        return operations.Engine(
            journal,
            cloud,
            self.plugins,
            settings,
            observer=observer,
            verify=functools.partial(self._verify, cloud),
            steps_at_a_time=steps_at_a_time,
        )

    def simulate(
        self,
        plan: Plan,
        faults: dict[str, Any],
        settings: Settings,
        observer: Callable[..., None],
    ) -> Any:
        """Play a plan through on a cloud in memory; return a ``SimulationReport``.

        :param faults: the fields of a ``simulation.WhatIf``.
        """
        from upgrade_flows import simulation

        what_if = simulation.WhatIf(**faults)
        return simulation.simulate(plan, what_if, self.plugins, settings, observer)

    def audit_config(
        self,
        old: str,
        new: str,
        paths: Sequence[str],
        service: str | None,
        environments: Sequence[tuple[str, Path]],
        plugins: Sequence[str],
    ) -> Any:
        """Compare configuration files with two releases; return a ``config_audit.Audit``.

        :param environments: releases, and the virtualenvs that their options are read in instead.
        """
        from upgrade_flows.config_audit import audit, library

        files = audit.read(paths)
        releases = library.releases(old, new, files, service, environments, plugins)
        return audit.audit(*releases, files, service)

    def make_metadata(
        self, release: str, constraints: Path | None, tell: Callable[[str], None]
    ) -> tuple[bytes, dict[str, Any]]:
        """Return the metadata of a release, packed and as it is."""
        from upgrade_flows.config_audit import making, metadata

        made = making.make(release, constraints, tell)
        return metadata.pack(made), made

    def _verify(self, cloud: Cloud, action: Action) -> str | None:
        from upgrade_flows.planning import planner

        reason: str | None = planner.verify(cloud, self.plugins, action)
        return reason
