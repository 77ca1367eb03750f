"""Room that is left to those who can go nowhere else.

An instance that may leave a set of hosts to which others are confined, or enter it, is a stranger
there.  Strangers must not take the room without which the set's own hosts could not be emptied.
"""

from __future__ import annotations

from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.reaches import reaches_of, spared


class Courtesy:
    """What strangers take up in each reach."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._strangers = self._taken()
        self._kept_for = self._shares()
        self._pending = [0] * len(ground.reaches)

    def pend(self, host: int, change: int) -> None:
        """Take note that a host is pending, or no longer."""
        for reach in self._ground.reaches_of[self._ground.kind[host]]:
            self._pending[reach] += change

    def welcome(self, mask: int, need: int, source: int, target: int) -> bool:
        """Whether those that are confined to where the target is can do without the room.

        They keep as much as they need; and, as long as hosts are pending there, what leaves the
        largest ones, so that as many can be emptied at a time as would be their share.
        """
        ground = self._ground
        for n in ground.crossed(mask, source, target)[0]:
            reach = ground.reaches[n]
            taken = self._strangers[n] + reach.required + need
            if self._pending[n]:
                taken += reach.largest * self._kept_for[n]
            if not ground.fits(taken, reach.capacity):
                return False
        return True

    def cross(self, instance: int, source: int, target: int) -> None:
        """Take note that an instance's place is on another host."""
        ground = self._ground
        kinds = ground.kind[source], ground.kind[target]
        if kinds[0] != kinds[1]:
            need = ground.need[instance]
            entered, gone = ground.crossed(ground.masks[ground.class_of[instance]], *kinds)
            for n in entered:
                self._strangers[n] += need
            for n in gone:
                self._strangers[n] -= need

    def _taken(self) -> list[int]:
        """Return what those instances take up in each reach that could live elsewhere."""
        ground = self._ground
        taken = [[0] * len(ground.masks) for _ in ground.kinds]
        for n, home in enumerate(ground.home):
            if ground.movable[n] and home not in ground.left:
                taken[ground.kind[home]][ground.class_of[n]] += ground.need[n]
        return [
            sum(
                amount
                for kind in range(len(ground.kinds))
                if reach.mask >> kind & 1
                for mask, amount in zip(ground.masks, taken[kind], strict=True)
                if mask & ~reach.mask
            )
            for reach in ground.reaches
        ]

    def _shares(self) -> list[int]:
        """Return for each reach how many of its hosts are to be out of service together."""
        ground = self._ground
        planned = [n for n, wanted in enumerate(ground.planned) if wanted]
        most = ground.rules.limits.out_of_service
        shares = [1] * len(ground.reaches)
        for n, hosts, _ in reaches_of(ground, planned):
            share = -(-most * len(hosts) // len(planned))
            shares[n] = max(1, min(share, spared(ground, n, hosts)))
        return shares
