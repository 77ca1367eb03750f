"""Small clouds whose hosts wait to be upgraded, one after the other."""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from typing import Any

from tests.flows.scenes import steps_of
from tests.unit.board import Listing, MemoryBoard
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.cloud.fake.shared_clock import SharedClock
from upgrade_flows.engine import conductor
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.flows.host_upgrade import flow as host_flow
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning import planner
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.host.simulated import SimulatedHosts
from upgrade_flows.simulation.course import SimulatedEngine
from upgrade_flows.steps.base import Context, Settings
from upgrade_flows.steps.vault import Vault

#: the steps of a host's upgrade, in their order
STEPS = (
    "observe-host", "look-at-host", "fence-host", "await-arrivals", "drain-host",
    "stop-stayers", "prove-empty", "reboot-on-the-way-back", "install-release", "reboot-host",
    "verify-host", "empty-on-the-way-back", "start-stayers", "open-host", "prove-with-canary",
    "bring-back", "sum-up",
)  # fmt: skip

#: how often a conductor looks whether it can go on, in simulated seconds
LOOK_S = 10.0

LOADED = registry.load()
VAULT = Vault.temporary()
NEW = "new"


def plugins(cloud: FakeCloud) -> registry.Registry:
    """Return the plugins with one for the hosts of a cloud."""
    return registry.Registry(
        LOADED.network, LOADED.storage, {"simulated": SimulatedHosts(cloud)}, LOADED.placement
    )


def request_for(*hosts: str, rollout: Rollout | None = None, **options: Any) -> UpgradeRequest:
    """Ask for some hosts to be brought to the new release."""
    said = {"plugin": "simulated", "settings": {"release": NEW}, **options}
    return UpgradeRequest(
        "host_upgrade", Scope(hosts=hosts), Target(options=said), rollout or Rollout()
    )


def plan_of(cloud: FakeCloud, request: UpgradeRequest) -> Plan:
    """Plan a request on what the cloud is now."""
    known, module = plugins(cloud), capability.get("host_upgrade")
    inventory = collect(cloud, request.scope)
    inventory = module.look(request, inventory, known, lambda _: None)
    return planner.make_plan(request, inventory, known)


def plan_for(cloud: FakeCloud, *hosts: str, **more: Any) -> Plan:
    """Plan the upgrade of some hosts."""
    return plan_of(cloud, request_for(*hosts, **more))


def engine(
    journal: Journal,
    cloud: FakeCloud,
    observer: Any = None,
    settings: Settings = Settings(reboot_s=300.0),
    **more: Any,
) -> Engine:
    """Return an engine that works on the cloud and its hosts, by the cloud's clock."""
    known = plugins(cloud)
    kind = SimulatedEngine if isinstance(cloud.clock, SharedClock) else Engine
    return kind(
        journal,
        cloud,
        known,
        settings,
        observer=observer,
        verify=lambda action: planner.verify(cloud, known, action),
        **{"vault": VAULT, **more},
    )


class SharedBoard(MemoryBoard):
    """The board of a conductor that waits in simulated time; it tells no news meanwhile."""

    def __init__(self, owner: str, clock: SharedClock) -> None:
        super().__init__(Listing(), owner)
        self.clock = clock

    def wait(self, timeout_s: float) -> bool:
        self.clock.sleep(LOOK_S)
        return True


def conduct(conductors: Sequence[conductor.Conductor], clock: SharedClock, patch: Any) -> None:
    """Let conductors work together in simulated time, until all of them have been stopped.

    :param patch: pytest's ``monkeypatch``: their jobs and pauses are by the clock, too.
    """
    pools = types.SimpleNamespace(ThreadPoolExecutor=lambda *_, **__: clock.threads())
    patch.setattr(conductor, "futures", pools)
    patch.setattr(conductor, "time", clock)
    with clock.threads() as threads:
        jobs = [threads.submit(one.run) for one in conductors]
    for job in jobs:
        job.result()


def context(cloud: FakeCloud, run_id: str = "run-1", **more: Any) -> Context:
    """Return what a flow is built with outside of an engine."""
    return Context(run_id, cloud, plugins(cloud), vault=VAULT, **more)


def failing_once(monkeypatch: Any, victim: str, error: type[Exception] = RuntimeError) -> None:
    """Let one step do its work and then fail, the first time that it runs in any flow.

    :param victim: its name, host included.
    """
    left = [victim]
    whole = host_flow.change

    def change(ctx: Context, action: Action) -> Any:
        made = whole(ctx, action)
        for step in [one for one in steps_of(made) if one.name in left]:
            step.execute = _then_fail(step.execute, left, error)
        return made

    monkeypatch.setattr(capability.get("host_upgrade"), "change", change)


def _then_fail(work: Any, left: list[str], error: type[Exception]) -> Any:
    @functools.wraps(work)
    def then_fail(*args: Any, **kwargs: Any) -> Any:
        result = work(*args, **kwargs)
        if left:
            raise error(f"as was wanted of {left.pop()}")
        return result

    return then_fail


def software(cloud: FakeCloud) -> dict[str, tuple[str, str]]:
    """Return what each host has installed and runs."""
    return {name: (record.installed, record.runs) for name, record in cloud.world.hosts.items()}
