"""The identity of an instance: everything that its owner would miss, recorded and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model import codec
from upgrade_flows.model.inventory import OWNER, AttachedVolume, FloatingIP, Port, Server


@dataclass(frozen=True)
class PortIdentity:
    """What makes a port the same port to its owner, and where it is bound."""

    id: str
    network_id: str
    mac_address: str
    fixed_ips: tuple[tuple[str, ...], ...] = ()
    floating_ips: tuple[str, ...] = ()
    name: str = ""
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[dict[str, str], ...] = ()
    port_security_enabled: bool = True
    qos_policy_id: str | None = None
    dns_name: str = ""
    extra_dhcp_opts: tuple[dict[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    trunk_id: str | None = None
    vnic_type: str = "normal"
    device_owner: str = ""


@dataclass(frozen=True)
class Identity:
    """The complete identity of an instance.

    ``ports`` stand in the order in which the guest sees them; ``vif_modes`` maps a port id
    to the mode it is bound in, in words.  ``owner_id`` is the user whose key it has, whoever
    created it (``user_id``); the tag that says so is not among ``tags``.
    """

    id: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    status: str
    flavor: dict[str, Any]
    image_id: str
    metadata: dict[str, str]
    tags: tuple[str, ...]
    key_name: str | None
    user_data: str | None
    config_drive: bool
    availability_zone: str
    pinned_availability_zone: str | None
    host: str
    server_group: str | None
    scheduler_hints: dict[str, Any]
    hostname: str
    root_device_name: str
    disk_config: str
    trusted_image_certificates: tuple[str, ...]
    locked: bool
    locked_reason: str | None
    ports: tuple[PortIdentity, ...]
    volumes: tuple[AttachedVolume, ...]
    vif_modes: dict[str, str] = field(default_factory=dict)
    owner_id: str = ""


def of(
    server: Server,
    ports: tuple[Port, ...],
    volumes: tuple[AttachedVolume, ...],
    floating_ips: tuple[FloatingIP, ...] = (),
    vif_modes: dict[str, str] | None = None,
    server_group: str | None = None,
) -> Identity:
    """Put the identity of a server together from what its services say.

    The lists whose order means nothing are sorted; ports are ordered as the server's
    addresses are, which is the order in which Nova plugs them.
    """
    flavor = codec.to_plain(server.flavor)
    flavor.pop("id", None)
    return Identity(
        id=server.id,
        name=server.name,
        description=server.description or None,
        project_id=server.project_id,
        user_id=server.user_id,
        status=server.status,
        flavor=flavor,
        image_id=server.image_id,
        metadata=dict(server.metadata),
        tags=tuple(sorted(tag for tag in server.tags if not tag.startswith(OWNER))),
        key_name=server.key_name,
        user_data=server.user_data,
        config_drive=server.config_drive,
        availability_zone=server.availability_zone,
        pinned_availability_zone=server.pinned_availability_zone,
        host=server.host,
        server_group=server_group or server.server_group,
        scheduler_hints=dict(server.scheduler_hints),
        hostname=server.hostname,
        root_device_name=server.root_device_name,
        disk_config=server.disk_config,
        trusted_image_certificates=tuple(sorted(server.trusted_image_certificates)),
        locked=server.locked,
        locked_reason=server.locked_reason,
        ports=tuple(_port(port, floating_ips) for port in _in_order(server, ports)),
        volumes=tuple(sorted(volumes, key=lambda volume: volume.volume_id)),
        vif_modes=dict(vif_modes or {}),
        owner_id=server.owner_id,
    )


def difference(before: Identity, after: Identity) -> dict[str, list[Any]]:
    """Return each field that differs, as ``{field: [before, after]}``.

    Ports and volumes are compared one by one, and named ``ports[<id>].<field>``; a port or
    volume that one side lacks appears whole.
    """
    left, right = codec.to_plain(before), codec.to_plain(after)
    result: dict[str, list[Any]] = {}
    for name, old in left.items():
        new = right[name]
        if name in ("ports", "volumes"):
            key = "id" if name == "ports" else "volume_id"
            result.update(_compare_lists(name, key, old, new))
        elif name == "vif_modes":
            for port in sorted(set(old) | set(new)):
                if old.get(port) != new.get(port):
                    result[f"vif_modes[{port}]"] = [old.get(port), new.get(port)]
        elif old != new:
            result[name] = [old, new]
    return result


def undeclared(difference_: dict[str, list[Any]], declared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields of a difference that no declaration covers.

    A declaration is a field's name; ``vif_modes`` covers every port's mode.
    """
    return tuple(
        name
        for name in sorted(difference_)
        if name not in declared and name.partition("[")[0] not in declared
    )


def _in_order(server: Server, ports: tuple[Port, ...]) -> list[Port]:
    order = {address: index for index, address in enumerate(server.addresses)}

    def place(port: Port) -> tuple[int, str]:
        known = [order[ip[1]] for ip in port.fixed_ips if ip[1] in order]
        return (min(known, default=len(order)), port.id)

    return sorted(ports, key=place)


def _port(port: Port, floating_ips: tuple[FloatingIP, ...]) -> PortIdentity:
    return PortIdentity(
        id=port.id,
        network_id=port.network_id,
        mac_address=port.mac_address,
        fixed_ips=tuple(sorted(port.fixed_ips)),
        floating_ips=tuple(sorted(ip.address for ip in floating_ips if ip.port_id == port.id)),
        name=port.name,
        security_groups=tuple(sorted(port.security_groups)),
        allowed_address_pairs=port.allowed_address_pairs,
        port_security_enabled=port.port_security_enabled,
        qos_policy_id=port.qos_policy_id,
        dns_name=port.dns_name,
        extra_dhcp_opts=port.extra_dhcp_opts,
        tags=tuple(sorted(port.tags)),
        trunk_id=port.trunk_id,
        vnic_type=port.vnic_type,
        device_owner=port.device_owner,
    )


def _compare_lists(
    name: str, key: str, old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> dict[str, list[Any]]:
    left = {item[key]: item for item in old}
    right = {item[key]: item for item in new}
    result: dict[str, list[Any]] = {}
    if name == "ports" and list(left) != list(right) and set(left) == set(right):
        result["ports.order"] = [list(left), list(right)]
    for item in sorted(set(left) | set(right)):
        if item not in left or item not in right:
            result[f"{name}[{item}]"] = [left.get(item), right.get(item)]
            continue
        for attribute, value in left[item].items():
            if value != right[item][attribute]:
                result[f"{name}[{item}].{attribute}"] = [value, right[item][attribute]]
    return result
