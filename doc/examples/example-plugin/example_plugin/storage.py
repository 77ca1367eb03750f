"""Root disks on an array, which takes snapshots at once but refuses big ones."""

from __future__ import annotations

from typing import Any

from taskflow import flow
from taskflow.patterns import linear_flow

from upgrade_flows.errors import StepFailed
from upgrade_flows.model.inventory import Image, Server, Volume
from upgrade_flows.plugins.base import StoragePlugin
from upgrade_flows.plugins.storage.image_backed import lost_disks
from upgrade_flows.steps import images
from upgrade_flows.steps.base import Context, Step

LARGEST_GB = 500


class ArrayStorage(StoragePlugin):
    """An image-backed root disk whose image says that it lies on the array."""

    def claims(self, server: Server, volumes: tuple[Volume, ...], image: Image | None) -> bool:
        return image is not None and image.properties.get("example_array") == "true"

    def refusal(self, server: Server, volumes: tuple[Volume, ...]) -> str | None:
        if server.flavor.disk_gb > LARGEST_GB:
            return f"the array takes no snapshot of {server.flavor.disk_gb} GiB"
        return lost_disks(server)

    def carry(self, ctx: Context, server_id: str) -> flow.Flow:
        """Snapshot, then look at the snapshot.

        ::

            snapshot server ── check snapshot
        """
        return linear_flow.Flow(f"carry-root-disk:{server_id}").add(
            images.SnapshotServer(ctx, server_id),
            CheckSnapshot(ctx, server_id),
        )

    def seconds(self, server: Server, volumes: tuple[Volume, ...]) -> float:
        return 2.0


class CheckSnapshot(Step):
    """Make sure that the array has sent the whole disk.

    Changes nothing, so there is nothing to revert.
    """

    def execute(self, boot_source: dict[str, Any]) -> None:
        image = self.ctx.cloud.images.image(boot_source["image"])
        if image.properties.get("example_partial") == "true":
            raise StepFailed(f"image {image.id} holds a part of the disk only")
