"""Host groups and placement policies of a plan: who stays among whom, and who chooses targets."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from upgrade_flows.errors import RequestError
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.planning import host_groups
from upgrade_flows.planning.rolling import Costs, Fleet
from upgrade_flows.plugins.base import HostLoad
from upgrade_flows.steps.base import Plugins


@dataclass(frozen=True)
class Grouped:
    """A fleet whose instances stay in their host groups.

    :param policies: the placement policy of each host by name, where groups have their own;
        empty where one policy, or none, is for all.
    """

    fleet: Fleet
    policies: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def grouped(options: Options, inventory: Inventory, fleet: Fleet, plugins: Plugins) -> Grouped:
    """Confine instances to host groups; hosts that are refused are excluded.

    :raises RequestError: an aggregate or a policy that is named does not exist.
    """
    costs_of(options.placement, {}, plugins)
    named = host_groups.named(options.host_groups)
    if named is None:
        return Grouped(fleet)
    hosts = [host.name for host in fleet.hosts if not host.excluded]
    found = host_groups.host_groups(inventory.aggregates, hosts, set(plugins.placement), named)
    refused = {
        one.subject: one.message for one in found.complaints if one.severity == Severity.REFUSED
    }

    def excluded(name: str) -> str:
        return refused.get(name) or refused.get(found.group_of.get(name, ""), "")

    made = host_groups.confined(fleet, found.group_of)
    kept = tuple(
        dataclasses.replace(host, excluded=host.excluded or excluded(host.name))
        for host in made.hosts
    )
    policies = {}
    if found.placement:
        names = {host: found.placement.get(found.group_of.get(host, "")) for host in hosts}
        policies = {host: name or options.placement for host, name in names.items()}
    return Grouped(dataclasses.replace(made, hosts=kept), policies, found.complaints)


def costs_of(policy: str, policies: Mapping[str, str], plugins: Plugins) -> Costs | None:
    """Return what chooses targets: one policy, that of each host's group, or none.

    :raises RequestError: a policy is not installed.
    """
    wanted = {policy, *policies.values()} - {""}
    if not wanted:
        return None
    for name in sorted(wanted.difference(plugins.placement)):
        known = ", ".join(sorted(plugins.placement)) or "none is installed"
        raise RequestError(f"there is no placement policy {name!r} (known: {known})")
    if policies:
        return {host: plugins.placement[name].cost for host, name in policies.items() if name}
    return plugins.placement[policy].cost if policy else None


def lacking(
    policy: str, policies: Mapping[str, str], fleet: Fleet, plugins: Plugins
) -> tuple[Finding, ...]:
    """Return what the policies would have to know of hosts that take instances."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in fleet.hosts:
        name = policies.get(host.name, policy)
        if name and not host.excluded:
            load = HostLoad(host.name, host.capacity, {}, host.utilization)
            lack = plugins.placement[name].lacks(load)
            found[name] += [lack] if lack else []
    return tuple(
        Finding(
            "UF-HP-009",
            name,
            Severity.WARNING,
            f"the placement policy {name} does without what it should know: {lacks[0]}"
            + (f" (and so it is with {len(lacks) - 1} more hosts)" if len(lacks) > 1 else ""),
            "see that the host plugin tells it, or choose another policy",
        )
        for name, lacks in sorted(found.items())
        if lacks
    )
