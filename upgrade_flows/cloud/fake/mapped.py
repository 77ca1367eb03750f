"""Images that refer to snapshots: Nova makes volumes of them when such an image is booted."""

from __future__ import annotations

import json
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import AttachedVolume, Volume


def check(world: World, image_id: str | None) -> None:
    """Refuse to boot an image whose snapshots are gone.

    :raises Conflict: one of them does not exist, or is not available.
    """
    for device in _devices(world, image_id):
        snapshot = world.snapshots.get(device["snapshot_id"])
        if snapshot is None or snapshot.status != "available":
            raise errors.Conflict(
                f"Block Device Mapping is Invalid: failed to get snapshot {device['snapshot_id']}."
            )


def volumes_of(world: World, image_id: str | None, project_id: str) -> tuple[AttachedVolume, ...]:
    """Make the volumes of an image for a server of a project; they are of no name."""
    made = []
    for device in _devices(world, image_id):
        source = world.volume(world.snapshot(device["snapshot_id"]).volume_id)
        volume = Volume(
            id=world.new_id("volume"),
            name="",
            status="available",
            size_gb=device["volume_size"],
            project_id=project_id,
            volume_type=source.volume_type,
            backend=source.backend,
            bootable=source.bootable,
        )
        world.volumes[volume.id] = volume
        made.append(
            AttachedVolume(
                volume.id,
                delete_on_termination=device["delete_on_termination"],
                device=device["device_name"] or "",
                boot_index=device["boot_index"],
            )
        )
    return tuple(made)


def boots(world: World, image_id: str | None) -> bool:
    """Whether an image has the root disk of what is booted among its snapshots."""
    return any(device["boot_index"] == 0 for device in _devices(world, image_id))


def _devices(world: World, image_id: str | None) -> list[dict[str, Any]]:
    image = world.images.get(image_id or "")
    said = image.properties.get("block_device_mapping") if image else None
    return list(json.loads(said)) if said else []
