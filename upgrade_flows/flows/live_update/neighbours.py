"""Which other instances are live-migrated away, so that a surrogate fits beside its original."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from upgrade_flows.flows.live_update.case import Case
from upgrade_flows.flows.live_update.hosts import Hosts
from upgrade_flows.flows.live_update.room import Lack, Ledger
from upgrade_flows.flows.moving import LIVE, choice_of, obstacles_of
from upgrade_flows.model.inventory import Host, Inventory, Server
from upgrade_flows.plugins.vif import port_case
from upgrade_flows.steps.base import Plugins


@dataclass(frozen=True)
class Move:
    """Another instance that is live-migrated away first."""

    server: str
    name: str
    source: str
    target: str
    because: str


class Neighbours:
    """Knows who may be moved, and where to.

    :param scope: the servers that the plan is about: none of them is moved for another.
    """

    def __init__(
        self,
        inventory: Inventory,
        plugins: Plugins,
        ledger: Ledger,
        hosts: Hosts,
        scope: Collection[str],
    ) -> None:
        self._inventory, self._plugins = inventory, plugins
        self._ledger, self._hosts, self._scope = ledger, hosts, scope

    def make_room(self, case: Case, lacks: tuple[Lack, ...]) -> tuple[Move, ...] | str:
        """Return the fewest others that free what lacks at a host, the smallest; or why none do.

        Each is sent where the placement policy of the host group wants it.
        """
        own = case.server.host
        if not case.options.make_room:
            return "that is not allowed (make_room)"
        refused = self._hosts.refusal(own)
        if refused:
            return refused
        able = [one for one in self._inventory.servers_on(own) if self._movable(one)]
        if not able:
            return f"no other instance on {own} can be live-migrated"
        missing = Counter({lack.kind: lack.needed - lack.free for lack in lacks})
        missing.update(self._overdrawn(own, lacks))
        barred: set[str] = set()
        while True:
            chosen = self._fewest([one for one in able if one.id not in barred], missing)
            if chosen is None:
                movable = f"{len(able)} of the others on {own} can be live-migrated"
                return (
                    f"{movable}, which is not enough"
                    if not barred
                    else (f"{movable}, and no host has room for {self._names(able, barred)}")
                )
            targets = self._targets(case, chosen)
            if isinstance(targets, tuple):
                return targets
            barred.add(targets)

    def _overdrawn(self, host: str, lacks: tuple[Lack, ...]) -> dict[str, int]:
        """Return by how much more than there is is taken: that has to be freed as well."""
        load = self._ledger.load(host)
        over = {
            lack.kind: load.used.get(lack.kind, 0) - load.capacity.get(lack.kind, 0)
            for lack in lacks
        }
        return {kind: amount for kind, amount in over.items() if amount > 0}

    def _movable(self, server: Server) -> bool:
        """Whether an instance can be live-migrated, and its owner does not mind."""
        if server.id in self._scope or server.id in self._ledger.moved:
            return False
        if server.status != "ACTIVE" or server.task_state is not None or server.locked:
            return False
        if choice_of(server) not in ("", LIVE):
            return False
        obstacles = obstacles_of(server)
        if obstacles.live or obstacles.move:
            return False
        group = self._inventory.group_of(server.id)
        if group is not None and group.policy == "affinity" and len(group.members) > 1:
            return False
        ports = self._inventory.ports_of(server.id)
        return all(port.vnic_type == "normal" for port in ports)

    def _fewest(self, able: list[Server], missing: Counter[str]) -> list[Server] | None:
        """Return few servers that free what is missing: whoever frees most of it, then the rest.

        Of those that free as much the smallest.
        """
        amounts = {one.id: Counter(self._ledger.demand(one).amounts) for one in able}
        left, chosen, rest = Counter(missing), [], list(able)
        while any(left.values()):
            shares = {one.id: _frees(amounts[one.id], left, missing) for one in rest}
            best = min(rest, key=lambda one: (-shares[one.id], _size(one), one.name), default=None)
            if best is None or not shares[best.id]:
                return None
            rest.remove(best)
            chosen.append(best)
            left = Counter({k: n - min(n, amounts[best.id][k]) for k, n in left.items()})
        for one in sorted(chosen, key=_size, reverse=True):  # whom a later one made needless
            others = [other for other in chosen if other is not one]
            freed = sum((amounts[other.id] for other in others), Counter[str]())
            if all(freed[kind] >= amount for kind, amount in missing.items()):
                chosen = others
        return chosen

    def _targets(self, case: Case, chosen: list[Server]) -> tuple[Move, ...] | str:
        """Return where each goes, the largest first; or the id of one that no host takes."""
        own, trial, moves = case.server.host, self._ledger.trial(), []
        policy = self._hosts.policy(own)
        zone = case.host.availability_zone if case.host else ""
        for server in sorted(chosen, key=lambda one: (-_size(one), one.name)):
            amounts = trial.demand(server).amounts
            fit = [
                name
                for name in self._hosts.others(own)
                if not trial.lacks(name, amounts) and self._takes(trial, server, name)
            ]
            target = self._hosts.best(trial, own, fit, amounts, zone)
            if target is None:
                return server.id
            trial.move(server, target)
            why = f"{server.name} ({_size(server)} MB) makes room, and goes to {target} by {policy}"
            moves.append(Move(server.id, server.name, own, target, why))
        return tuple(moves)

    def _takes(self, ledger: Ledger, server: Server, name: str) -> bool:
        """Whether a host can take an instance that comes by live migration."""
        host = self._inventory.host(name)
        if host is None or not host.enabled or not host.up:
            return False
        zone = server.pinned_availability_zone
        if zone and host.availability_zone != zone:
            return False
        demand, traits = ledger.demand(server), self._inventory.traits.get(name, ())
        if set(demand.required) - set(traits) or set(demand.forbidden) & set(traits):
            return False
        group = self._inventory.group_of(server.id)
        if group is not None and group.policy == "anti-affinity" and ledger.holds(name, group):
            return False
        return self._plugs(server, host)

    def _plugs(self, server: Server, host: Host) -> bool:
        agent = host.agent
        if agent is None or not agent.alive:
            return False
        for port in self._inventory.ports_of(server.id):
            name = port_case(self._plugins, port, agent).plugin
            if name is None:
                return False
            plugin = self._plugins.network[name]
            if plugin.live_migration_refusal(port, plugin.wanted_mode(port, agent)) is not None:
                return False
        return True

    def _names(self, able: list[Server], ids: set[str]) -> str:
        return ", ".join(sorted(one.name for one in able if one.id in ids))


def _size(server: Server) -> int:
    return server.flavor.memory_mb


def _frees(held: Counter[str], left: Counter[str], missing: Counter[str]) -> float:
    """Return which shares of what is missing an instance frees of what is left of it."""
    return sum(min(held[kind], amount) / missing[kind] for kind, amount in left.items())
