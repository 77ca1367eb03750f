"""The hosts of a plan, and those that may take instances, as ``rolling`` looks at them.

Nothing outside the plan is touched: hosts that the plan upgrades, hosts that need no upgrade and
hosts that the operator names as targets take instances, and no others.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from upgrade_flows.errors import RequestError
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model.inventory import Inventory, Room, Server
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.planning import host_groups
from upgrade_flows.planning.hosts_demand import Demands
from upgrade_flows.planning.rolling import Fleet, Group, Host, Instance
from upgrade_flows.planning.rolling.fleet import POLICIES

OUT_S = 900
MOVE_S = 60
OUTSIDE = "it is outside the plan"

#: before the name of a host: what holds room there and is no instance of the plan
OTHERS = "others on "

#: what becomes of instances: moved, stopped while their host is away, gone before it goes
MOVED = ("live", "cold", "wait")
OFF, GONE = "poweroff", "offload"


@dataclass(frozen=True)
class Modelled:
    """A fleet, and what was noticed when it was put together."""

    fleet: Fleet
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _One:
    """An instance of a planned host, and what its details say of it."""

    server: Server
    host: str
    how: str
    move_s: int = MOVE_S
    pause_s: float = 0.0
    why: str = ""


def fleet_of(request: UpgradeRequest, inventory: Inventory, found: Assessment) -> Modelled:
    """Return the fleet of the hosts that a capability has assessed.

    What is allocated at a host beside the instances of the fleet lessens its capacity; where
    placement policies look at the hosts, it is one more instance that stays there instead.

    :raises RequestError: an option is not valid, or names a host that does not exist.
    """
    options = Options.read(request.target.options)
    planned = {action.subject: action for action in found.actions}
    takers, findings = _takers(options, inventory, found, planned)
    ones = _ones(inventory, planned)
    moving = {key: one for key, one in ones.items() if one.how in (*MOVED, OFF)}
    bound = _bound(inventory, ones, moving)
    demands = Demands(inventory, (*planned, *takers))
    instances = [_instance(one, demands) for one in moving.values()]
    for server in bound.values():
        stays = server.host in planned
        instances.append(
            Instance(server.id, server.host, demands.of(server).amounts, movable=not stays,
                     stops=stays, reason="it stays where it is" if stays else "")
        )  # fmt: skip
    whole = bool(options.placement or options.host_groups) or any(
        host_groups.GROUP in aggregate.metadata for aggregate in inventory.aggregates
    )
    leaving = [one.server for one in ones.values() if one.how == GONE]
    held = _held(instances, leaving, demands)
    within = _aggregates(inventory)
    hosts = []
    for name in (*planned, *takers):
        room = _room(inventory, name, demands)
        host = _host(options, inventory, name, within[name])
        if name in takers:
            host = dataclasses.replace(host, upgraded=True, excluded=takers[name])
        if room is None and not host.excluded:
            findings.append(_unknown_room(name))
        elif room is not None and (name in takers or _enabled(planned[name])):
            others = {
                kind: max(0, min(room.used.get(kind, 0) - held[name][kind], most))
                for kind, most in room.capacity.items()
            }
            left = {kind: most - others[kind] for kind, most in room.capacity.items()}
            host = dataclasses.replace(host, capacity=room.capacity if whole else left)
            if whole and any(others.values()):
                stops = name in planned
                instances.append(Instance(f"{OTHERS}{name}", name, others, movable=False,
                                          stops=stops, reason="it is not known"))  # fmt: skip
        hosts.append(host)
    known = {*planned, *takers}
    outside = sorted({one.host for one in instances} - known)
    hosts += [Host(name, {}, OUT_S, excluded=OUTSIDE) for name in outside]
    groups = tuple(_groups(inventory, {*moving, *bound}))
    fleet = Fleet(tuple(hosts), tuple(instances), groups)
    return Modelled(fleet, (*findings, *demands.findings()))


def _takers(
    options: Options, inventory: Inventory, found: Assessment, planned: dict[str, Action]
) -> tuple[dict[str, str], list[Finding]]:
    """Return the hosts that take instances and are not upgraded, and why one does not after all."""
    unknown = sorted(name for name in options.targets if inventory.host(name) is None)
    if unknown:
        raise RequestError(f"targets: unknown compute hosts: {', '.join(unknown)}")
    takers: dict[str, str] = {}
    findings = []
    for name in (*found.unchanged, *options.targets):
        host = inventory.host(name)
        if name in planned or name in takers or host is None:
            continue
        working = "" if host.up else "nova-compute is down there"
        takers[name] = working if not host.up or host.enabled else "it is disabled"
        if takers[name] and name in options.targets:
            message = f"it is named as a target, but takes no instances: {takers[name]}"
            remedy = f"openstack compute service set --enable {name} nova-compute"
            findings.append(Finding("UF-HP-008", name, Severity.WARNING, message, remedy))
    return takers, findings


def _ones(inventory: Inventory, planned: dict[str, Action]) -> dict[str, _One]:
    servers = {server.id: server for server in inventory.servers}
    return {
        server_id: _One(
            servers[server_id],
            host,
            str(one.get("how", "live")),
            max(1, round(one.get("move_s", MOVE_S))),
            float(one.get("pause_s", 0.0)),
            str(one.get("why", "")),
        )
        for host, action in planned.items()
        for server_id, one in action.details.get("instances", {}).items()
        if server_id in servers
    }


def _bound(
    inventory: Inventory, ones: dict[str, _One], moving: dict[str, _One]
) -> dict[str, Server]:
    """Return those that do not move and are in a group with one that does: they are in its way."""
    servers = {server.id: server for server in inventory.servers}
    return {
        member: servers[member]
        for group in inventory.groups
        if group.policy in POLICIES and not moving.keys().isdisjoint(group.members)
        for member in group.members
        if member in servers and servers[member].host and member not in moving
        if member not in ones or ones[member].how != GONE
    }


def _groups(inventory: Inventory, known: set[str]) -> Iterator[Group]:
    taken: set[str] = set()
    for group in inventory.groups:
        members = [one for one in dict.fromkeys(group.members) if one in known - taken]
        if len(members) > 1 and group.policy in POLICIES:
            taken.update(members)
            yield Group(group.id, group.policy, tuple(members))


def _instance(one: _One, demands: Demands) -> Instance:
    demand, off = demands.of(one.server), one.how == OFF
    return Instance(
        one.server.id,
        one.host,
        demand.amounts,
        one.move_s,
        one.pause_s,
        az=one.server.pinned_availability_zone or "",
        required_traits=demand.required,
        forbidden_traits=demand.forbidden,
        movable=not off,
        stops=off,
        reason=one.why if off else "",
    )


def _held(
    instances: list[Instance], leaving: list[Server], demands: Demands
) -> dict[str, Counter[str]]:
    """Return what those hold at each host that the fleet knows, or that will be gone."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for one in instances:
        held[one.host].update(one.demand)
    for server in leaving:
        held[server.host].update(demands.of(server).amounts)
    return held


def _room(inventory: Inventory, name: str, demands: Demands) -> Room | None:
    """Return what a host has and what is taken, huge pages with it; None where nobody knows."""
    names = [name, *(server.hypervisor_hostname for server in inventory.servers_on(name)[:1])]
    room = next((inventory.rooms[one] for one in names if one in inventory.rooms), None)
    return None if room is None else demands.with_pages(name, room)


def _host(options: Options, inventory: Inventory, name: str, within: tuple[str, ...]) -> Host:
    """Return a host without capacity: one that takes no instances."""
    known, facts = inventory.host(name), inventory.facts.get(name, {})
    return Host(
        name,
        {},
        max(1, round(options.timings.get("out_s", OUT_S))),
        az=known.availability_zone if known else "",
        aggregates=within,
        traits=inventory.traits.get(name, ()),
        failure_domain=options.failure_domains.get(name, ""),
        utilization={
            kind: max(0.0, float(facts[f"{kind}_utilization"]))
            for kind in ("cpu", "memory")
            if facts.get(f"{kind}_utilization") is not None
        },
    )


def _enabled(action: Action) -> bool:
    """Whether a host takes instances when it is back: one that was disabled stays so."""
    return bool(action.details.get("service", {}).get("enabled", True))


def _aggregates(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """Return the ids of the aggregates of each host."""
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for aggregate in inventory.aggregates:
        for host in aggregate.hosts:
            found[host] += (aggregate.id,)
    return found


def _unknown_room(name: str) -> Finding:
    message = "Placement has no resource provider of its name: it takes no instances"
    remedy = f"openstack resource provider list --name {name}"
    return Finding("UF-HP-003", name, Severity.WARNING, message, remedy)
