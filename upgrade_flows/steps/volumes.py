"""Steps that carry volumes from one server to another without copying them."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import AttachedVolume, Volume
from upgrade_flows.steps.base import Context, Step, undo


class KeepVolume(Step):
    """Make sure that a volume outlives its server.

    Reverted by restoring the delete flag, if the server still exists.
    """

    def __init__(self, ctx: Context, volume_id: str, server_id: str) -> None:
        super().__init__(ctx, volume_id)
        self.server_id = server_id

    def execute(self, before: dict[str, Any]) -> None:
        self._set(False)

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._set, _recorded(before, self.subject).delete_on_termination)

    def _set(self, delete: bool) -> None:
        set_delete_flag(self.ctx, self.server_id, self.subject, delete)


class RestoreDeleteFlag(Step):
    """Give a replacement's volume the delete flag that it had at the original.

    Until here the flag is off, so that no undo of ours can delete a volume.  Reverted by
    taking it off again.
    """

    def execute(self, before: dict[str, Any], replacement_id: str) -> None:
        recorded = _recorded(before, self.subject)
        set_delete_flag(self.ctx, replacement_id, self.subject, recorded.delete_on_termination)

    def revert(self, replacement_id: str, **_: object) -> dict[str, Any] | None:
        return undo(self, set_delete_flag, self.ctx, replacement_id, self.subject, False)


def at_rest(ctx: Context, volume_id: str) -> Volume:
    """Wait until nothing is under way with a volume, and return it as it is then.

    A step that runs again after a crash may find its first attempt still going on.

    :raises StepFailed: something went wrong with it.
    """
    return wait.until(
        ctx.cloud.clock,
        f"volume {volume_id} to be at rest",
        lambda: ctx.cloud.volumes.volume(volume_id),
        lambda volume: volume.status in ("in-use", "available"),
        lambda volume: f"it is {volume.status}" if volume.status.startswith("error") else None,
        deadline_s=ctx.settings.image_s,
    )


def held(ctx: Context, server_id: str, volume_id: str) -> AttachedVolume | None:
    """Return a volume as a server holds it, or None."""
    for volume in ctx.cloud.compute.attachments(server_id):
        if volume.volume_id == volume_id:
            return volume
    return None


def set_delete_flag(ctx: Context, server_id: str, volume_id: str, delete: bool) -> None:
    """Set a volume's delete flag, if it differs."""
    volume = held(ctx, server_id, volume_id)
    if volume is None:
        raise errors.NotFound(f"server {server_id} does not hold volume {volume_id}")
    if volume.delete_on_termination != delete:
        ctx.cloud.compute.set_delete_on_termination(server_id, volume_id, delete)


def _recorded(before: dict[str, Any], volume_id: str) -> AttachedVolume:
    for plain in before["identity"]["volumes"]:
        if plain["volume_id"] == volume_id:
            return codec.from_plain(AttachedVolume, plain)
    raise errors.StepFailed(f"volume {volume_id} was not recorded")
