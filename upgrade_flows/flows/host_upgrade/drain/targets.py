"""Which host an instance is sent to: the planned one first, then whichever has room."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.flows.host_upgrade.drain.ladder import Mover
from upgrade_flows.model.inventory import Room, Server
from upgrade_flows.plugins.base import HostLoad, PlacementPlugin
from upgrade_flows.steps.base import Context


@dataclass(frozen=True)
class Brief:
    """What was decided when the upgrade of a host began.

    :param targets: the planned host of each instance, by its id.
    :param hosts: the hosts that may take instances, those that are upgraded first.
    """

    targets: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, details: dict[str, Any]) -> Brief:
        """Return the brief in an action's details."""
        plain = details.get("brief") or {}
        return cls(dict(plain.get("targets", {})), tuple(plain.get("hosts", ())))


class Targets:
    """Finds targets for the instances of one host.

    :param policy: ranks hosts that have room; without it, those that come first in the brief go
        first.
    """

    def __init__(
        self,
        ctx: Context,
        source: str,
        brief: Brief,
        at_a_time: int,
        policy: PlacementPlugin | None,
    ) -> None:
        self._ctx, self._source, self._brief = ctx, source, brief
        self._at_a_time, self._policy = at_a_time, policy
        self._busy: dict[str, int] = {}

    def refresh(self) -> None:
        """Forget what was seen in the last look."""
        self._busy.clear()

    def took(self, host: str) -> None:
        """Count a migration to a host that has begun since the last look."""
        self._busy[host] = self._busy.get(host, 0) + 1

    def choose(self, mover: Mover, server: Server) -> tuple[str, str]:
        """Return a target that can take an instance now, or none and why.

        One that was tried comes again where no other has room.  A reason that ends with time is
        empty: all that could take it are busy with migrations.
        """
        planned = self._brief.targets.get(mover.id, "")
        candidates = [name for name in self._brief.hosts if name not in (self._source, planned)]
        if planned and planned not in mover.tried:
            if self._usable(planned):
                return ("" if self._is_busy(planned) else planned), ""
            mover.tried.append(planned)
        if planned:
            candidates.append(planned)
        usable = [name for name in candidates if self._usable(name)]
        fit = self._with_room([name for name in usable if name not in mover.tried], server)
        fit = fit or self._with_room([name for name in usable if name in mover.tried], server)
        if not fit:
            names = ", ".join(dict.fromkeys(mover.tried))
            tried = f" (tried: {names})" if names else ""
            return "", f"no host of the plan that is in service has room for it{tried}"
        free = [name for name in fit if not self._is_busy(name)]
        return (free[0] if free else ""), ""

    def _usable(self, host: str) -> bool:
        """Whether a host takes instances now."""
        service = self._ctx.cloud.compute.service(host)
        return service.enabled and service.up

    def _is_busy(self, host: str) -> bool:
        """Whether a host receives and sends as many migrations as it may."""
        if host not in self._busy:
            moving = self._ctx.cloud.compute.migrations_of_host(host)
            under_way = [m for m in moving if m.status != "finished"]
            self._busy[host] = len(under_way)
        return self._busy[host] >= self._at_a_time

    def _with_room(self, hosts: Sequence[str], server: Server) -> list[str]:
        rooms = self._ctx.cloud.placement.rooms()
        demand = server.resources
        fit = [name for name in hosts if rooms.get(name, Room()).fits(demand)]
        if self._policy is None:
            return fit
        return ranked(self._policy, fit, rooms, demand)


def ranked(
    policy: PlacementPlugin,
    hosts: Collection[str],
    rooms: dict[str, Room],
    demand: dict[str, int],
) -> list[str]:
    """Return hosts in the order in which a policy wants an instance there."""
    loads = {name: HostLoad(name, rooms[name].capacity, rooms[name].used) for name in hosts}
    return sorted(hosts, key=lambda name: (policy.cost(loads[name], demand), name))
