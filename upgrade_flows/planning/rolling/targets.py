"""Choosing a host with room quickly: hosts of a kind, in levels by how much of them is free.

The level of a host is the free share of whichever resource is scarcest there, among those that
an instance asks for.  A host at the level that an instance needs has room for certain; of
those below it only a few are looked at.  A placement policy chooses among a bounded number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from upgrade_flows.planning.rolling.amounts import FIELD
from upgrade_flows.planning.rolling.ground import Ground

LEVELS = 128
TRIES = 32
LOOKS = 64  # hosts that a placement policy chooses among


class _Index:
    """The hosts of one kind, by how much is free of some resource classes."""

    def __init__(self, refs: tuple[tuple[int, int], ...]) -> None:
        self.refs = refs
        self.levels: list[dict[int, None]] = [{} for _ in range(LEVELS + 1)]
        self.filled = 0
        self.at: dict[int, int] = {}
        self.needed: dict[int, int] = {}

    def level(self, free: int) -> int:
        """Return the level of a host with so much free."""
        return min((LEVELS, *((free >> at & FIELD) * LEVELS // ref for at, ref in self.refs)))

    def level_needed(self, need: int) -> int:
        """Return the level from which on a host has room for certain."""
        if need not in self.needed:
            self.needed[need] = max(
                (0, *(-((need >> at & FIELD) * -LEVELS // ref) for at, ref in self.refs))
            )
        return self.needed[need]

    def put(self, host: int, level: int) -> None:
        """Put a host onto a level."""
        was = self.at.get(host, -1)
        if was == level:
            return
        if was >= 0:
            self.drop(host)
        self.at[host] = level
        self.levels[level][host] = None
        self.filled |= 1 << level

    def drop(self, host: int) -> None:
        """Take a host out."""
        level = self.at.pop(host, -1)
        if level >= 0:
            del self.levels[level][host]
            if not self.levels[level]:
                self.filled &= ~(1 << level)


class Pool:
    """Hosts that instances may be moved to."""

    def __init__(self, ground: Ground, used: list[int]) -> None:
        self._ground, self._used = ground, used
        self._members: list[dict[int, None]] = [{} for _ in ground.kinds]
        self._indices: list[dict[tuple[int, ...], _Index | None]] = [{} for _ in ground.kinds]
        self._asked: dict[int, tuple[int, ...]] = {}
        most = [0] * len(ground.kinds)
        self._most: list[dict[int, int]] = [{} for _ in most]
        for host, kind in enumerate(ground.kind):
            for at in ground.shift.values():
                amount = ground.capacity[host] >> at & FIELD
                self._most[kind][at] = max(amount, self._most[kind].get(at, 0))
        self.free = [0] * len(ground.kinds)
        self._free_of: dict[int, int] = {}

    def __contains__(self, host: int) -> bool:
        return host in self._free_of

    def __len__(self) -> int:
        return len(self._free_of)

    def free_of(self, host: int) -> int:
        """Return what a host has free, packed; nothing where it is not in the pool."""
        return self._free_of.get(host, 0)

    def free_in(self, mask: int) -> int:
        """Return what the hosts of some kinds have free together, packed."""
        return sum(amount for kind, amount in enumerate(self.free) if mask >> kind & 1)

    def add(self, host: int) -> None:
        """Let instances be moved to a host."""
        kind = self._ground.kind[host]
        self._members[kind][host] = None
        self._free_of[host] = 0
        self.update(host)

    def remove(self, host: int) -> None:
        """Let no more instances be moved to a host."""
        kind = self._ground.kind[host]
        if self._members[kind].pop(host, self) is self:
            return
        self.free[kind] -= self._free_of.pop(host)
        for index in self._indices[kind].values():
            if index is not None:
                index.drop(host)

    def update(self, host: int) -> None:
        """Take note of what is used on a host now."""
        before = self._free_of.get(host)
        if before is None:
            return
        kind = self._ground.kind[host]
        free = self._free(host)
        self._free_of[host] = free
        self.free[kind] += free - before
        for index in self._indices[kind].values():
            if index is not None:
                index.put(host, index.level(free))

    def find(
        self,
        kinds: Iterable[int],
        need: int,
        allowed: Callable[[int], bool],
        roomiest: bool = False,
    ) -> int:
        """Return a host with room, or -1: of the first kind that has one.

        :param roomiest: the one with most room, not the one that is filled best.
        """
        ground = self._ground
        guard = ground.guard
        for kind in kinds:
            if not self._members[kind]:
                continue
            index = self._index(kind, need)
            if index is None:
                continue
            tries = TRIES
            level = index.level_needed(need)
            for host, certain in _along(index, level, roomiest):
                free = (ground.capacity[host] | guard) - self._used[host]
                if (certain or (free - need) & guard == guard) and allowed(host):
                    return host
                tries -= 1
                if not tries:
                    break
        return -1

    def cheapest(
        self,
        kinds: Iterable[int],
        need: int,
        allowed: Callable[[int], bool],
        cost: Callable[[int], float],
    ) -> int:
        """Return the host with room that costs least, or -1; of equal ones the first.

        Of more than ``LOOKS`` hosts only so many are looked at, so that it is found quickly: of
        each kind its part, half of them those with most room, the others those that are filled
        best.

        :param cost: of a host, by number; infinite where it has no room.
        """
        held = [kind for kind in kinds if self._members[kind]]
        looks = LOOKS
        best, least = -1, math.inf
        for n, kind in enumerate(held):
            hosts = self._some(kind, need, max(2, looks // (len(held) - n)))
            looks -= len(hosts)
            first = best
            for host in hosts:
                asked = cost(host)
                if asked > least:
                    continue
                equal = best != first and host < best
                if (asked < least or equal) and allowed(host):
                    best, least = host, asked
        return best

    def _some(self, kind: int, need: int, most: int) -> Collection[int]:
        """Return hosts of a kind: all of them, or the roomiest ones and those filled best."""
        members = self._members[kind]
        if len(members) <= most:
            return members
        index = self._index(kind, need)
        if index is None:
            return ()
        level = index.level_needed(need)
        found = dict.fromkeys(islice(_down(index, LEVELS), most // 2))
        found.update(dict.fromkeys(islice(_down(index, level - 1), most // 8)))
        for host, _ in _along(index, level, roomiest=False):
            if len(found) >= most:
                break
            found[host] = None
        return found

    def _free(self, host: int) -> int:
        ground = self._ground
        capacity, used = ground.capacity[host], self._used[host]
        if ground.fits(used, capacity):
            return capacity - used
        names = [name for name in ground.shift if name not in ground.lacking(used, capacity)]
        return sum(
            (ground.amount(capacity, name) - ground.amount(used, name)) << ground.shift[name]
            for name in names
        )

    def _index(self, kind: int, need: int) -> _Index | None:
        asked = self._asked.get(need)
        if asked is None:
            shifts = self._ground.shift.values()
            asked = self._asked[need] = tuple(at for at in shifts if need >> at & FIELD)
        indices = self._indices[kind]
        if asked not in indices:
            refs = tuple((at, self._most[kind][at]) for at in asked)
            index = None
            if all(ref for _, ref in refs):
                index = _Index(refs)
                for host in self._members[kind]:
                    index.put(host, index.level(self._free_of[host]))
            indices[asked] = index
        return indices[asked]


def _along(index: _Index, level: int, roomiest: bool) -> Iterator[tuple[int, bool]]:
    """Go through the hosts with room for certain, then down through the others."""
    if level <= LEVELS:
        filled = index.filled >> level << level
        while filled:
            found = (filled if roomiest else filled & -filled).bit_length() - 1
            for host in index.levels[found]:
                yield host, True
            filled &= ~(1 << found)
    for host in _down(index, level - 1):
        yield host, False


def _down(index: _Index, level: int) -> Iterator[int]:
    """Go through the hosts of a level and of those below it, the roomiest ones first."""
    filled = index.filled & (1 << min(level, LEVELS) + 1) - 1
    while filled:
        found = filled.bit_length() - 1
        yield from index.levels[found]
        filled &= ~(1 << found)
