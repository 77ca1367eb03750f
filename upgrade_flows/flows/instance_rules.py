"""Why an instance cannot be touched, or not be made again, whatever is done to it: a rule each.

A rule returns a reason, or None.
"""

from __future__ import annotations

from typing import Protocol

from upgrade_flows.model.inventory import Host, Inventory, Server
from upgrade_flows.plugins.vif import PortCase


class Case(Protocol):
    """What the rules look at: an instance with its host and its ports."""

    @property
    def inventory(self) -> Inventory: ...

    @property
    def server(self) -> Server: ...

    @property
    def host(self) -> Host | None: ...

    @property
    def ports(self) -> tuple[PortCase, ...]: ...


def has_no_task(case: Case) -> str | None:
    if case.server.task_state is None:
        return None
    return f"Nova is busy with it (task_state {case.server.task_state})"


def is_not_locked(case: Case) -> str | None:
    if not case.server.locked:
        return None
    why = f" ({case.server.locked_reason})" if case.server.locked_reason else ""
    return f"it is locked{why}: its owner does not want it touched"


def has_a_working_host(case: Case) -> str | None:
    if case.host is None:
        return f"its host {case.server.host or '(none)'} has no nova-compute service"
    if not case.host.up:
        return f"nova-compute on its host {case.host.name} is down"
    if case.host.agent is None:
        return f"its host {case.host.name} has no L2 agent"
    if not case.host.agent.alive:
        return f"the L2 agent of its host {case.host.name} is not alive"
    return None


def has_known_ports(case: Case) -> str | None:
    unknown = [p.port.id for p in case.ports if p.plugin is None]
    if not unknown:
        return None
    kinds = sorted({p.port.vif_type for p in case.ports if p.plugin is None})
    return f"no network plugin knows port {', '.join(unknown)} (vif_type {', '.join(kinds)})"


def is_nobodys_resource(case: Case) -> str | None:
    owner = case.inventory.managed.get(case.server.id)
    return f"it belongs to {owner}, which knows it by its UUID" if owner else None


def has_its_flavor(case: Case) -> str | None:
    if case.inventory.flavor_of(case.server) is None:
        name = case.server.flavor.name
        return f"its flavor {name} was deleted or has changed since it was booted"
    return None


def has_its_networks(case: Case) -> str | None:
    missing = {p.port.network_id for p in case.ports} - set(case.inventory.networks)
    if missing:
        return f"network {', '.join(sorted(missing))} does not exist any more"
    return None


def has_its_key(case: Case) -> str | None:
    server = case.server
    if server.key_name and server.key_name not in case.inventory.keypairs.get(server.owner_id, ()):
        return f"its key {server.key_name} does not exist any more"
    return None


def we_are_let_into_its_project(case: Case) -> str | None:
    if case.server.project_id in case.inventory.closed_projects:
        return (
            f"we cannot get a token in its project {case.server.project_id}"
            " (openstack role add --user OURS --project THEIRS admin)"
        )
    return None
