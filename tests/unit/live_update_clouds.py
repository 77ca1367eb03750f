"""Small clouds with instances that are to be updated live, and what is planned for them."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import RequestError
from upgrade_flows.model.inventory import Server
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.base import WorkloadPlugin


class Workload(WorkloadPlugin):
    """A workload that is as a test says, and can do nothing."""

    def __init__(self, way: str = "hot", **can: bool) -> None:
        self.way, self.can = way, can
        self.checked: list[dict[str, Any]] = []

    def check(self, settings):
        self.checked.append(settings)
        if "wrong" in settings:
            raise RequestError("settings: wrong is unknown")

    def cut(self, settings, has_data_volumes):
        return self.way

    def needs_ssh(self, settings):
        return self.can.get("ssh", False)

    def updates(self, settings):
        return self.can.get("update", False)

    def reboots(self, settings):
        return self.can.get("reboot", False)

    def refusals(self, guest, settings):
        raise AssertionError("nobody asks guests when planning")

    quiesce = resume = withdraw = restore = refusals


PLUGINS = dataclasses.replace(
    registry.load(),
    workload={
        "plain": Workload(),
        "cold": Workload("cold"),
        "inside": Workload(ssh=True),
        "updating": Workload(update=True),
        "rebooting": Workload(reboot=True),
    },
)


def cloud(*hosts: str, **server: Any) -> FakeCloud:
    """Return a cloud with the instance ``web`` on the first host, and a new image."""
    made = FakeCloud(hosts=hosts or ("h1", "h2", "h3"))
    made.add_server("web", **server)
    made.add_image("new")
    return made


def web(made: FakeCloud) -> Server:
    """Return the instance that the tests are about."""
    (found,) = [one for one in made.direct.compute.servers() if one.name == "web"]
    return found


def image(made: FakeCloud, name: str = "new") -> str:
    (found,) = made.direct.images.find(name)
    return found.id


def plan(
    made: FakeCloud,
    *servers: str,
    hosts: tuple[str, ...] = (),
    strategy: str = "auto",
    known: dict[str, Any] | None = None,
    plugins: registry.Registry = PLUGINS,
    traits: bool = False,
    all_quotas: bool = False,
    **options: Any,
) -> Plan:
    """Plan to give instances the new image.

    :param hosts: those that are named as targets.
    :param known: fields of the inventory that are otherwise than the cloud says.
    """
    scope = Scope(servers=servers or ("web",))
    said = {"workload": "plain", **({} if "update" in options else {"image": "new"}), **options}
    request = UpgradeRequest("live_update", scope, Target(strategy, hosts, said), Rollout())
    read = collect(made, scope, traits=traits, all_quotas=all_quotas)
    inventory = dataclasses.replace(read, **(known or {}))
    return make_plan(request, inventory, plugins)


def only(made: FakeCloud, *servers: str, **more: Any) -> Action:
    """Return the one action of a plan without complaints."""
    found = plan(made, *servers, **more)
    assert found.findings == ()
    (action,) = found.actions
    return action


def by_name(found: Plan) -> dict[str, Action]:
    """Return the actions of a plan by the names of their instances."""
    return {action.name: action for action in found.actions}


def refused(made: FakeCloud, **more: Any) -> dict[str, str]:
    """Return what is said of instances for which nothing is planned, by the finding's id."""
    found = plan(made, **more)
    assert found.actions == ()
    return {one.id: one.message for one in found.findings}


def goes_to(action: Action) -> tuple[str, str]:
    return action.strategy, action.details["target_host"]


def full(made: FakeCloud, *hosts: str) -> None:
    """Leave nothing free on hosts."""
    for host in hosts:
        made.set_capacity(host, MEMORY_MB=made.world.host(host).used.get("MEMORY_MB", 0))


def moves(action: Action) -> list[tuple[str, str, str]]:
    """Return who is moved away first, from where and to where."""
    return [(one["name"], one["source"], one["target"]) for one in action.details["moves"]]


def neighbour(
    made: FakeCloud, name: str = "other", memory_mb: int = 2048, host: str = "h1", **more: Any
) -> str:
    """Add an instance with a flavor of its own, and return its id."""
    flavor = made.add_flavor(f"of-{name}", 1, memory_mb, 20)
    return made.add_server(name, host=host, flavor=flavor, **more)


def several(*names: str, hosts: tuple[str, ...]) -> FakeCloud:
    """Return a cloud with instances on its first host."""
    made = FakeCloud(hosts=hosts)
    for name in names:
        made.add_server(name)
    made.add_image("new")
    return made
