"""Rolling host upgrades on the lab: hosts that really change, and instances in every state."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.functional.instances import owner, reaches
from tests.lab import api, hosts
from upgrade_flows.cloud.collect import collect
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning.host_groups import GROUP
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.plugins import registry
from upgrade_flows.steps.base import Settings

FAKE = tuple(f"fake{number}" for number in range(1, 7))
VIRT = ("virt1", "virt2")
OLD_KERNEL, NEW_KERNEL = "6.1.0-lab", "6.12.0-lab"

#: what the lab's hosts are like before and after, as the operator of each would ask
CONFIGURATION = "/etc/lab/agent.conf"


def ssh_settings() -> dict[str, Any]:
    """Return what the plugin ``ssh`` is told."""
    return {
        "ssh_config": str(hosts.ssh_config()),
        "packages": {"lab-kernel": "2.0", "lab-agent": "2.0"},
        "remove": ["lab-legacy"],
        "source": {"name": "lab-new", "text": hosts.source("new") + "\n"},
        "kernel": NEW_KERNEL,
        "files": [
            {
                "path": CONFIGURATION,
                "line": "vhost_sock_dir = /new",
                "instead_of": "vhost_sock_dir *=.*",
            },
            {"path": CONFIGURATION, "line": "group = kvm", "instead_of": "group *=.*"},
        ],
    }


class Rolling:
    """The rolling runs of one test module, in a journal of its own."""

    def __init__(self, cloud: Any, folder: Path, **settings: float) -> None:
        self.cloud = cloud
        self.plugins = registry.load()
        self.folder = folder
        self.url = f"sqlite:///{folder}/journal.db"
        self.journal = Journal.open(self.url)
        self.settings = Settings(**{"reboot_s": 90.0, "compute_s": 90.0, **settings})

    def request(
        self,
        names: Iterable[str],
        out: int = 1,
        max_failures: int = 0,
        plugin: str = "ssh",
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> UpgradeRequest:
        """Ask for hosts to be brought from old to new."""
        said = {"plugin": plugin, "settings": settings or ssh_settings(), **options}
        return UpgradeRequest(
            "host_upgrade",
            Scope(hosts=tuple(names)),
            Target(options=said),
            Rollout(at_a_time=out, max_failures=max_failures),
        )

    def plan(self, names: Iterable[str], **more: Any) -> Plan:
        """Plan on what the lab is now."""
        request = self.request(names, **more)
        inventory = collect(self.cloud, request.scope)
        module = capability.get("host_upgrade")
        inventory = module.look(request, inventory, self.plugins, lambda _: None)
        return make_plan(request, inventory, self.plugins)

    def engine(self) -> Engine:
        """Return an engine as a process of its own would have it."""
        return Engine(self.journal, self.cloud, self.plugins, self.settings, verify=self._verify)

    def run(self, plan: Plan) -> str:
        """Run a plan as far as it goes, and return the run's id."""
        engine = self.engine()
        run_id = engine.start(plan)
        engine.run(run_id)
        return run_id

    def out_at_most(self, run_id: str) -> int:
        """Return how many hosts were out of service at the same time, by the event log.

        From the moment that a host begins until it is changed, undone or skipped; one that is
        held stays out.
        """
        out: set[str] = set()
        most = 0
        for event in self.journal.events(run_id):
            if event.step or not event.subject:
                continue
            if event.what in ("changing", "undoing"):
                out.add(event.subject)
            elif event.what in ("changed", "undone", "skipped"):
                out.discard(event.subject)
            most = max(most, len(out))
        return most

    def _verify(self, action: Action) -> str | None:
        return verify(self.cloud, self.plugins, action)


def put(server_id: str, state: str) -> None:
    """Bring an instance into a state as its owner, or an administrator, would."""
    cloud, admin = owner(), api.shared("lab-admin")
    if state == "PAUSED":
        cloud.compute.pause_server(server_id)
    elif state == "SUSPENDED":
        cloud.compute.suspend_server(server_id)
    elif state == "SHELVED_OFFLOADED":
        cloud.compute.shelve_server(server_id)
    elif state == "LOCKED":
        cloud.compute.lock_server(server_id)
        return
    elif state == "ERROR":
        cloud.compute.stop_server(server_id)
        reaches(cloud, server_id, "SHUTOFF")
        admin.compute.reset_server_state(server_id, "error")
        return
    elif state == "RESCUE":
        cloud.compute.rescue_server(server_id)
    reaches(cloud, server_id, state)


def host_group(name: str, members: Iterable[str]) -> str:
    """Make hosts a host group, as their operator would; return the aggregate's id."""
    compute = api.shared("lab-admin").compute
    aggregate = compute.create_aggregate(name=name)
    compute.set_aggregate_metadata(aggregate, {GROUP: "true"})
    for host in members:
        compute.add_host_to_aggregate(aggregate, host)
    return str(aggregate.id)


def disband(aggregate: str) -> None:
    """Remove a host group."""
    compute = api.shared("lab-admin").compute
    for host in compute.get_aggregate(aggregate).hosts or ():
        compute.remove_host_from_aggregate(aggregate, host)
    compute.delete_aggregate(aggregate)


def says(host: str) -> tuple[str, str | None]:
    """Return status and reason of a host's nova-compute, read without any code under test."""
    (service,) = api.shared("lab-admin").compute.services(binary="nova-compute", host=host)
    return service.status, service.disabled_reason


def standing() -> dict[str, tuple[str, str]]:
    """Return host and status of every instance, by its name."""
    servers = api.shared("lab-admin").compute.servers(all_projects=True, details=True)
    return {server.name: (server.compute_host or "", server.status) for server in servers}


def software(host: str) -> dict[str, str]:
    """Return what a host is, seen from inside."""
    script = (
        "dpkg-query -W -f '${Package}=${Version} ' 'lab-*' 2>/dev/null;"
        f" echo; cat /proc/sys/kernel/osrelease {CONFIGURATION}"
    )
    packages, kernel, *lines = hosts.ssh(host, script).stdout.splitlines()
    found = dict(item.split("=", 1) for item in packages.split() if not item.endswith("="))
    return {**found, "kernel": kernel, "configuration": "; ".join(sorted(lines))}


def moment() -> datetime.datetime:
    """Return the time as Nova writes it."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
