"""Where the surrogate of an instance goes: beside it, elsewhere, or where others make room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.flows.live_update.case import Case
from upgrade_flows.flows.live_update.hosts import Hosts
from upgrade_flows.flows.live_update.neighbours import Move, Neighbours
from upgrade_flows.flows.live_update.room import Lack
from upgrade_flows.plugins.vif import port_case

OWN, OTHER, MADE, WAITS = "own-host", "other-host", "make-room", "wait-for-room"

#: how many hosts a refusal names
SHOWN = 8


@dataclass(frozen=True)
class Place:
    """Where a surrogate goes.

    :param strategy: ``own-host``, ``other-host``, ``make-room`` (on its own host, when others
        have been moved away) or ``wait-for-room`` (there, when others of the plan are committed).
    :param policy: what chose a host; empty where nothing had to.
    :param because: why it is not a better place.
    """

    host: str
    strategy: str
    policy: str = ""
    because: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class NoPlace:
    """Why there is no place.

    :param free: what is free and what is needed where something lacks, by host and class.
    """

    reason: str
    free: dict[str, Any] = field(default_factory=dict)


def place(case: Case, hosts: Hosts, neighbours: Neighbours) -> Place | NoPlace:
    """Find a place for the surrogate of an instance; nothing is taken yet.

    Its own host goes first, then another one of the host group by the placement policy, then
    its own host without some of the others that are there, then its own host when earlier
    instances of the plan have been committed.
    """
    own, amounts = case.server.host, case.demand.amounts
    named = hosts.allows(own)
    unfit = _unfit(case, own) if named else "it is none of the hosts that were named"
    lacks = case.ledger.lacks(own, amounts)
    if unfit is None and not lacks:
        return Place(own, OWN)
    free = {own: _plain(lacks)} if unfit is None else {}
    because = [f"not on its own host {own}: {unfit or _said(lacks)}"]
    if case.options.elsewhere:
        elsewhere = _elsewhere(case, hosts)
        if isinstance(elsewhere, str):
            where = f"by the placement policy {hosts.policy(own)}"
            group = hosts.group(own)
            if group:
                where += f", in host group {group}"
            because.append(f"{elsewhere} {where}")
            return Place(elsewhere, OTHER, hosts.policy(own), tuple(because))
        because.append(f"not on another host: {elsewhere.reason}")
        free.update(elsewhere.free)
    else:
        because.append("not on another host: that is not allowed (elsewhere)")
    if unfit is None:
        made = neighbours.make_room(case, lacks)
        if not isinstance(made, str):
            because += [move.because for move in made]
            return Place(own, MADE, hosts.policy(own), tuple(because), made)
        because.append(f"nobody makes room there: {made}")
        if not case.ledger.lacks(own, amounts, committed=True):
            because.append(_waiting(case.ledger.surrogates[own], own))
            return Place(own, WAITS, "", tuple(because))
    return NoPlace("; ".join(because), free)


def take(case: Case, found: Place) -> None:
    """Take a place, so that later instances of the plan find the rest."""
    ledger = case.ledger
    for move in found.moves:
        ledger.move(case.inventory.server(move.server), move.target)
    ledger.take(found.host, case.server.host, case.demand.amounts, found.strategy == WAITS)
    if case.group is not None:
        ledger.joined[case.group.id].add(found.host)


def _elsewhere(case: Case, hosts: Hosts) -> str | NoPlace:
    own, amounts = case.server.host, case.demand.amounts
    refused = hosts.refusal(own)
    if refused:
        return NoPlace(refused)
    reasons, fit, free = [], [], {}
    for name in hosts.others(own):
        lacks = case.ledger.lacks(name, amounts)
        reason = _unfit(case, name)
        if reason is None and lacks:
            free[name] = _plain(lacks)
        if reason is None and not lacks:
            fit.append(name)
        else:
            reasons.append(f"{name}: {reason or _said(lacks)}")
    zone = case.host.availability_zone if case.host else ""
    best = hosts.best(case.ledger, own, fit, amounts, zone)
    if best is not None:
        return best
    group = hosts.group(own)
    if not reasons:
        return NoPlace(f"there is none in host group {group}" if group else "there is none")
    more = f" (and {len(reasons) - SHOWN} more)" if len(reasons) > SHOWN else ""
    return NoPlace("; ".join(reasons[:SHOWN]) + more, free)


def _unfit(case: Case, name: str) -> str | None:
    """Return why a host cannot take the surrogate, whatever is free there."""
    host, own = case.inventory.host(name), case.server.host
    if host is None:
        return "there is no such compute host"
    if not host.enabled:
        return "it is disabled, and Nova places nothing there"
    if not host.up:
        return "nova-compute is down there"
    zone = case.server.pinned_availability_zone
    if zone and host.availability_zone != zone:
        return f"it is in zone {host.availability_zone}, and the instance is pinned to {zone}"
    if host.agent is None or not host.agent.alive:
        return "it has no L2 agent that is alive"
    for port in case.ports:
        there = port_case(case.plugins, port.port, host.agent).wanted
        if there != port.wanted:
            return f"it would bind port {port.port.id} as {there}"
    if case.ledger.room(name) is None:
        return "Placement has no resource provider of its name"
    return _unlike(case, name, own) or _parted(case, name, own)


def _unlike(case: Case, name: str, own: str) -> str | None:
    """Return which traits a host lacks; the instance's own has what it needs, if nobody knows."""
    demand, known = case.demand, case.inventory.traits.get(name)
    if not demand.required and not demand.forbidden:
        return None
    if known is None:
        return None if name == own else "its traits are not known"
    missing = sorted(set(demand.required) - set(known))
    if missing:
        return f"it lacks {', '.join(missing)}"
    forbidden = sorted(set(demand.forbidden) & set(known))
    return f"it has {', '.join(forbidden)}" if forbidden else None


def _parted(case: Case, name: str, own: str) -> str | None:
    """Return how a host breaks the server group: the surrogate joins it beside the original."""
    group = case.group
    if group is None:
        return None
    if group.policy == "affinity" and name != own:
        return f"the server group {group.name} (affinity) keeps it on {own}"
    if group.policy == "anti-affinity" and case.ledger.holds(name, group):
        who = "the original" if name == own else "another member"
        return f"the server group {group.name} (anti-affinity) has {who} there"
    return None


def _waiting(fit: int, host: str) -> str:
    if not fit:
        return f"waits for room on {host} that earlier ones of this plan leave"
    return f"waits for room: {fit} of this plan {'fits' if fit == 1 else 'fit'} on {host} at a time"


def _said(lacks: Iterable[Lack]) -> str:
    return ", ".join(str(lack) for lack in lacks)


def _plain(lacks: Iterable[Lack]) -> dict[str, Any]:
    return {lack.kind: {"free": lack.free, "needed": lack.needed} for lack in lacks}
