"""The hosts that go first, and when the others of their place may follow."""

from __future__ import annotations

from upgrade_flows.planning.rolling.ground import Place
from upgrade_flows.planning.rolling.state import State, Status


class Canaries:
    """The canaries of each place whose others still wait."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._of = dict(state.ground.canaries)

    def __contains__(self, host: int) -> bool:
        return any(host in hosts for hosts in self._of.values())

    def __len__(self) -> int:
        return len(self._of)

    def gate(self, lane: int) -> list[int] | None:
        """Return the only hosts that may begin in a lane now, or None where all may."""
        ground = self._state.ground
        hosts = self._of.get(ground.lane_place[lane])
        return None if hosts is None else [host for host in hosts if ground.lane[host] == lane]

    def open(self) -> int | None:
        """Open the places whose canaries have baked; return when the next ones will have."""
        moments = []
        for place in list(self._of):
            moment = self._baked(place)
            if moment is not None and moment <= self._state.now:
                del self._of[place]
                self._state.room_in.update(self._state.ground.kind)
                self._state.room_changed = True
            elif moment is not None:
                moments.append(moment)
        return min(moments, default=None)

    def _baked(self, place: Place) -> int | None:
        """Return when the bake of a place ends, if all its canaries are back."""
        state = self._state
        hosts = [host for host in self._of[place] if state.status[host] is not Status.LEFT]
        if any(state.status[host] is not Status.UPGRADED for host in hosts):
            return None
        ends = [state.windows[host].end or 0 for host in hosts]
        return max(ends, default=0) + state.ground.rules.canary.bake_s
