"""Steps that make an image of a server, and that make sure of it."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.steps import waiting
from upgrade_flows.steps.base import Step, residue, undo


class SnapshotServer(Step):
    """Snapshot the root disk of a stopped server, and verify the image.

    Provides the ``boot_source`` of a replacement: the image's id, active and not empty.  The
    image is named after this step: a second attempt, after a crash, adopts it.

    Reverted by deleting every image of that name; but not while the server is gone, for then
    the image is what it was rebuilt from.
    """

    default_provides = "boot_source"

    def execute(self) -> dict[str, Any]:
        waiting.quiet(self.ctx, self.subject, self.ctx.settings.image_s)
        found = [image for image in self.ctx.cloud.images.find(self.tag) if usable(image.status)]
        image_id = (
            found[0].id if found else self.ctx.cloud.compute.create_image(self.subject, self.tag)
        )
        image = waiting.image_active(self.ctx, image_id)
        if not image.size:
            raise errors.StepFailed(f"snapshot image {image_id} is empty")
        waiting.quiet(self.ctx, self.subject)
        return {"image": image_id, "bytes": image.size}

    def revert(self, **_: object) -> dict[str, Any] | None:
        try:
            waiting.quiet(self.ctx, self.subject, self.ctx.settings.image_s)
        except errors.NotFound:
            return None
        except errors.UpgradeFlowsError as exc:
            return residue(self, self.ctx.cloud.images.find, (self.tag,), exc)
        return undo(self, self._delete_all)

    def _delete_all(self) -> None:
        for image in self.ctx.cloud.images.find(self.tag):
            self.ctx.cloud.images.delete(image.id)


def usable(status: str) -> bool:
    """Whether an image of that status is, or may become, active."""
    return status in ("queued", "saving", "uploading", "importing", "active")
