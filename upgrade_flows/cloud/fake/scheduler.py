"""Where a server goes: the filters of Nova's scheduler that matter here."""

from __future__ import annotations

from collections.abc import Iterator

from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Room

NO_VALID_HOST = "No valid host was found."


def pick(
    world: World,
    resources: dict[str, int],
    wanted: str | None = None,
    zone: str | None = None,
    group_id: str | None = None,
    server_id: str = "",
    besides: str = "",
) -> str | None:
    """Return the first host that passes, or None (NoValidHost); see ``passing``."""
    found = passing(world, resources, wanted, zone, group_id, server_id, besides)
    return next(found, None)


def passing(
    world: World,
    resources: dict[str, int],
    wanted: str | None = None,
    zone: str | None = None,
    group_id: str | None = None,
    server_id: str = "",
    besides: str = "",
) -> Iterator[str]:
    """Return the hosts that pass the filters.

    A disabled host passes for no request, also not if it is forced; neither does one that is
    down, in another zone, full, or ruled out by a hard policy of the server group.
    """
    names = [wanted] if wanted is not None else [name for name in world.hosts if name != besides]
    for name in names:
        if _passes(world, name, resources, zone, group_id, server_id):
            yield name


def _passes(
    world: World,
    name: str,
    resources: dict[str, int],
    zone: str | None,
    group_id: str | None,
    server_id: str,
) -> bool:
    record = world.hosts.get(name)
    if record is None or not record.host.enabled or not record.host.up:
        return False
    if zone and record.host.availability_zone != zone:
        return False
    if not Room(record.capacity, record.used).fits(resources):
        return False
    group = world.groups.get(group_id or "")
    if group is None:
        return True
    hosts = {
        world.instances[member].server.host
        for member in group.members
        if member != server_id and member in world.instances
    } - {""}
    if group.policy == "anti-affinity":
        return name not in hosts
    if group.policy == "affinity":
        return not hosts or name in hosts
    return True
