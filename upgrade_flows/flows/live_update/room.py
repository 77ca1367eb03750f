"""What is free at hosts and in quotas, beside what earlier instances of the same plan take."""

from __future__ import annotations

import copy
import functools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from upgrade_flows.flows.demand import Demand, demand_of
from upgrade_flows.model.inventory import Inventory, Room, Server, ServerGroup
from upgrade_flows.plugins.base import HostLoad

#: what people call resource classes: one of it, and several
NOUNS = {
    "VCPU": ("VCPU", "VCPUs"),
    "PCPU": ("dedicated CPU", "dedicated CPUs"),
    "MEMORY_MB": ("MB of memory", "MB of memory"),
    "DISK_GB": ("GB of disk", "GB of disk"),
}


@dataclass(frozen=True)
class Lack:
    """What a host has too little of."""

    kind: str
    free: int
    needed: int

    def __str__(self) -> str:
        one, more = NOUNS.get(self.kind, (self.kind, self.kind))
        free = f"{self.free} {one} is" if self.free == 1 else f"{self.free} {more} are"
        return f"{free} free, {self.needed} {'is' if self.needed == 1 else 'are'} needed"


@dataclass
class Ledger:
    """What actions of one plan will have taken, each after those that were planned before it.

    :param now: what is taken at hosts, less what others free that are moved away, from when the
        surrogates are there until they are committed.
    :param after: the same when all are committed: originals are gone by then.
    :param surrogates: how many surrogates there are at each host until then.
    :param moved: where those others are then.
    :param joined: the hosts of surrogates by the server group that they joined.
    :param charged: what surrogates take of their projects' quotas.
    """

    inventory: Inventory
    now: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    after: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    surrogates: Counter[str] = field(default_factory=Counter)
    moved: dict[str, str] = field(default_factory=dict)
    joined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    charged: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @functools.cached_property
    def classes(self) -> frozenset[str]:
        """The resource classes that hosts have."""
        return frozenset(k for room in self.inventory.rooms.values() for k in room.capacity)

    def room(self, host: str) -> Room | None:
        """Return what a host has and what is taken there, by whomever; None: nobody knows."""
        rooms = self.inventory.rooms
        if host in rooms:
            return rooms[host]
        names = {server.hypervisor_hostname for server in self.inventory.servers_on(host)}
        return next((rooms[name] for name in sorted(names) if name in rooms), None)

    def load(self, host: str) -> HostLoad:
        """Return what a placement policy has to know of a host."""
        room, facts = self.room(host) or Room(), self.inventory.facts.get(host, {})
        used = Counter(room.used)
        used.update(self.now[host])
        return HostLoad(
            host,
            room.capacity,
            dict(used),
            {
                kind: max(0.0, float(facts[f"{kind}_utilization"]))
                for kind in ("cpu", "memory")
                if facts.get(f"{kind}_utilization") is not None
            },
        )

    def lacks(
        self, host: str, amounts: Mapping[str, int], committed: bool = False
    ) -> tuple[Lack, ...]:
        """Return what a host has too little of for ``amounts``; nothing where they fit.

        :param committed: when all earlier actions are; else while their surrogates are there.
        """
        room, taken = self.room(host) or Room(), (self.after if committed else self.now)[host]
        free = {
            kind: room.capacity.get(kind, 0) - room.used.get(kind, 0) - taken[kind]
            for kind in amounts
        }
        return tuple(
            Lack(kind, max(0, free[kind]), needed)
            for kind, needed in amounts.items()
            if needed > max(0, free[kind])
        )

    def trial(self) -> Ledger:
        """Return a copy in which something can be tried."""
        return copy.deepcopy(self, {id(self.inventory): self.inventory})

    def holds(self, host: str, group: ServerGroup) -> bool:
        """Whether a host holds a member of a server group, or a surrogate of one."""
        members = {server.id for server in self.inventory.servers_on(host)} & set(group.members)
        there = {one for one in members if self.moved.get(one, host) == host}
        there |= {one for one in group.members if self.moved.get(one) == host}
        return bool(there) or host in self.joined[group.id]

    def demand(self, server: Server) -> Demand:
        """Return what a server asks of its host."""
        return demand_of(self.inventory, server, self.classes)

    def take(self, host: str, source: str, amounts: Mapping[str, int], waits: bool) -> None:
        """Plan a surrogate on a host whose original, on another or the same, goes at the commit.

        :param waits: it comes only when others have been committed.
        """
        if not waits:
            self.now[host].update(amounts)
            self.surrogates[host] += 1
        self.after[host].update(amounts)
        self.after[source].subtract(amounts)

    def move(self, server: Server, target: str) -> None:
        """Plan to move another instance away for good."""
        amounts = self.demand(server).amounts
        for taken in (self.now, self.after):
            taken[server.host].subtract(amounts)
            taken[target].update(amounts)
        self.moved[server.id] = target
