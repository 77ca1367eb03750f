"""A fleet as numbers: what planning and the bound ask again and again, worked out once."""

from __future__ import annotations

import functools
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from upgrade_flows.planning.rolling.amounts import Amounts
from upgrade_flows.planning.rolling.fleet import AFFINITY, Cost, Costs, Fleet, Host, Instance, Rules

FEW = 8  # hosts of one size, on average, below which sizes are not told apart
MANY = 100  # lanes beyond which hosts are no longer told apart by all that they have

Place = tuple[str, str]


class Reach:
    """A set of kinds of hosts, and what the instances need that cannot live anywhere else.

    :param mask: the kinds, as bits; :param kept: the share that stays free.
    :ivar required: demand and spare, packed; :ivar capacity: that of all its hosts.
    :ivar largest: of each resource class, what must leave the host that it is used most on.
    """

    def __init__(self, mask: int, kept: float) -> None:
        self.mask, self.kept = mask, kept
        self.required = self.capacity = self.largest = 0


class Ground(Amounts):
    """Hosts and instances by number: in the order of their names and ids.

    :param variant: another order of hosts than that of their names, where it is not 0.
    :param cost: the placement policies; without them hosts are filled in whatever way is fast.
    """

    def __init__(
        self, fleet: Fleet, rules: Rules, variant: int = 0, cost: Costs | None = None
    ) -> None:
        self.fleet, self.rules, self.variant, self.cost = fleet, rules, variant, cost
        self.hosts: list[Host] = sorted(fleet.hosts, key=lambda host: host.name)
        if variant:
            self.hosts.sort(key=lambda host: zlib.crc32(f"{variant} {host.name}".encode()))
        self.instances: list[Instance] = sorted(fleet.instances, key=lambda one: one.id)
        self.number = {host.name: n for n, host in enumerate(self.hosts)}
        self.number_of = {instance.id: n for n, instance in enumerate(self.instances)}
        super().__init__(self._amounts())
        self.capacity = [self.pack(host.capacity) for host in self.hosts]
        self._set_instances()
        self._set_kinds()
        self._set_classes()
        self._set_groups()
        self.left = self._left()
        self.planned = [not h.upgraded and n not in self.left for n, h in enumerate(self.hosts)]
        self._set_lanes()
        self._set_reaches()

    @functools.cached_property
    def places(self) -> list[Place]:
        """The cell and availability zone of every host."""
        return [(host.cell, host.az) for host in self.hosts]

    def cost_of(self, host: int) -> Cost | None:
        """Return the policy by which the instances of a host are placed, or None."""
        if isinstance(self.cost, Mapping):
            return self.cost.get(self.hosts[host].name)
        return self.cost

    def _amounts(self) -> Iterator[Mapping[str, int]]:
        yield from (host.capacity for host in self.hosts)
        yield from (instance.demand for instance in self.instances)

    def _set_instances(self) -> None:
        packed: dict[int, int] = {}
        self.need: list[int] = []
        self.on: list[list[int]] = [[] for _ in self.hosts]
        for n, instance in enumerate(self.instances):
            key = id(instance.demand)
            if key not in packed:
                packed[key] = self.pack(instance.demand)
            self.need.append(packed[key])
            self.on[self.number[instance.host]].append(n)
        self.home = [self.number[instance.host] for instance in self.instances]
        self.move_s = [instance.move_s for instance in self.instances]
        self.movable = [instance.movable for instance in self.instances]

    def _set_kinds(self) -> None:
        """Tell hosts apart by what instances ask for, and by nothing else."""
        traits: set[str] = set()
        aggregates: set[str] = set()
        asked = {
            (one.required_traits, one.forbidden_traits,
             one.required_aggregates, one.forbidden_aggregates)
            for one in self.instances
        }  # fmt: skip
        for required, forbidden, within, outside in asked:
            traits.update(required, forbidden)
            aggregates.update(within, outside)
        found: dict[tuple[str, str, frozenset[str], frozenset[str]], int] = {}
        self.kind: list[int] = []
        for host in self.hosts:
            key = (
                host.cell,
                host.az,
                frozenset(traits.intersection(host.traits)),
                frozenset(aggregates.intersection(host.aggregates)),
            )
            self.kind.append(found.setdefault(key, len(found)))
        self.kinds = list(found)

    def _set_classes(self) -> None:
        """Tell instances apart by where they may go."""
        found: dict[tuple[object, ...], int] = {}
        self.class_of: list[int] = []
        self.masks: list[int] = []
        for n, one in enumerate(self.instances):
            key = (
                self.hosts[self.home[n]].cell, one.az, one.required_traits, one.forbidden_traits,
                one.required_aggregates, one.forbidden_aggregates,
            )  # fmt: skip
            number = found.get(key)
            if number is None:
                number = found[key] = len(found)
                self.masks.append(self._mask(self.hosts[self.home[n]].cell, one))
            self.class_of.append(number)
        self._preferred: dict[tuple[int, int], tuple[int, ...]] = {}
        self._crossed: dict[tuple[int, int, int], tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def _mask(self, home_cell: str, one: Instance) -> int:
        mask = 0
        for number, (cell, az, traits, aggregates) in enumerate(self.kinds):
            if (
                cell == home_cell
                and one.az in ("", az)
                and traits.issuperset(one.required_traits)
                and traits.isdisjoint(one.forbidden_traits)
                and aggregates.issuperset(one.required_aggregates)
                and aggregates.isdisjoint(one.forbidden_aggregates)
            ):
                mask |= 1 << number
        return mask

    def preferred(self, mask: int, kind: int) -> tuple[int, ...]:
        """Return the kinds in ``mask``: the own one first, the least special ones next."""
        key = (mask, kind)
        if key not in self._preferred:
            az = self.kinds[kind][1]
            self._preferred[key] = tuple(
                sorted(
                    (n for n in range(len(self.kinds)) if mask >> n & 1),
                    key=lambda n: (
                        n != kind,
                        len(self.kinds[n][2]) + len(self.kinds[n][3]),
                        self.kinds[n][1] != az,
                        n,
                    ),
                )
            )
        return self._preferred[key]

    def crossed(
        self, mask: int, source: int, target: int
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the reaches that an instance enters, and those that it leaves, as a stranger."""
        key = (mask, source, target)
        if key not in self._crossed:
            strange = [n for n, reach in enumerate(self.reaches) if mask & ~reach.mask]
            come, gone = set(self.reaches_of[target]), set(self.reaches_of[source])
            self._crossed[key] = (
                tuple(n for n in strange if n in come - gone),
                tuple(n for n in strange if n in gone - come),
            )
        return self._crossed[key]

    def _set_groups(self) -> None:
        self.groups = sorted(self.fleet.groups, key=lambda group: group.id)
        self.policy = [group.policy for group in self.groups]
        self.group_of = [-1] * len(self.instances)
        self.together: list[bool] = []
        for n, group in enumerate(self.groups):
            homes = set()
            for member in group.members:
                number = self.number_of[member]
                self.group_of[number] = n
                homes.add(self.home[number])
            self.together.append(group.policy == AFFINITY and len(homes) == 1)

    def _left(self) -> dict[int, str]:
        """Return the hosts that are left as they are, and why."""
        left: dict[int, str] = {}
        for n, host in enumerate(self.hosts):
            if host.excluded:
                left[n] = host.excluded
                continue
            for number in () if host.upgraded else self.on[n]:
                if why := self._hindrance(number):
                    left[n] = why
                    break
        return left

    def _hindrance(self, number: int) -> str:
        """Say why an instance keeps its host from being upgraded; empty where it does not."""
        one = self.instances[number]
        if one.movable:
            return ""
        if not one.stops:
            return f"{one.id} cannot be moved: {one.reason or 'no reason is given'}"
        group = self.group_of[number]
        if group >= 0 and self.together[group] and len(self.groups[group].members) > 1:
            return f"{one.id} cannot be moved, and its group {self.groups[group].id} stays with it"
        return ""

    def _set_lanes(self) -> None:
        """Put hosts that can stand in for one another into lanes."""
        sizes: list[set[int]] = [set() for _ in self.kinds]
        for host, kind in enumerate(self.kind):
            sizes[kind].add(self.capacity[host])
        hosts_of = Counter(self.kind)
        keys: list[tuple[object, ...]] = [
            (
                *self.places[n],
                kind,
                self.capacity[n] if hosts_of[kind] >= FEW * len(sizes[kind]) else 0,
            )
            for n, kind in enumerate(self.kind)
        ]
        for width in (4, 3, 2):
            if len({key[:width] for key in keys}) <= MANY or width == 2:
                break
        found: dict[tuple[object, ...], int] = {}
        self.lane = [found.setdefault(key[:width], len(found)) for key in keys]
        self.lane_place: list[Place] = [("", "")] * len(found)
        for n, lane in enumerate(self.lane):
            self.lane_place[lane] = self.places[n]

    @functools.cached_property
    def canaries(self) -> dict[Place, list[int]]:
        """The hosts that go first in each place that has such ones."""
        wanted = self.rules.canary
        by_place: dict[Place, list[int]] = defaultdict(list)
        for host, planned in enumerate(self.planned):
            if planned:
                by_place[self.places[host]].append(host)
        chosen = {}
        for place, hosts in by_place.items():
            hosts.sort(key=lambda host: (len(self.on[host]), self.hosts[host].name))
            named = [host for host in hosts if self.hosts[host].name in wanted.hosts]
            if first := named or hosts[: wanted.each]:
                chosen[place] = first
        return chosen

    def net(self, host: int) -> int:
        """Return a host's capacity without what those have that stay on it."""
        used = sum(self.need[n] for n in self.on[host] if not self.movable[n])
        return self.capacity[host] - used if self.fits(used, self.capacity[host]) else 0

    def _set_reaches(self) -> None:
        """Find the sets of hosts that some instances cannot leave, and what these need."""
        kept: dict[int, float] = dict.fromkeys(self.masks, 0.0)
        places: dict[Iterable[str], int] = defaultdict(int)
        for n, (cell, az, _, _) in enumerate(self.kinds):
            places[cell,] |= 1 << n
            places[cell, az] |= 1 << n
        kept.update(dict.fromkeys(places.values(), self.rules.limits.spare))
        demand = [0] * len(self.masks)
        for n, home in enumerate(self.home):
            if self.movable[n] and home not in self.left:
                demand[self.class_of[n]] += self.need[n]
        offered = [0] * len(self.kinds)
        largest: list[dict[str, int]] = [{} for _ in self.kinds]
        for n, host in enumerate(self.hosts):
            if n not in self.left:
                offered[self.kind[n]] += self.net(n)
                most = largest[self.kind[n]]
                load = sum(self.need[one] for one in self.on[n] if self.movable[one])
                for name in host.capacity if self.planned[n] else ():
                    most[name] = max(most.get(name, 0), self.amount(load, name))
        self.reaches = [Reach(mask, kept[mask]) for mask in sorted(kept)]
        self.reaches_of: list[list[int]] = [[] for _ in self.kinds]
        for n, reach in enumerate(self.reaches):
            for number, amount in enumerate(demand):
                if self.masks[number] & ~reach.mask == 0:
                    reach.required += amount
            for kind, amount in enumerate(offered):
                if reach.mask >> kind & 1:
                    reach.capacity += amount
                    self.reaches_of[kind].append(n)
            reach.required += self.share(reach.capacity, reach.kept)
            within = [most for kind, most in enumerate(largest) if reach.mask >> kind & 1]
            reach.largest = self.pack(
                {name: max(most.get(name, 0) for most in within) for name in self.shift}
            )
