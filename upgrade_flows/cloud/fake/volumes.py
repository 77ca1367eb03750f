"""The fake Cinder: volumes, their snapshots and their copies."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewVolume, Service
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import BREAK, begin, finishes
from upgrade_flows.cloud.fake.records import Operation
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Image, Quota, Snapshot, Volume

_DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")
_COPYABLE = ("available", "in-use")


class Volumes(Base):
    """Cinder.

    ``faults.break_result`` ends what it works on in ``error`` (``volumes.create``,
    ``volumes.create_snapshot``) or in ``error_deleting`` (``volumes.delete``...); of
    ``volumes.upload_image`` it is the image's status.
    """

    def volumes(self) -> tuple[Volume, ...]:
        """Return volumes of all projects."""
        return tuple(self._world.volumes.values())

    def unchanged(self, status: str, since: float) -> tuple[Volume, ...]:
        """Return the volumes of a status that nothing has changed since then."""
        changed = self._world.volume_changed
        return tuple(
            volume
            for volume in self._world.volumes.values()
            if volume.status == status and changed.get(volume.id, 0.0) < since
        )

    def services(self) -> tuple[Service, ...]:
        """Return the services of Cinder: ``world.volume_services``."""
        return tuple(self._world.volume_services)

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""
        return self._world.volume(volume_id)

    def find(self, name: str) -> tuple[Volume, ...]:
        """Return the volumes of a name."""
        return tuple(volume for volume in self._world.volumes.values() if volume.name == name)

    def create(self, new: NewVolume) -> Volume:
        """Create a volume, empty or from what is there and large enough for it."""
        world = self._world
        if new.project_id in world.closed_projects:
            raise errors.Forbidden(f"no role in project {new.project_id}")
        source = self._source(new)
        made_of = dict(source.image_properties) if source else {}
        if new.image_id:
            image = world.image(new.image_id)
            made_of = {**image.properties, "image_id": image.id, "image_name": image.name}
        self._charge(new.project_id, volumes=1, gigabytes=new.size_gb)
        volume = Volume(
            id=world.new_id("volume"),
            name=new.name,
            status="creating",
            size_gb=new.size_gb,
            project_id=new.project_id,
            volume_type=new.volume_type or (source.volume_type if source else ""),
            backend=source.backend if source else "",
            bootable=bool(new.image_id) or (source is not None and source.bootable),
            encrypted=source is not None and source.encrypted,
            metadata=dict(new.metadata),
            image_properties=made_of,
        )
        world.volumes[volume.id] = volume
        world.touch_volume(volume.id)
        begin(world, self._faults, "volumes.create", volume.id)
        return volume

    def delete(self, volume_id: str) -> None:
        """Delete a volume that nothing uses and of which there are no snapshots."""
        world = self._world
        volume = world.volume(volume_id)
        if volume.status not in _DELETABLE or volume.attachments or world.has_snapshots(volume_id):
            raise errors.Conflict(
                "Invalid volume: Volume status must be available or error or error_restoring or "
                "error_extending or error_managing and must not be migrating, attached, belong "
                "to a group, have snapshots, awaiting a transfer, or be disassociated from "
                f"snapshots after volume transfer ({volume_id} is {volume.status})"
            )
        world.volumes[volume_id] = dataclasses.replace(volume, status="deleting")
        world.touch_volume(volume_id)
        begin(world, self._faults, "volumes.delete", volume_id)

    def set_metadata(self, volume_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a volume."""
        volume = self._world.volume(volume_id)
        self._world.volumes[volume_id] = dataclasses.replace(
            volume, metadata={**volume.metadata, **metadata}
        )

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Return snapshots of all projects."""
        return tuple(self._world.snapshots.values())

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return one snapshot."""
        return self._world.snapshot(snapshot_id)

    def find_snapshots(self, name: str) -> tuple[Snapshot, ...]:
        """Return the snapshots of a name."""
        return tuple(item for item in self._world.snapshots.values() if item.name == name)

    def create_snapshot(
        self, volume_id: str, name: str, metadata: dict[str, str] | None = None
    ) -> Snapshot:
        """Snapshot a volume, also one in use."""
        world = self._world
        volume = world.volume(volume_id)
        if volume.status not in _COPYABLE:
            raise errors.Conflict(
                f"Invalid volume: Volume {volume_id} status must be available or in-use, "
                f"but current status is: {volume.status}."
            )
        project = self._acting_in(volume)
        self._charge(project, snapshots=1, gigabytes=volume.size_gb)
        made = Snapshot(
            id=world.new_id("snapshot"),
            name=name,
            status="creating",
            volume_id=volume_id,
            size_gb=volume.size_gb,
            project_id=project,
            metadata=dict(metadata or {}),
        )
        world.snapshots[made.id] = made
        begin(world, self._faults, "volumes.create_snapshot", made.id)
        return made

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; the volumes that were made of it stay."""
        world = self._world
        snapshot = world.snapshot(snapshot_id)
        if snapshot.status not in ("available", "error"):
            raise errors.Conflict(
                "Invalid snapshot: Snapshot status must be available or error "
                f"({snapshot_id} is {snapshot.status})"
            )
        world.snapshots[snapshot_id] = dataclasses.replace(snapshot, status="deleting")
        begin(world, self._faults, "volumes.delete_snapshot", snapshot_id)

    def set_snapshot_metadata(self, snapshot_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a snapshot."""
        snapshot = self._world.snapshot(snapshot_id)
        self._world.snapshots[snapshot_id] = dataclasses.replace(
            snapshot, metadata={**snapshot.metadata, **metadata}
        )

    def upload_image(self, volume_id: str, name: str) -> str:
        """Copy a volume into a new image; one in use only where Cinder may be forced to."""
        world = self._world
        volume = world.volume(volume_id)
        allowed = _COPYABLE if world.enable_force_upload else ("available",)
        if volume.status not in allowed:
            raise errors.Conflict(
                f"Invalid volume: Volume {volume_id} status must be {' or '.join(allowed)}"
            )
        image = Image(
            id=world.new_id("image"),
            name=name,
            status="queued",
            owner=self._acting_in(volume),
            disk_format="raw",
        )
        world.images[image.id] = image
        world.volumes[volume_id] = dataclasses.replace(volume, status="uploading")
        world.touch_volume(volume_id)
        begin(
            world,
            self._faults,
            "volumes.upload_image",
            volume_id,
            image=image.id,
            before=volume.status,
        )
        return image.id

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project; its snapshots count as gigabytes too."""
        world = self._world
        limits = world.limits.get(project_id, {})
        volumes = [item for item in world.volumes.values() if item.project_id == project_id]
        snapshots = [item for item in world.snapshots.values() if item.project_id == project_id]
        used = {
            "volumes": len(volumes),
            "gigabytes": sum(volume.size_gb for volume in volumes)
            + sum(snapshot.size_gb for snapshot in snapshots),
            "snapshots": len(snapshots),
        }
        return Quota({kind: limits.get(kind, -1) for kind in used}, used)

    def _acting_in(self, volume: Volume) -> str:
        closed = volume.project_id in self._world.closed_projects
        return self._world.own_project_id if closed else volume.project_id

    def _charge(self, project_id: str, **wanted: int) -> None:
        quota = self.quota(project_id)
        for kind, amount in wanted.items():
            if not quota.room(kind, amount):
                raise errors.TooLarge(
                    f"Quota exceeded for {kind}: requested {amount}, {quota.used[kind]} of "
                    f"{quota.limits[kind]} are used"
                )

    def _source(self, new: NewVolume) -> Volume | None:
        """Return the volume that a new one is made like, if any.

        :raises Conflict: what it is made from is not ready, or larger than it.
        """
        world = self._world
        source = None
        if new.image_id:
            image = world.image(new.image_id)
            if image.status != "active":
                raise errors.Conflict(f"Image {image.id} is not active")
            needed = max(image.min_disk, -(-(image.size or 0) >> 30))
        elif new.snapshot_id:
            snapshot = world.snapshot(new.snapshot_id)
            if snapshot.status != "available":
                raise errors.Conflict(f"Invalid snapshot: {snapshot.id} is {snapshot.status}")
            source, needed = world.volume(snapshot.volume_id), snapshot.size_gb
        elif new.source_volume_id:
            source = world.volume(new.source_volume_id)
            if source.status not in _COPYABLE:
                raise errors.Conflict(f"Invalid volume: {source.id} is {source.status}")
            needed = source.size_gb
        else:
            return None
        if new.size_gb < needed:
            raise errors.Conflict(
                f"Invalid input received: Volume size '{new.size_gb}'GB cannot be smaller than "
                f"the {needed}GB that it is made from"
            )
        return source


def _set_volume(world: World, volume_id: str, status: str) -> None:
    volume = world.volumes.get(volume_id)
    if volume is not None:
        world.volumes[volume_id] = dataclasses.replace(volume, status=status)
        world.touch_volume(volume_id)


def _set_snapshot(world: World, snapshot_id: str, status: str) -> None:
    snapshot = world.snapshots.get(snapshot_id)
    if snapshot is not None:
        world.snapshots[snapshot_id] = dataclasses.replace(snapshot, status=status)


@finishes("volumes.create")
def _created(world: World, operation: Operation) -> str:
    _set_volume(world, operation.subject, "available")
    return ""


@finishes("volumes.delete")
def _deleted(world: World, operation: Operation) -> str:
    world.volumes.pop(operation.subject, None)
    return ""


@finishes("volumes.create_snapshot")
def _snapshotted(world: World, operation: Operation) -> str:
    _set_snapshot(world, operation.subject, "available")
    return ""


@finishes("volumes.delete_snapshot")
def _snapshot_deleted(world: World, operation: Operation) -> str:
    world.snapshots.pop(operation.subject, None)
    return ""


@finishes("volumes.upload_image")
def _uploaded(world: World, operation: Operation) -> str:
    _set_volume(world, operation.subject, operation.args["before"])
    image = world.images.get(operation.args["image"])
    volume = world.volumes.get(operation.subject)
    if image is not None and volume is not None:
        world.images[image.id] = dataclasses.replace(
            image, status="active", size=volume.size_gb << 30
        )
    return ""


def _break_volume(world: World, operation: Operation) -> None:
    _set_volume(world, operation.subject, operation.broken)


def _break_snapshot(world: World, operation: Operation) -> None:
    _set_snapshot(world, operation.subject, operation.broken)


def _break_upload(world: World, operation: Operation) -> None:
    _set_volume(world, operation.subject, operation.args["before"])
    image = world.images.get(operation.args["image"])
    if image is not None:
        world.images[image.id] = dataclasses.replace(image, status=operation.broken)


BREAK["volumes.create"] = BREAK["volumes.delete"] = _break_volume
BREAK["volumes.create_snapshot"] = BREAK["volumes.delete_snapshot"] = _break_snapshot
BREAK["volumes.upload_image"] = _break_upload
