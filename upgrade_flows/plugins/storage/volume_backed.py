"""Root disks that are Cinder volumes: carried as they are, without a copy."""

from __future__ import annotations

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows.model.inventory import Image, Server, Volume
from upgrade_flows.plugins.base import StoragePlugin
from upgrade_flows.plugins.storage.image_backed import lost_disks
from upgrade_flows.steps.base import Context, Step


class VolumeStorage(StoragePlugin):
    """A root disk that is a Cinder volume.

    The replacement boots from the original's own volumes: nothing is copied.
    """

    def claims(self, server: Server, volumes: tuple[Volume, ...], image: Image | None) -> bool:
        return server.volume_backed

    def refusal(self, server: Server, volumes: tuple[Volume, ...]) -> str | None:
        shared = [volume.id for volume in volumes if volume.multiattach]
        if shared:
            return f"volume {', '.join(shared)} is multiattach: others may be writing to it"
        return lost_disks(server)

    def carry(self, ctx: Context, server_id: str) -> flow.Flow:
        return graph_flow.Flow(f"carry-root-disk:{server_id}").add(UseOwnVolumes(ctx, server_id))

    def seconds(self, server: Server, volumes: tuple[Volume, ...]) -> float:
        return 0.0


class UseOwnVolumes(Step):
    """Say that the replacement boots from the original's volumes.

    Changes nothing, so there is nothing to revert.
    """

    default_provides = "boot_source"

    def execute(self) -> dict[str, bool]:
        return {"volumes": True}
