"""The steps of a capture: copies of volumes, an image that refers to them, and its name."""

from __future__ import annotations

import json
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import servers, waiting
from upgrade_flows.steps.base import Context, Step, undo

#: says on a captured image of which instance it is
SOURCE = "upgrade_flows_captured_from"


class CaptureStep(Step):
    """A step on the instance that is captured."""

    def __init__(self, ctx: Context, action: Action, **more: Any) -> None:
        super().__init__(ctx, action.subject, **more)
        self.details = action.details

    @property
    def held(self) -> list[dict[str, Any]]:
        """The volumes that become part of the image, the root disk first."""
        return list(self.details["volumes"])


class SnapshotVolumes(CaptureStep):
    """Snapshot the chosen volumes, one right after the other; the instance may go on.

    All snapshots are begun before the first one is waited for, so that they are as much of one
    moment as Cinder can do.  They bear this step's tag as their name: a second attempt, after a
    crash, adopts them.  Provides the ``snapshots`` by volume.

    Reverted by deleting every snapshot of that name.
    """

    default_provides = "snapshots"

    def execute(self) -> dict[str, str]:
        volumes = self.ctx.cloud.volumes
        found = {
            one.volume_id: one.id
            for one in volumes.find_snapshots(self.tag)
            if one.status in ("creating", "available")
        }
        for one in self.held:
            volume_id = one["volume_id"]
            if volume_id not in found:
                found[volume_id] = volumes.create_snapshot(volume_id, self.tag).id
        for snapshot_id in found.values():
            self._await(snapshot_id)
        return {one["volume_id"]: found[one["volume_id"]] for one in self.held}

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._delete_all)

    def _delete_all(self) -> None:
        volumes = self.ctx.cloud.volumes
        for snapshot in volumes.find_snapshots(self.tag):
            self._at_rest(snapshot.id)
            if self._status(snapshot.id) not in ("", "deleting"):
                volumes.delete_snapshot(snapshot.id)
        for snapshot in volumes.find_snapshots(self.tag):
            self._gone(snapshot.id)

    def _at_rest(self, snapshot_id: str) -> None:
        wait.until(
            self.ctx.cloud.clock,
            f"snapshot {snapshot_id} to be at rest",
            lambda: self._status(snapshot_id),
            lambda status: status != "creating",
            deadline_s=self.ctx.settings.image_s,
        )

    def _gone(self, snapshot_id: str) -> None:
        wait.until(
            self.ctx.cloud.clock,
            f"snapshot {snapshot_id} to be gone",
            lambda: self._status(snapshot_id),
            lambda status: not status,
            lambda status: "it cannot be deleted" if status == "error_deleting" else None,
            deadline_s=self.ctx.settings.volume_s,
        )

    def _await(self, snapshot_id: str) -> None:
        wait.until(
            self.ctx.cloud.clock,
            f"snapshot {snapshot_id} to be available",
            lambda: self._status(snapshot_id),
            lambda status: status == "available",
            lambda status: (
                f"it is {status or 'gone'}" if not status or status.startswith("error") else None
            ),
            deadline_s=self.ctx.settings.image_s,
        )

    def _status(self, snapshot_id: str) -> str:
        try:
            return self.ctx.cloud.volumes.snapshot(snapshot_id).status
        except errors.NotFound:
            return ""


class ReferToVolumes(CaptureStep):
    """Let the image of a root disk refer to the snapshots of the data volumes.

    Reverted with the image, which is deleted by the step that made it.
    """

    def execute(self, boot_source: dict[str, Any], snapshots: dict[str, str]) -> None:
        properties = mapping(self.held, snapshots, flags=False)
        self.ctx.cloud.images.set_properties(boot_source["image"], properties)


class ComposeImage(CaptureStep):
    """Make an image of no bytes, which is booted from the snapshots that it refers to.

    As Nova does for an instance that boots from a volume, but with the chosen volumes only.  It
    bears this step's tag as its name: a second attempt, after a crash, adopts it.  Provides the
    ``boot_source``.

    Reverted by deleting every image of that name.
    """

    default_provides = "boot_source"

    def execute(self, snapshots: dict[str, str]) -> dict[str, Any]:
        images = self.ctx.cloud.images
        found = [image.id for image in images.find(self.tag) if image.status == "active"]
        properties = {
            **self.details["properties"],
            "root_device_name": self.details["root_device"],
            **mapping(self.held, snapshots, flags=False),
        }
        if not found:
            self._delete_all()  # one whose making was interrupted is of no use
            found = [images.create(self.tag, properties, self.details["project_id"]).id]
        return {"image": found[0], "bytes": 0}

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._delete_all)

    def _delete_all(self) -> None:
        for image in self.ctx.cloud.images.find(self.tag):
            self.ctx.cloud.images.delete(image.id)


class StartAgain(Step):
    """Start an instance that was stopped to be copied: what follows does not need it off.

    Provides since when it is up.  Needs no revert: to delete the copies it may run.
    """

    default_provides = "up_since"

    def execute(self) -> float:
        waiting.quiet(self.ctx, self.subject, self.ctx.settings.image_s)
        servers.ensure_started(self.ctx, self.subject)
        return self.ctx.cloud.clock.time()


class NameImage(CaptureStep):
    """Give the image the name that was asked for, and the delete flags that the volumes have.

    Until here no volume that is made of it outlives its instance.  Provides the ``outcome`` of
    the capture.  Reverted by giving it back the name by which the step that made it finds it.
    """

    default_provides = "outcome"

    def execute(
        self,
        boot_source: dict[str, Any],
        snapshots: dict[str, str],
        verified: str = "",
        down_since: float | None = None,
        up_since: float | None = None,
    ) -> dict[str, Any]:
        properties = {"name": self.details["name"], SOURCE: self.subject}
        if self.held:
            properties |= mapping(self.held, snapshots, flags=True)
        self.ctx.cloud.images.set_properties(boot_source["image"], properties)
        down = None if down_since is None or up_since is None else round(up_since - down_since, 3)
        return {
            "server_id": self.subject,
            "identity_difference": {},
            "undeclared": [],
            "measured_downtime_s": down,
            "image": {
                "id": boot_source["image"],
                "name": self.details["name"],
                "snapshots": snapshots,
                "verified": verified,
            },
        }

    def revert(self, boot_source: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._take_name, boot_source["image"])

    def _take_name(self, image_id: str) -> None:
        if self.ctx.cloud.images.image(image_id).name == self.details["name"]:
            self.ctx.cloud.images.set_properties(image_id, {"name": self._made_as})

    @property
    def _made_as(self) -> str:
        """The name under which the image was made: the tag of the step that made it."""
        verb = "compose-image" if self.details["boot"] == "volume" else "snapshot-server"
        return f"{self.ctx.run_id}/{verb}:{self.subject}"


def mapping(held: list[dict[str, Any]], snapshots: dict[str, str], flags: bool) -> dict[str, str]:
    """Return the properties by which Nova makes volumes of snapshots when an image is booted.

    :param flags: whether they outlive their instance as those of the captured one do; otherwise
        none does.
    """
    devices = [
        {
            "source_type": "snapshot",
            "destination_type": "volume",
            "snapshot_id": snapshots[one["volume_id"]],
            "volume_size": one["size_gb"],
            "boot_index": one["boot_index"],
            "device_name": one["device"] or None,
            "device_type": "disk",
            "disk_bus": None,
            "delete_on_termination": one["delete_on_termination"] if flags else True,
        }
        for one in held
    ]
    return {"bdm_v2": "True", "block_device_mapping": json.dumps(devices, sort_keys=True)}
