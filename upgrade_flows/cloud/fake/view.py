"""Everything an operator could see, as plain JSON that two moments can be compared by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.network import shown
from upgrade_flows.cloud.fake.records import Instance
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Port, Volume


def state(world: World, bindings: bool, ignore: Iterable[str]) -> dict[str, Any]:
    """Return the visible state, without what says only when or how often.

    Left out: times, actions, migration records, attachment ids and, unless ``bindings``, the
    VIF type and details: a port that was bound anew cannot be bound in the old mode again
    where the host no longer offers it.
    """
    plain: dict[str, Any] = {
        "hosts": {
            name: {
                **codec.to_plain(record.host),
                "agent": codec.to_plain(record.agent),
                "software": {"installed": record.installed, "runs": record.runs},
            }
            for name, record in world.hosts.items()
        },
        "allocations": {
            name: {kind: amount for kind, amount in sorted(record.used.items()) if amount}
            for name, record in world.hosts.items()
        },
        "holds": {
            consumer: codec.to_plain(world.allocations[consumer]) for consumer in world.holders
        },
        "guests": codec.to_plain(world.guests),
        "servers": {key: _server(world, item) for key, item in world.instances.items()},
        "ports": {key: _port(world, port, bindings) for key, port in world.ports.items()},
        "inactive_bindings": {
            port_id: sorted(others) for port_id, others in world.bindings.items()
        },
        "volumes": {key: _volume(volume) for key, volume in world.volumes.items()},
        "snapshots": codec.to_plain(world.snapshots),
        "images": codec.to_plain(world.images),
        "groups": {key: _group(codec.to_plain(group)) for key, group in world.groups.items()},
        "floating_ips": codec.to_plain(world.floating_ips),
        "keypairs": {user: dict(keys) for user, keys in world.keypairs.items() if keys},
        "usage": {
            project: used
            for project, used in codec.to_plain(world.usage).items()
            if any(used.values())
        },
        "managed": dict(world.managed),
    }
    for name in ignore:
        _leave_out(plain, name)
    return plain


def _server(world: World, instance: Instance) -> dict[str, Any]:
    server = instance.server
    plain: dict[str, Any] = codec.to_plain(server)
    for name in ("created", "addresses"):
        del plain[name]
    plain["fault"] = server.fault if server.status == "ERROR" else ""
    plain["server_group"] = world.group_of.get(server.id)
    plain["tags"] = sorted(server.tags)
    plain["nics"] = [nic.port_id for nic in instance.nics]
    plain["volumes"] = sorted(
        codec.to_plain(instance.volumes), key=lambda held: str(held["volume_id"])
    )
    plain["allocations"] = codec.to_plain(world.allocations.get(server.id, {}))
    return plain


def _port(world: World, port: Port, bindings: bool) -> dict[str, Any]:
    plain: dict[str, Any] = codec.to_plain(shown(world, port))
    plain["bound"] = binding.bound(port)
    if not bindings:
        del plain["vif_type"], plain["vif_details"]
    return plain


def _volume(volume: Volume) -> dict[str, Any]:
    plain: dict[str, Any] = codec.to_plain(volume)
    plain["attachments"] = sorted(
        ({"server_id": item.server_id, "device": item.device} for item in volume.attachments),
        key=lambda item: item["server_id"],
    )
    return plain


def _group(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "members": sorted(plain["members"])}


def _leave_out(plain: dict[str, Any], name: str) -> None:
    table, _, column = name.partition(".")
    if table not in plain:
        raise ValueError(f"there is no {table} in the state; known are {', '.join(plain)}")
    if not column:
        del plain[table]
        return
    for row in plain[table].values():
        row.pop(column, None)
