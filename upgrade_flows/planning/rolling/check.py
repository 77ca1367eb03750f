"""Replaying a rolling upgrade and looking for broken constraints.

It shares nothing with the planner but the fleet, the rules and the result: names, plain sums, and
every constraint looked at whenever something changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from upgrade_flows.planning.rolling.fleet import (
    AFFINITY,
    ANTI_AFFINITY,
    Fleet,
    Group,
    Host,
    Instance,
    Rules,
)
from upgrade_flows.planning.rolling.result import Move, Roll, Window

ENDED, BACK, BEGUN, STARTED, DRAINED = range(5)


def check(fleet: Fleet, rules: Rules, roll: Roll, predicted: bool = True) -> list[str]:
    """Return every constraint that a rolling upgrade breaks, as sentences.

    :param predicted: durations have to be the ones of fleet and rules.
    """
    replay = _Replay(fleet, rules)
    if predicted:
        replay.check_durations(roll)
    replay.go_through(roll)
    replay.check_canaries(roll.windows)
    replay.check_end(roll)
    return replay.broken


class _Replay:
    def __init__(self, fleet: Fleet, rules: Rules) -> None:
        self.rules = rules
        self.limits = rules.limits
        self.hosts: dict[str, Host] = {host.name: host for host in fleet.hosts}
        self.instances: dict[str, Instance] = {one.id: one for one in fleet.instances}
        self.group_of: dict[str, Group] = {
            m: group for group in fleet.groups for m in group.members
        }
        self.broken: list[str] = []
        self.where = {one.id: one.host for one in fleet.instances}
        self.used: dict[str, Counter[str]] = {name: Counter() for name in self.hosts}
        self.on: dict[str, set[str]] = {name: set() for name in self.hosts}
        for one in fleet.instances:
            self.used[one.host].update(one.demand)
            self.on[one.host].add(one.id)
        self.upgraded = {host.name for host in fleet.hosts if host.upgraded}
        self.kept = {host.name for host in fleet.hosts if host.excluded} | {
            one.host
            for one in fleet.instances
            if not one.movable and not one.stops and not self.hosts[one.host].upgraded
        }
        self.together = {
            group.id: len({self.where[m] for m in group.members}) == 1
            for group in fleet.groups
            if group.policy == AFFINITY
        }
        self.draining: set[str] = set()
        self.out: set[str] = set()
        self.coming: dict[str, str] = {}
        self.flying: Counter[str] = Counter()
        self.occupied: dict[str, Counter[str]] = defaultdict(Counter)
        for member, group in self.group_of.items():
            self.occupied[group.id][self.where[member]] += 1
        self._set_confined(fleet)

    def _set_confined(self, fleet: Fleet) -> None:
        """Find the sets of hosts that instances are confined to, and what these need."""
        allowed: dict[tuple[object, ...], frozenset[str]] = {}
        self.allowed: dict[str, frozenset[str]] = {}
        demand: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
        for one in fleet.instances:
            key = (
                self.hosts[one.host].cell, one.az, one.required_traits, one.forbidden_traits,
                one.required_aggregates, one.forbidden_aggregates,
            )  # fmt: skip
            if key not in allowed:
                allowed[key] = frozenset(h.name for h in fleet.hosts if self._suits(one, h))
            self.allowed[one.id] = allowed[key]
            if one.movable and one.host not in self.kept:
                demand[allowed[key]].update(one.demand)
        spare: dict[frozenset[str], float] = dict.fromkeys(demand, 0.0)
        for of in (lambda h: h.cell, lambda h: (h.cell, h.az)):
            places = defaultdict(set)
            for host in fleet.hosts:
                places[of(host)].add(host.name)
            spare.update({frozenset(names): self.limits.spare for names in places.values()})
        self.net: dict[str, Counter[str]] = {}
        for name, host in self.hosts.items():
            stays = [
                self.instances[n].demand for n in self.on[name] if not self.instances[n].movable
            ]
            self.net[name] = Counter(host.capacity)
            for amounts in stays:
                self.net[name].subtract(amounts)
        self.needs: list[Counter[str]] = []
        self.offered: list[Counter[str]] = []
        self.sets_of: dict[str, list[int]] = defaultdict(list)
        for names, share in spare.items():
            needed: Counter[str] = Counter()
            for confined, amounts in demand.items():
                if confined <= names:
                    needed.update(amounts)
            offered: Counter[str] = Counter()
            for name in names - self.kept:
                offered.update(self.net[name])
            for kind, amount in offered.items():
                needed[kind] += -(-amount * round(share * 10**6) // 10**6)
            for name in names:
                self.sets_of[name].append(len(self.needs))
            self.needs.append(needed)
            self.offered.append(offered)

    def _suits(self, one: Instance, host: Host) -> bool:
        return (
            host.cell == self.hosts[one.host].cell
            and one.az in ("", host.az)
            and set(one.required_traits) <= set(host.traits)
            and not set(one.forbidden_traits) & set(host.traits)
            and set(one.required_aggregates) <= set(host.aggregates)
            and not set(one.forbidden_aggregates) & set(host.aggregates)
        )

    def complain(self, at: int, text: str) -> None:
        self.broken.append(f"at {at} s: {text}")

    def check_durations(self, roll: Roll) -> None:
        for move in roll.moves:
            wanted = self.instances[move.instance].move_s
            if move.end - move.start != wanted:
                self.complain(move.start, f"{move.instance} is not moved in {wanted} s")
        for window in roll.windows:
            out_s = self.hosts[window.host].out_s
            if window.drained is None or window.end != window.drained + out_s:
                self.complain(
                    window.start, f"{window.host} is not out for {out_s} s after its drain"
                )

    def go_through(self, roll: Roll) -> None:
        events: list[tuple[int, int, int, Move | Window]] = []
        for n, move in enumerate(roll.moves):
            events += [(move.start, STARTED, n, move), (move.end, ENDED, n, move)]
        for n, window in enumerate(roll.windows):
            events.append((window.start, BEGUN, n, window))
            if window.drained is not None:
                events.append((window.drained, DRAINED, n, window))
            if window.end is not None:
                events.append((window.end, BACK, n, window))
        events.sort(key=lambda event: event[:3])
        for at, what, _, item in events:
            if isinstance(item, Move):
                self._start(at, item) if what == STARTED else self._end(at, item)
            elif what == BEGUN:
                self._begin(at, item.host)
            elif what == DRAINED:
                self._drained(at, item.host)
            else:
                self._back(at, item)

    def _begin(self, at: int, name: str) -> None:
        host = self.hosts[name]
        if name in self.upgraded or name in self.kept or name in self.out:
            self.complain(at, f"{name} is begun although it is not to be upgraded")
        if name in self.coming.values():
            self.complain(at, f"{name} is begun while an instance is on its way to it")
        self.draining.add(name)
        self.out.add(name)
        if len(self.out) > self.limits.out_of_service:
            self.complain(at, f"{len(self.out)} hosts are out of service")
        place = [n for n in self.out if self._place(n) == (host.cell, host.az)]
        if self.limits.out_per_az is not None and len(place) > self.limits.out_per_az:
            self.complain(at, f"{len(place)} hosts of {host.az} are out of service")
        domain = [n for n in self.out if self.hosts[n].failure_domain == host.failure_domain]
        most = self.limits.out_per_domain
        if host.failure_domain and most is not None and len(domain) > most:
            self.complain(at, f"{len(domain)} hosts of {host.failure_domain} are out of service")
        for n in self.sets_of[name]:
            self.offered[n].subtract(self.net[name])
            short = [k for k, amount in self.needs[n].items() if amount > self.offered[n][k]]
            if short:
                self.complain(at, f"without {name} too little {short[0]} is left in service")

    def _place(self, name: str) -> tuple[str, str]:
        return self.hosts[name].cell, self.hosts[name].az

    def _drained(self, at: int, name: str) -> None:
        for one in sorted(self.on[name]):
            if self.instances[one].movable:
                self.complain(at, f"{name} is taken out of service with {one} on it")
        self.draining.discard(name)

    def _back(self, at: int, window: Window) -> None:
        name = window.host
        self.draining.discard(name)
        self.out.discard(name)
        for n in self.sets_of[name]:
            self.offered[n].update(self.net[name])
        (self.kept if window.failed else self.upgraded).add(name)

    def _start(self, at: int, move: Move) -> None:
        one, source, target = self.instances[move.instance], move.source, move.target
        if not one.movable:
            self.complain(at, f"{one.id} cannot be moved")
        if self.where[one.id] != source or one.id in self.coming:
            self.complain(at, f"{one.id} is not on {source}")
        if source not in self.draining:
            self.complain(at, f"{one.id} leaves {source}, which is not being drained")
        if target in self.out or target in self.kept or target == source:
            self.complain(at, f"{one.id} is moved to {target}, which takes no instances")
        if source in self.upgraded and target not in self.upgraded:
            self.complain(at, f"{one.id} is moved back from an upgraded host to {target}")
        if target not in self.allowed[one.id]:
            self.complain(at, f"{one.id} must not be on {target}")
        self._check_group(at, one.id, source, target)
        self.coming[one.id] = target
        self.used[target].update(one.demand)
        if group := self.group_of.get(one.id):
            self.occupied[group.id][target] += 1
        capacity = self.hosts[target].capacity
        for kind, amount in one.demand.items():
            if amount and self.used[target][kind] > capacity.get(kind, 0):
                self.complain(at, f"{target} has too little {kind} for {one.id}")
        self.flying.update((source, target))
        for name in (source, target):
            if self.flying[name] > self.limits.migrations_per_host:
                self.complain(at, f"{name} has {self.flying[name]} migrations")
        if len(self.coming) > self.limits.migrations_total:
            self.complain(at, f"{len(self.coming)} migrations run")

    def _check_group(self, at: int, member: str, source: str, target: str) -> None:
        group = self.group_of.get(member)
        if group is None:
            return
        held = {host for host, count in self.occupied[group.id].items() if count}
        if group.policy == ANTI_AFFINITY and target in held:
            self.complain(at, f"{member} is moved to {target}, where its group {group.id} is")
        if group.policy == AFFINITY and self.together[group.id] and held - {source, target}:
            self.complain(at, f"{member} is moved away from its group {group.id}")

    def _end(self, at: int, move: Move) -> None:
        one = self.instances[move.instance]
        left = move.target if move.failed else move.source
        self.coming.pop(one.id, None)
        self.used[left].subtract(one.demand)
        if group := self.group_of.get(one.id):
            self.occupied[group.id][left] -= 1
        self.flying.subtract((move.source, move.target))
        if not move.failed:
            self.on[move.source].discard(one.id)
            self.on[move.target].add(one.id)
            self.where[one.id] = move.target

    def check_canaries(self, windows: tuple[Window, ...]) -> None:
        canary = self.rules.canary
        places: Mapping[tuple[str, str], list[Window]] = defaultdict(list)
        for window in sorted(windows, key=lambda w: w.start):
            places[self._place(window.host)].append(window)
        for found in places.values():
            first = [w for w in found if w.host in canary.hosts] or found[: canary.each]
            for other in found:
                for one in first if other not in first else ():
                    if one.end is None or one.failed or other.start < one.end + canary.bake_s:
                        self.complain(other.start, f"{other.host} does not wait for {one.host}")

    def check_end(self, roll: Roll) -> None:
        end = roll.makespan
        for group, together in self.together.items():
            held = [host for host, count in self.occupied[group].items() if count]
            if together and len(held) > 1 and not set(held) & set(roll.left):
                self.complain(end, f"group {group} is no longer together")
        for name in self.hosts:
            if (name in self.upgraded) == (name in roll.left):
                self.complain(end, f"{name} is upgraded and left as it was, or neither")
        for one, name in self.where.items():
            if (name in self.upgraded) == (one in roll.stuck):
                self.complain(end, f"{one} ends on {name}, and the result says otherwise")
