"""Nova's JSON, into our words and back."""

from __future__ import annotations

import datetime
from typing import Any

from upgrade_flows.cloud.api import InstanceAction, NewServer, Service
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    Host,
    Quota,
    Server,
    ServerGroup,
)

_QUOTA = {
    "instances": ("maxTotalInstances", "totalInstancesUsed"),
    "cores": ("maxTotalCores", "totalCoresUsed"),
    "ram": ("maxTotalRAMSize", "totalRAMUsed"),
    "server_groups": ("maxServerGroups", "totalServerGroupsUsed"),
    "server_group_members": ("maxServerGroupMembers", ""),
}


def server(data: dict[str, Any]) -> Server:
    """Read a server's detail.

    A server in a cell that is down comes with next to nothing (2.69); its status is UNKNOWN.
    """
    image = data.get("image") or {}
    groups = data.get("server_groups") or []
    return Server(
        id=data["id"],
        name=data.get("name") or "",
        status=data.get("status") or "UNKNOWN",
        project_id=data.get("tenant_id") or "",
        user_id=data.get("user_id") or "",
        host=data.get("OS-EXT-SRV-ATTR:host") or "",
        hypervisor_hostname=data.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or "",
        vm_state=data.get("OS-EXT-STS:vm_state") or "",
        task_state=data.get("OS-EXT-STS:task_state") or None,
        power_state=data.get("OS-EXT-STS:power_state") or 0,
        flavor=_embedded_flavor(data.get("flavor") or {}),
        image_id=str(image.get("id") or ""),
        availability_zone=data.get("OS-EXT-AZ:availability_zone") or "",
        pinned_availability_zone=data.get("pinned_availability_zone") or None,
        description=data.get("description") or None,
        hostname=data.get("OS-EXT-SRV-ATTR:hostname") or "",
        key_name=data.get("key_name") or None,
        user_data=data.get("OS-EXT-SRV-ATTR:user_data") or None,
        config_drive=str(data.get("config_drive") or "").lower() == "true",
        root_device_name=data.get("OS-EXT-SRV-ATTR:root_device_name") or "",
        metadata=dict(data.get("metadata") or {}),
        tags=tuple(data.get("tags") or ()),
        server_group=groups[0] if groups else None,
        scheduler_hints=dict(data.get("scheduler_hints") or {}),
        locked=bool(data.get("locked")),
        locked_reason=data.get("locked_reason") or None,
        disk_config=data.get("OS-DCF:diskConfig") or "MANUAL",
        trusted_image_certificates=tuple(data.get("trusted_image_certificates") or ()),
        volumes=tuple(
            AttachedVolume(held["id"], bool(held.get("delete_on_termination")))
            for held in data.get("os-extended-volumes:volumes_attached") or []
        ),
        addresses=tuple(
            address["addr"]
            for network in (data.get("addresses") or {}).values()
            for address in network
            if address.get("OS-EXT-IPS:type", "fixed") == "fixed"
        ),
        fault=str((data.get("fault") or {}).get("message") or ""),
        created=data.get("created") or "",
    )


def service(data: dict[str, Any]) -> Service:
    """Read a service of Nova or Cinder."""
    return Service(
        binary=data.get("binary") or "",
        host=data.get("host") or "",
        enabled=data.get("status") == "enabled",
        up=data.get("state") == "up",
        disabled_reason=data.get("disabled_reason") or None,
        forced_down=bool(data.get("forced_down")),
        zone=data.get("zone") or "",
        updated=data.get("updated_at") or "",
    )


def attachments(of: Server, data: list[dict[str, Any]]) -> tuple[AttachedVolume, ...]:
    """Read a server's volume attachments; see ``Compute.attachments`` for the boot index."""
    alone = len(data) == 1

    def boots(item: dict[str, Any]) -> bool:
        if of.image_id:
            return False
        device = item.get("device") or ""
        return alone or (bool(device) and device == of.root_device_name)

    return tuple(
        AttachedVolume(
            volume_id=item["volumeId"],
            delete_on_termination=bool(item.get("delete_on_termination")),
            device=item.get("device") or "",
            boot_index=0 if boots(item) else None,
            tag=item.get("tag") or "",
        )
        for item in data
    )


def create_body(new: NewServer) -> dict[str, Any]:
    """Return the body of POST /servers.

    Device names are left out: libvirt chooses them itself.
    """
    made = [{"uuid": new.network}] if new.network else "none"
    body: dict[str, Any] = {
        "name": new.name,
        "flavorRef": new.flavor_id,
        "networks": [{"port": port} for port in new.ports] or made,
        "metadata": dict(new.metadata),
    }
    optional = {
        "imageRef": new.boot_image,
        "host": new.host,
        "availability_zone": new.availability_zone,
        "description": new.description,
        "hostname": new.hostname,
        "key_name": new.key_name,
        "user_data": new.user_data,
        "config_drive": new.config_drive,
        "tags": list(new.tags),
        "OS-DCF:diskConfig": new.disk_config,
        "trusted_image_certificates": list(new.trusted_image_certificates),
        "block_device_mapping_v2": _block_devices(new),
    }
    body.update({name: value for name, value in optional.items() if value})
    whole: dict[str, Any] = {"server": body}
    if new.server_group:
        whole["os:scheduler_hints"] = {"group": new.server_group}
    return whole


def flavor(data: dict[str, Any]) -> Flavor:
    """Read a flavor of the flavors' listing."""
    return Flavor(
        id=data["id"],
        name=data["name"],
        vcpus=int(data.get("vcpus") or 0),
        memory_mb=int(data.get("ram") or 0),
        disk_gb=int(data.get("disk") or 0),
        ephemeral_gb=int(data.get("OS-FLV-EXT-DATA:ephemeral") or 0),
        swap_mb=int(data.get("swap") or 0),
        extra_specs=dict(data.get("extra_specs") or {}),
    )


def host(data: dict[str, Any]) -> Host:
    """Read a compute service."""
    return Host(
        name=data["host"],
        service_id=str(data["id"]),
        enabled=data.get("status") == "enabled",
        up=data.get("state") == "up",
        disabled_reason=data.get("disabled_reason") or None,
        availability_zone=data.get("zone") or "",
    )


def group(data: dict[str, Any]) -> ServerGroup:
    """Read a server group."""
    policies = data.get("policies") or [""]
    return ServerGroup(
        id=data["id"],
        name=data.get("name") or "",
        policy=data.get("policy") or policies[0],
        members=tuple(data.get("members") or ()),
        project_id=data.get("project_id") or "",
    )


def instance_action(data: dict[str, Any]) -> InstanceAction:
    """Read an instance action with its events.

    It has finished when all its events have; without events, when it was last updated.
    """
    events = data.get("events") or []
    ends = [event.get("finish_time") for event in events] or [data.get("updated_at")]
    finish = None if None in ends else max(epoch(end) for end in ends)
    last: dict[str, Any] = max(events, key=lambda one: one.get("start_time") or "", default={})
    failed = [event for event in events if event.get("result") == "Error"]
    result = "Error" if failed else last.get("result")
    return InstanceAction(
        action=data["action"],
        request_id=data["request_id"],
        start=epoch(data["start_time"]),
        finish=finish,
        result=str(result or data.get("message") or ""),
    )


def quota(absolute: dict[str, Any]) -> Quota:
    """Read the absolute limits."""
    limits = {name: int(absolute[most]) for name, (most, _) in _QUOTA.items() if most in absolute}
    used = {name: int(absolute[now]) for name, (_, now) in _QUOTA.items() if now in absolute}
    return Quota(limits=limits, used=used)


def _embedded_flavor(data: dict[str, Any]) -> Flavor:
    return Flavor(
        id="",
        name=data.get("original_name") or "",
        vcpus=int(data.get("vcpus") or 0),
        memory_mb=int(data.get("ram") or 0),
        disk_gb=int(data.get("disk") or 0),
        ephemeral_gb=int(data.get("ephemeral") or 0),
        swap_mb=int(data.get("swap") or 0),
        extra_specs=dict(data.get("extra_specs") or {}),
    )


def _block_devices(new: NewServer) -> list[dict[str, Any]]:
    """Return the block devices; an image beside volumes must be named as one of them."""
    devices: list[dict[str, Any]] = []
    if new.boot_image and new.volumes:
        devices.append(
            {
                "uuid": new.boot_image,
                "source_type": "image",
                "destination_type": "local",
                "boot_index": 0,
                "delete_on_termination": True,
            }
        )
    for volume in new.volumes:
        data = new.boot_image or volume.boot_index is None
        device = {
            "uuid": volume.volume_id,
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": -1 if data else volume.boot_index,
            "delete_on_termination": volume.delete_on_termination,
        }
        if volume.tag:
            device["tag"] = volume.tag
        devices.append(device)
    return devices


def epoch(text: str) -> float:
    """Return a time as services write it, UTC where they do not say, as epoch seconds."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()
