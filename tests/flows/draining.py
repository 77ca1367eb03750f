"""A host of the fake cloud that is emptied, with all that its drain says and does."""

from __future__ import annotations

from typing import Any

from tests.flows.rolling_scenes import plugins
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows.host_upgrade.drain import Drain, Policy
from upgrade_flows.flows.host_upgrade.drain.targets import Brief, Targets
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.steps.base import Context, Settings

#: so quick that a story of many attempts takes minutes of simulated time
QUICK = Settings(
    live_migration_s=20, live_migration_s_per_gib=5, cold_migration_s=60, arrival_s=100
)


class Notebook:
    """Records that are kept in lists.

    :param busy: why something cannot be held, by its name.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.held: list[str] = []
        self.busy: dict[str, Exception] = {}
        self.parks = False

    def tell(self, what: str, facts: dict[str, Any]) -> None:
        self.told.append((what, facts))

    def hold(self, subject: str) -> None:
        if subject in self.busy:
            raise self.busy[subject]
        if subject not in self.held:
            self.held.append(subject)

    def release(self, subject: str | None = None) -> None:
        self.held = [] if subject is None else [one for one in self.held if one != subject]

    def parking(self) -> bool:
        return self.parks


class Scene:
    """Hosts h1 (that is emptied) to h4 by default, and a notebook."""

    def __init__(self, *hosts: str) -> None:
        self.cloud = FakeCloud(hosts=hosts or ("h1", "h2", "h3", "h4"))
        self.notes = Notebook()
        self.targets: dict[str, str] = {}

    def add(self, name: str, status: str = "ACTIVE", target: str = "", **more: Any) -> str:
        """Add an instance to h1, whose planned target may be said."""
        server = self.cloud.add_server(name, host="h1", status=status, **more)
        if target:
            self.targets[server] = target
        return server

    def drain(self, source: str = "h1", options: dict[str, Any] | None = None, **more: Any) -> Any:
        """Fence the host, and empty it."""
        return self.made(source, options, **more).run()

    def made(self, source: str = "h1", options: dict[str, Any] | None = None, **more: Any) -> Drain:
        chosen = Options("simulated", **(options or {}))
        policy = Policy.of(chosen, QUICK)
        ctx = Context("run-1", self.cloud, plugins(self.cloud), QUICK, records=self.notes)
        hosts = tuple(name for name in self.cloud.world.hosts if name != source)
        brief = Brief(self.targets, hosts)
        self.cloud.change_host(source, enabled=False, disabled_reason="ours")
        targets = Targets(ctx, source, brief, policy.at_a_time, None)
        since = self.cloud.clock.time()
        return Drain(ctx, source, chosen, policy, targets, since, **more)

    def where(self, *servers: str) -> list[tuple[str, str]]:
        """Return the hosts and the statuses of instances."""
        found = [self.cloud.direct.compute.server(one) for one in servers]
        return [(server.host, server.status) for server in found]

    def said(self, *whats: str) -> list[tuple[str, str, str, str]]:
        """Return what was told: the moment, the instance's name, how, and the target."""
        return [
            (what, facts["name"], facts["how"], facts["target"])
            for what, facts in self.notes.told
            if not whats or what in whats
        ]
