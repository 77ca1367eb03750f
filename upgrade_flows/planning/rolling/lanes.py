"""Which host is next: lanes of hosts that can stand in for one another, and their queues.

Long hosts go before short ones, so that none of them is what everybody waits for at the end.
Those that begin before upgraded hosts have room are the ones with the fewest instances.
"""

from __future__ import annotations

import heapq
from collections import Counter

from upgrade_flows.planning.rolling.placing import needed
from upgrade_flows.planning.rolling.reaches import reaches_of, spared
from upgrade_flows.planning.rolling.state import State, Status

HURRY = 4  # how much more time than at best is planned in where only few hosts can be spared
RETRY_SHARE = 0.25  # of a host's instances: room that has to come up before it is tried again
LOOKED_AT = 3  # hosts of a lane that are tried, besides the emptiest one, before it has to wait


class Lanes:
    """The pending hosts of each lane, by how long they take and by how little is on them."""

    def __init__(self, state: State) -> None:
        self._state = state
        ground = state.ground
        count = len(ground.lane_place)
        self.remaining = [0] * count
        self.blocked = [False] * count
        self._waits: dict[int, tuple[int, int]] = {}
        self._long: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        self._light: list[list[tuple[int, int, int]]] = [[] for _ in range(count)]
        self._took = [0] * len(ground.hosts)
        self.pending = [0] * count
        self._kind = [0] * count
        for host, lane in enumerate(ground.lane):
            self._kind[lane] = ground.kind[host]
        self._narrow = self._find_narrow()
        self._remaining_of = [0] * len(ground.reaches)
        for host, status in enumerate(state.status):
            if status is Status.PENDING:
                self.pending[ground.lane[host]] += 1
                self.put(host)

    def estimate(self, host: int) -> int:
        """Return how long a host will be out of service, at best."""
        ground = self._state.ground
        total = longest = 0
        for n in self._state.resident[host]:
            if ground.movable[n]:
                total += ground.move_s[n]
                longest = max(longest, ground.move_s[n])
        limits = ground.rules.limits
        return max(longest, -(-total // limits.migrations_per_host)) + ground.hosts[host].out_s

    def put(self, host: int) -> None:
        """Take note of a pending host, or of what has arrived on it."""
        state = self._state
        lane = state.ground.lane[host]
        took, self._took[host] = self._took[host], self.estimate(host)
        self._count(host, self._took[host] - took)
        self.blocked[lane] = False
        heapq.heappush(self._long[lane], (-self._took[host], host))
        heapq.heappush(self._light[lane], (*self.weight(host), host))

    def weight(self, host: int) -> tuple[int, int]:
        """Return how much it costs to move all away too early: what has moved before, and all."""
        state = self._state
        before = sum(state.doubled[n] for n in state.resident[host])
        return before, len(state.resident[host])

    def taken(self, host: int) -> None:
        """A host is no longer pending."""
        self._count(host, -self._took[host])
        self.pending[self._state.ground.lane[host]] -= 1

    def _count(self, host: int, change: int) -> None:
        ground = self._state.ground
        self.remaining[ground.lane[host]] += change
        for reach in ground.reaches_of[ground.kind[host]]:
            self._remaining_of[reach] += change

    def _find_narrow(self) -> list[list[tuple[int, int]]]:
        """Return for each lane the sets of hosts that it is in of which only few can be spared."""
        ground = self._state.ground
        most = ground.rules.limits.out_of_service
        planned = [host for host, wanted in enumerate(ground.planned) if wanted]
        width: dict[int, int] = {}
        for reach, hosts, _ in reaches_of(ground, planned):
            count = spared(ground, reach, hosts)
            if count < min(most, len(hosts)):
                width[reach] = max(1, count)
        narrow: list[list[tuple[int, int]]] = [[] for _ in ground.lane_place]
        for host in reversed(planned):
            reaches = ground.reaches_of[ground.kind[host]]
            narrow[ground.lane[host]] = [(n, width[n]) for n in reaches if n in width]
        return narrow

    def hurried(self, lane: int) -> bool:
        """Whether fewer hosts are out than can be spared where only few can be."""
        within = self._state.out_within
        return any(within[reach] < width for reach, width in self._narrow[lane])

    def _behind(self, lane: int, given: Counter[int], given_of: Counter[int]) -> float:
        """Return how long a lane needs with one host more out of service, at worst.

        :param given: hosts that each lane, and :param given_of: that each reach is given besides.
        """
        state = self._state
        seconds = self.remaining[lane] / (state.active[lane] + given[lane] + 1)
        for reach, width in self._narrow[lane]:
            if state.out_within[reach] + given_of[reach] < width:
                seconds = max(seconds, HURRY * self._remaining_of[reach] / width)
        return seconds

    def candidates(self, lane: int, every: bool = False) -> list[int]:
        """Return the hosts to try: some of the longest, and the lightest one."""
        state = self._state
        heap = self._long[lane]
        found: list[int] = []
        kept: list[tuple[int, int]] = []
        most = len(state.status) if every else LOOKED_AT
        while heap and len(found) < most and (every or len(kept) < 4 * most):
            item = heapq.heappop(heap)
            host = item[1]
            valid = state.status[host] is Status.PENDING and -item[0] == self._took[host]
            if valid and kept[-1:] != [item]:
                kept.append(item)
                if not state.inbound[host]:
                    found.append(host)
        for item in kept:
            heapq.heappush(heap, item)
        lightest = [] if every else self.lightest(lane, 1)
        return found + [host for host in lightest if host not in found]

    def lightest(self, lane: int, count: int) -> list[int]:
        """Return the hosts that cost the fewest moves."""
        state = self._state
        heap = self._light[lane]
        found: list[int] = []
        kept: list[tuple[int, int, int]] = []
        while heap and len(found) < count and len(kept) < 4 * count + 64:
            item = heapq.heappop(heap)
            host = item[2]
            valid = state.status[host] is Status.PENDING and item[:2] == self.weight(host)
            if valid and kept[-1:] != [item]:
                kept.append(item)
                if not state.inbound[host]:
                    found.append(host)
        for item in kept:
            heapq.heappush(heap, item)
        return found

    def by_need(self) -> list[int]:
        """Return the lanes that can begin something, the one furthest behind first."""
        lanes = [lane for lane, left in enumerate(self.pending) if left and not self.blocked[lane]]
        none: Counter[int] = Counter()
        return sorted(lanes, key=lambda lane: (-self._behind(lane, none, none), lane))

    def shares(self, slots: int) -> dict[int, int]:
        """Divide slots among the lanes, by what remains to be done in each."""
        given: Counter[int] = Counter()
        given_of: Counter[int] = Counter()
        reaches_of_lane = self._narrow
        heap = [
            (-self._behind(n, given, given_of), n) for n, left in enumerate(self.pending) if left
        ]
        heapq.heapify(heap)
        while heap and slots:
            behind, lane = heapq.heappop(heap)
            now = -self._behind(lane, given, given_of)
            if now > behind:
                heapq.heappush(heap, (now, lane))
                continue
            given[lane] += 1
            given_of.update(reach for reach, _ in reaches_of_lane[lane])
            slots -= 1
            if given[lane] < self.pending[lane]:
                heapq.heappush(heap, (-self._behind(lane, given, given_of), lane))
        return given

    def block(self, lane: int, lightest: int) -> None:
        """Look at a lane again when upgraded hosts have so much more room than now."""
        self.blocked[lane] = True
        if lightest < 0:
            self._waits[lane] = 0, 0
            return
        need, mask = needed(self._state, lightest)
        more = self._state.ground.share(need, RETRY_SHARE)
        self._waits[lane] = mask, more + self._state.new.free_in(mask)

    def unblock(self, kinds: set[int]) -> None:
        """Look at lanes again: those of ``kinds``, and those for which there is room now."""
        state = self._state
        for lane, blocked in enumerate(self.blocked):
            if blocked and self.pending[lane]:
                mask, wanted = self._waits.get(lane, (0, 0))
                self.blocked[lane] = self._kind[lane] not in kinds and not (
                    state.ground.fits(wanted, state.new.free_in(mask))
                )
