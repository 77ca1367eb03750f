"""How far a rolling upgrade has come: where everything is, what runs, and what that takes up.

Every method that changes something takes note of one event; none of them decides anything.
"""

from __future__ import annotations

import enum
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable

from upgrade_flows.planning.rolling.courtesy import Courtesy
from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.loads import Loads
from upgrade_flows.planning.rolling.result import NO_ROOM, UPGRADED, Move, Window
from upgrade_flows.planning.rolling.targets import Pool


class Status(enum.IntEnum):
    """What is with a host."""

    PENDING = 0
    DRAINING = 1
    OUT = 2
    UPGRADED = 3
    FAILED = 4
    LEFT = 5


class State:
    """The facts, by number, and what follows from them.

    :ivar status, resident, used: of each host; ``used`` counts what is on its way as well.
    :ivar target: of each instance that has one, running or not.
    :ivar running: the instances that are being moved, and since when.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.now = 0
        hosts, instances = len(ground.hosts), len(ground.instances)
        self.status = [Status.PENDING] * hosts
        self.resident: list[dict[int, None]] = [dict.fromkeys(on) for on in ground.on]
        self.used = [sum(ground.need[n] for n in on) for on in ground.on]
        self.where = list(ground.home)
        self.target = [-1] * instances
        self.doubled = [False] * instances
        self.attempts: Counter[int] = Counter()
        self.running: dict[int, int] = {}
        self.flying = [0] * hosts
        self.inbound = [0] * hosts
        self.todo: dict[int, list[int]] = {}
        self.leaving = [0] * hosts
        self.members: list[dict[int, int]] = [{} for _ in ground.groups]
        for n, group in enumerate(ground.group_of):
            if group >= 0:
                self.count(group, self.where[n], 1)
        self.out = 0
        self.out_of: Counter[tuple[str, ...]] = Counter()
        self.seeded = 0
        self.backs = 0
        self.failures: list[int] = []
        self.halted = ""
        self.left = dict(ground.left)
        self.out_within = [0] * len(ground.reaches)
        self.offered = [reach.capacity for reach in ground.reaches]
        self.courtesy, self.loads = Courtesy(ground), Loads(ground, self.used)
        self.windows: dict[int, Window] = {}
        self.moves: list[Move] = []
        self.old, self.new = Pool(ground, self.used), Pool(ground, self.used)
        self.active = [0] * len(self.ground.lane_place)
        self._waiting: dict[int, list[int]] = defaultdict(list)
        self._ready: list[tuple[int, int]] = []
        self._is_ready: set[int] = set()
        self.drained: list[int] = []
        self.room_in: set[int] = set()
        self.room_changed = True
        self.landed: list[int] = []
        self.doomed: dict[int, str] = {}
        for n, host in enumerate(ground.hosts):
            if n in ground.left:
                self.status[n] = Status.LEFT
            elif host.upgraded:
                self.status[n] = Status.UPGRADED
                self.new.add(n)
            else:
                self.old.add(n)
                self.courtesy.pend(n, 1)

    def reserve(self, instance: int, target: int) -> None:
        """Keep room for an instance."""
        ground = self.ground
        self.target[instance] = target
        self.used[target] += ground.need[instance]
        self.inbound[target] += 1
        self.courtesy.cross(instance, self.where[instance], target)
        self.loads.cross(instance, self.where[instance], target)
        group = ground.group_of[instance]
        if group >= 0:
            self.count(group, target, 1)

    def unreserve(self, instance: int) -> int:
        """Give up the room that is kept for an instance; return where it was."""
        ground = self.ground
        target, self.target[instance] = self.target[instance], -1
        self.used[target] -= ground.need[instance]
        self.inbound[target] -= 1
        self.courtesy.cross(instance, target, self.where[instance])
        self.loads.cross(instance, target, self.where[instance])
        group = ground.group_of[instance]
        if group >= 0:
            self.count(group, target, -1)
        return target

    def refresh(self, host: int) -> None:
        """Let a host be found by the room that it has now."""
        (self.new if self.status[host] is Status.UPGRADED else self.old).update(host)

    def begin(self, host: int) -> None:
        """A host's drain begins; room for its instances has been reserved."""
        self.old.remove(host)
        self.begun(host, Window(self.ground.hosts[host].name, self.now))
        self.queue(host, (n for n in self.resident[host] if self.ground.movable[n]))

    def begun(self, host: int, window: Window) -> None:
        """Count a host as out of service."""
        self.status[host] = Status.DRAINING
        self._take(host, 1)
        self.courtesy.pend(host, -1)
        self.windows[host] = window

    def queue(self, host: int, instances: Iterable[int]) -> None:
        """Let the instances of a draining host wait for their turn."""
        move_s, status, target = self.ground.move_s, self.status, self.target
        going = list(instances)
        self.leaving[host] = len(going)
        self.seeded += sum(
            not self.doubled[n] and status[target[n]] is not Status.UPGRADED for n in going
        )
        self.todo[host] = sorted(
            (n for n in going if n not in self.running), key=lambda n: (-move_s[n], n)
        )
        if not going:
            self.drained.append(host)
        self.push(host)

    def _take(self, host: int, change: int) -> None:
        """Count a host as out of service, or no longer."""
        ground = self.ground
        self.out += change
        cell, az = ground.places[host]
        self.out_of["az", cell, az] += change
        self.out_of["domain", ground.hosts[host].failure_domain] += change
        self.active[ground.lane[host]] += change
        net = ground.net(host)
        for reach in ground.reaches_of[ground.kind[host]]:
            self.offered[reach] -= change * net
            self.out_within[reach] += change

    def startable(self) -> list[tuple[int, int]]:
        """Start every migration that may start now; return instances and targets."""
        limits = self.ground.rules.limits
        most, total = limits.migrations_per_host, limits.migrations_total
        flying, target = self.flying, self.target
        started: list[tuple[int, int]] = []
        while self._ready and len(self.running) < total:
            host = heapq.heappop(self._ready)[1]
            self._is_ready.discard(host)
            if self.status[host] is not Status.DRAINING or not self.todo.get(host):
                continue
            kept: list[int] = []
            blocked: set[int] = set()
            for at, n in enumerate(self.todo[host]):
                if flying[host] >= most or len(self.running) >= total:
                    kept += self.todo[host][at:]
                    break
                to = target[n]
                if flying[to] < most:
                    flying[host] += 1
                    flying[to] += 1
                    self.running[n] = self.now
                    started.append((n, to))
                else:
                    blocked.add(to)
                    kept.append(n)
            self.todo[host] = kept
            if kept and flying[host] < most:
                for to in blocked:
                    self._waiting[to].append(host)
                if len(self.running) >= total:
                    self.push(host)
        return started

    def push(self, host: int) -> None:
        """Let a draining host start what it may, the one that began first before others."""
        if host not in self._is_ready and self.todo.get(host):
            self._is_ready.add(host)
            heapq.heappush(self._ready, (self.windows[host].start, host))

    def end_move(self, instance: int, failed: bool = False) -> None:
        """A migration has ended."""
        ground = self.ground
        source, target = self.where[instance], self.target[instance]
        start = self.running.pop(instance)
        why = UPGRADED if self.status[target] is Status.UPGRADED else NO_ROOM
        names = ground.hosts
        self.moves.append(
            Move(
                ground.instances[instance].id, names[source].name, names[target].name,
                start, self.now, why, failed,
            )
        )  # fmt: skip
        self.flying[source] -= 1
        self.flying[target] -= 1
        if failed:
            self.attempts[instance] += 1
            self.todo.setdefault(source, []).append(instance)
        else:
            self._arrive(instance, source, target)
        if self.todo.get(source):
            self.push(source)
        for host in self._waiting.pop(target, ()):
            self.push(host)

    def _arrive(self, instance: int, source: int, target: int) -> None:
        ground = self.ground
        self.where[instance] = target
        self.target[instance] = -1
        self.inbound[target] -= 1
        del self.resident[source][instance]
        self.resident[target][instance] = None
        self.used[source] -= ground.need[instance]
        if self.status[target] is not Status.UPGRADED:
            self.doubled[instance] = True
            if not self.inbound[target]:
                self.landed.append(target)
        group = ground.group_of[instance]
        if group >= 0:
            self.count(group, source, -1)
        self.leaving[source] -= 1
        if not self.leaving[source] and self.status[source] is Status.DRAINING:
            self.drained.append(source)

    def take_out(self, host: int) -> None:
        """A host is empty, and its upgrade begins."""
        self.status[host] = Status.OUT
        self.todo.pop(host, None)
        window = self.windows[host]
        self.windows[host] = Window(window.host, window.start, self.now)

    def back(self, host: int) -> None:
        """A host is upgraded, verified and in service."""
        window = self.windows[host]
        self.windows[host] = Window(window.host, window.start, window.drained, self.now)
        self.status[host] = Status.UPGRADED
        self._take(host, -1)
        self.new.add(host)
        self.room_in.add(self.ground.kind[host])
        self.backs += 1
        self.room_changed = True

    def fail(self, host: int, why: str) -> None:
        """The upgrade of a host has failed; it stays out of service."""
        window = self.windows[host]
        self.windows[host] = Window(window.host, window.start, window.drained, None, why)
        self.status[host] = Status.FAILED
        self.active[self.ground.lane[host]] -= 1
        self.left[host] = why
        self.failures.append(host)
        self.room_changed = True

    def doom(self, host: int, why: str) -> None:
        """Begin no more migrations from a host that is being drained."""
        self.doomed[host] = why
        for n in self.todo.pop(host, ()):
            if self.target[n] >= 0:
                self.refresh(self.unreserve(n))

    def release(self, host: int, counts: bool = True) -> None:
        """A doomed host, from which nothing moves any more, is put back into service as it is."""
        window, why = self.windows[host], self.doomed.pop(host)
        self.windows[host] = Window(window.host, window.start, None, self.now, why)
        self.status[host] = Status.LEFT
        self._take(host, -1)
        self.left[host] = why
        if counts:
            self.failures.append(host)
        self.room_changed = True

    def count(self, group: int, host: int, change: int) -> None:
        """Count a member of a group on a host, or no longer."""
        members = self.members[group]
        count = members.get(host, 0) + change
        if count:
            members[host] = count
        else:
            members.pop(host, None)
