"""What we need of Cinder and Glance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from upgrade_flows.cloud.api.condition import Service
from upgrade_flows.cloud.api.facts import NewVolume
from upgrade_flows.model.inventory import Image, Quota, Snapshot, Volume


class Volumes(Protocol):
    """Cinder."""

    def volumes(self) -> Iterable[Volume]:
        """Return volumes of all projects."""

    def unchanged(self, status: str, since: float) -> tuple[Volume, ...]:
        """Return the volumes of a status that nothing has changed since then (epoch seconds)."""

    def services(self) -> Iterable[Service]:
        """Return all services of Cinder."""

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""

    def find(self, name: str) -> tuple[Volume, ...]:
        """Return the volumes of a name, in all projects."""

    def create(self, new: NewVolume) -> Volume:
        """Create a volume in ``new.project_id``; it is ``creating``, then ``available``.

        :raises Forbidden: we have no role in that project.
        :raises TooLarge: the project may have no more volumes, or gigabytes.
        """

    def delete(self, volume_id: str) -> None:
        """Delete a volume.

        :raises Conflict: it is attached, or being worked on, or has snapshots.
        """

    def set_metadata(self, volume_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a volume; what is there under other names stays."""

    def snapshots(self) -> Iterable[Snapshot]:
        """Return snapshots of all projects."""

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return one snapshot."""

    def find_snapshots(self, name: str) -> tuple[Snapshot, ...]:
        """Return the snapshots of a name, in all projects."""

    def create_snapshot(
        self, volume_id: str, name: str, metadata: dict[str, str] | None = None
    ) -> Snapshot:
        """Snapshot a volume, also one in use; it is ``creating``, then ``available``.

        It belongs to the volume's project, or to our own where we have no role in that one.

        :raises TooLarge: that project may have no more snapshots, or gigabytes.
        """

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot."""

    def set_snapshot_metadata(self, snapshot_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a snapshot; what is there under other names stays."""

    def upload_image(self, volume_id: str, name: str) -> str:
        """Copy a volume into a new image and return the image's id.

        The volume is ``uploading`` meanwhile.  The image belongs to the volume's project, or to
        our own where we have no role in that one.

        :raises Conflict: it is in use, and Cinder does not let such be uploaded, which is its
            default (``enable_force_upload``).
        """

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage: ``volumes``, ``gigabytes``, ``snapshots``."""


class Images(Protocol):
    """Glance."""

    def images(self) -> Iterable[Image]:
        """Return all images that we may see."""

    def image(self, image_id: str) -> Image:
        """Return one image."""

    def find(self, name: str) -> tuple[Image, ...]:
        """Return the images of a name."""

    def create(self, name: str, properties: dict[str, Any], project_id: str = "") -> Image:
        """Create an image of no bytes in a project, ours if none is named; it is ``active``.

        Nova boots from it if its property ``block_device_mapping`` says what from.
        """

    def set_properties(self, image_id: str, properties: dict[str, str]) -> None:
        """Set properties of an image, of which its name is one; its others stay."""

    def delete(self, image_id: str) -> None:
        """Delete an image."""
