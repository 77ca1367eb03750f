"""Root disks on the host's own storage, or in the hosts' Ceph pool: carried by a snapshot."""

from __future__ import annotations

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows.model.inventory import Image, Server, Volume
from upgrade_flows.plugins.base import StoragePlugin
from upgrade_flows.steps import images
from upgrade_flows.steps.base import Context

#: upload and download of a local disk, in MiB/s: for predictions only
LOCAL_RATE = 100.0


class LocalDiskStorage(StoragePlugin):
    """An image-backed root disk that Nova keeps as a file of the host.

    The snapshot is flattened and uploaded, and the replacement boots from it.
    """

    def claims(self, server: Server, volumes: tuple[Volume, ...], image: Image | None) -> bool:
        return bool(server.image_id)

    def refusal(self, server: Server, volumes: tuple[Volume, ...]) -> str | None:
        return lost_disks(server)

    def carry(self, ctx: Context, server_id: str) -> flow.Flow:
        return graph_flow.Flow(f"carry-root-disk:{server_id}").add(
            images.SnapshotServer(ctx, server_id)
        )

    def seconds(self, server: Server, volumes: tuple[Volume, ...]) -> float:
        return 2 * server.flavor.disk_gb * 1024 / LOCAL_RATE


class RbdStorage(LocalDiskStorage):
    """An image-backed root disk in Ceph, next to Glance's images.

    Recognised by the image's own store: with Nova's ``images_type = rbd`` both lie in the same
    cluster, and a snapshot is a clone, whatever the disk's size.
    """

    def claims(self, server: Server, volumes: tuple[Volume, ...], image: Image | None) -> bool:
        return bool(server.image_id) and image is not None and image.locations_backend == "rbd"

    def seconds(self, server: Server, volumes: tuple[Volume, ...]) -> float:
        return 3.0


def lost_disks(server: Server) -> str | None:
    """Say which disks of the flavor a snapshot would not hold, or None."""
    lost = []
    if server.flavor.ephemeral_gb:
        lost.append(f"an ephemeral disk of {server.flavor.ephemeral_gb} GiB")
    if server.flavor.swap_mb:
        lost.append(f"a swap disk of {server.flavor.swap_mb} MiB")
    if not lost:
        return None
    return f"server {server.id} has {' and '.join(lost)} that a snapshot would lose"
