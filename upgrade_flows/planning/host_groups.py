"""Host groups in a fleet: what confines instances to them, and their placement policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from upgrade_flows.errors import RequestError
from upgrade_flows.flows.host_groups import GROUP, PLACEMENT, HostGroups, host_groups, named
from upgrade_flows.planning.rolling import Cost, Fleet, Host
from upgrade_flows.plugins.base import PlacementPlugin

__all__ = [
    "GROUP",
    "PLACEMENT",
    "HostGroups",
    "confined",
    "costs",
    "host_groups",
    "mark_of",
    "named",
]

#: what the group of a host is called among its aggregates, in a fleet that is confined
MARK = "host group "


def confined(fleet: Fleet, group_of: Mapping[str, str]) -> Fleet:
    """Return a fleet in which every instance stays within the host group of its host.

    Hosts that are in no group make up one of their own.  Without any groups the fleet is
    returned as it is.
    """
    if not group_of:
        return fleet
    marks = {host.name: f"{MARK}{group_of.get(host.name, '')}" for host in fleet.hosts}
    return replace(
        fleet,
        hosts=tuple(
            replace(host, aggregates=(*host.aggregates, marks[host.name])) for host in fleet.hosts
        ),
        instances=tuple(
            replace(one, required_aggregates=(*one.required_aggregates, marks[one.host]))
            for one in fleet.instances
        ),
    )


def mark_of(host: Host) -> str:
    """Return what marks the group of a confined fleet's host; empty where there are no groups."""
    return next((name for name in host.aggregates if name.startswith(MARK)), "")


def costs(
    hosts: Iterable[str],
    groups: HostGroups,
    plugins: Mapping[str, PlacementPlugin],
    default: str = "",
) -> dict[str, Cost]:
    """Return by which policy the instances of each host are placed, by the host's name.

    That is the policy of its group, else the default one; hosts without any are left out.

    :raises RequestError: there is no placement policy of the default's name.
    """
    if default and default not in plugins:
        raise RequestError(
            f"there is no placement policy {default!r}; there are {', '.join(sorted(plugins))}"
        )
    names = {host: groups.placement.get(groups.group_of.get(host, ""), default) for host in hosts}
    return {host: plugins[name].cost for host, name in names.items() if name}
