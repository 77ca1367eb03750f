"""What a rolling upgrade is planned from: hosts, instances, groups, and the operator's rules.

Times are whole seconds.  Amounts are whole units of Placement resource classes; a host's
``capacity`` is what instances can use (allocation ratio and reserved already counted).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from upgrade_flows.errors import RequestError
from upgrade_flows.plugins.base import HostLoad

ANTI_AFFINITY = "anti-affinity"
AFFINITY = "affinity"
SOFT_ANTI_AFFINITY = "soft-anti-affinity"
SOFT_AFFINITY = "soft-affinity"
POLICIES = (ANTI_AFFINITY, AFFINITY, SOFT_ANTI_AFFINITY, SOFT_AFFINITY)

TIME = "time"
MOVES = "moves"

#: a placement policy: how little an instance of such a demand is wanted on a host
Cost = Callable[[HostLoad, dict[str, int]], float]
#: one policy for all instances, or that of each host's instances by the host's name
Costs = Cost | Mapping[str, Cost]


@dataclass(frozen=True, slots=True)
class Host:
    """A compute host; ``out_s`` is how long package, reboot and verification take.

    :param upgraded: it runs the wanted version already.
    :param excluded: why it is neither upgraded nor given instances; empty where it is.
    :param utilization: measured shares of ``cpu`` and ``memory``, where known; only placement
        policies look at them.
    """

    name: str
    capacity: dict[str, int]
    out_s: int
    az: str = ""
    cell: str = ""
    aggregates: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    failure_domain: str = ""
    upgraded: bool = False
    excluded: str = ""
    utilization: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, where it is, and where it may go.

    :param az: the availability zone that it is pinned to; empty where it is not.
    :param move_s: how long a migration takes; :param pause_s: how long it pauses the guest.
    :param movable: False where nothing can migrate it; ``reason`` says what is in the way.
    :param stops: one that cannot be moved may be stopped while its host is out of service;
        where it may not, its host is left as it is.
    """

    id: str
    host: str
    demand: dict[str, int]
    move_s: int = 60
    pause_s: float = 0.0
    az: str = ""
    required_traits: tuple[str, ...] = ()
    forbidden_traits: tuple[str, ...] = ()
    required_aggregates: tuple[str, ...] = ()
    forbidden_aggregates: tuple[str, ...] = ()
    movable: bool = True
    stops: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A server group; ``policy`` as Nova names it."""

    id: str
    policy: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What must not be exceeded at any moment.

    A host is out of service from the moment its drain begins (it is disabled) until it is back.

    :param out_of_service: hosts out at a time, in all; ``out_per_az`` and ``out_per_domain``
        limit them in each availability zone and failure domain as well.
    :param migrations_per_host: those that a host sends and those that it receives, together.
    :param spare: the share of each cell's capacity, and of each availability zone's as far as
        instances are confined to it, that stays free on hosts in service.
    :param max_failures: hosts that may fail before nothing more begins.
    :param attempts: how often the migration of an instance is tried.
    """

    out_of_service: int
    migrations_per_host: int = 2
    migrations_total: int = 100
    out_per_az: int | None = None
    out_per_domain: int | None = None
    spare: float = 0.0
    max_failures: int = 0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Canary:
    """The hosts that go first in each availability zone of each cell.

    Nothing else begins there before they have been back for ``bake_s`` seconds, and none of
    them may fail.

    :param each: how many; the emptiest ones, where ``hosts`` names none of that place.
    """

    each: int = 0
    bake_s: int = 0
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """How the operator wants it: limits, canaries, and what to prefer where they pull apart.

    ``time`` lets as large a share of the instances move twice as there are hosts allowed out;
    ``moves`` lets an instance move twice only where nothing else is left to do.
    """

    limits: Limits
    canary: Canary = Canary()
    prefer: str = TIME

    def check(self) -> None:
        """Refuse numbers that make no sense.

        :raises RequestError: with the number and its range.
        """
        limits = self.limits
        least = {
            "out_of_service": 1, "migrations_per_host": 1, "migrations_total": 1,
            "out_per_az": 1, "out_per_domain": 1, "max_failures": 0, "attempts": 1,
        }  # fmt: skip
        for name, low in least.items():
            value = getattr(limits, name)
            if value is not None and value < low:
                raise RequestError(f"{name} is {value}; it must be {low} or more")
        if not 0 <= limits.spare < 1:
            raise RequestError(f"spare is {limits.spare}; it must be at least 0 and less than 1")
        if self.canary.each < 0 or self.canary.bake_s < 0:
            raise RequestError("canaries and their bake time must be 0 or more")
        if self.prefer not in (TIME, MOVES):
            raise RequestError(f"prefer is {self.prefer!r}; it must be {TIME!r} or {MOVES!r}")


@dataclass(frozen=True)
class Fleet:
    """The hosts, their instances and the groups among these, as they are."""

    hosts: tuple[Host, ...]
    instances: tuple[Instance, ...] = ()
    groups: tuple[Group, ...] = field(default=())

    def check(self) -> None:
        """Refuse what contradicts itself.

        :raises RequestError: names the host, instance or group.
        """
        names = {host.name for host in self.hosts}
        _refuse_repeated("host", (host.name for host in self.hosts))
        _refuse_repeated("instance", (instance.id for instance in self.instances))
        _refuse_repeated("group", (group.id for group in self.groups))
        for host in self.hosts:
            if host.out_s < 1:
                raise RequestError(f"host {host.name}: out_s is {host.out_s}; it must be 1 or more")
            if min(host.capacity.values(), default=0) < 0:
                raise RequestError(f"host {host.name}: a capacity is negative")
            if min(host.utilization.values(), default=0) < 0:
                raise RequestError(f"host {host.name}: a utilization is negative")
        for instance in self.instances:
            if instance.host not in names:
                raise RequestError(f"instance {instance.id}: its host {instance.host} is unknown")
            if instance.move_s < 1:
                raise RequestError(f"instance {instance.id}: move_s must be 1 or more")
            if min(instance.demand.values(), default=0) < 0:
                raise RequestError(f"instance {instance.id}: a demand is negative")
        self._check_groups({instance.id for instance in self.instances})

    def _check_groups(self, ids: set[str]) -> None:
        _refuse_repeated("member of groups", (m for group in self.groups for m in group.members))
        for group in self.groups:
            if group.policy not in POLICIES:
                raise RequestError(f"group {group.id}: its policy {group.policy!r} is unknown")
            unknown = sorted(set(group.members) - ids)
            if unknown:
                raise RequestError(f"group {group.id}: its member {unknown[0]} is unknown")


def _refuse_repeated(what: str, names: Iterable[str]) -> None:
    counted = Counter(names)
    twice = sorted(name for name, count in counted.items() if count > 1)
    if twice:
        raise RequestError(f"{what} {twice[0]} is there twice")
