"""After ``commit``: the original goes, and the surrogate takes its name."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Images
from upgrade_flows.flows.live_update.tasks.base import LiveStep, delete_server, exists
from upgrade_flows.flows.live_update.tasks.preparing import delete_snapshot
from upgrade_flows.flows.live_update.tasks.surrogate import delete_volume
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import volumes, waiting
from upgrade_flows.steps.base import Context

#: says on a copy of an original's root disk until when it is kept, in epoch seconds
UNTIL = "upgrade_flows_until"
#: says on a volume that we made that it belongs to an instance now, and to nobody's run
GIVEN = "upgrade_flows_given"


class SettleStep(LiveStep):
    """A step of ``settle``: only ever retried, for there is no way back from here."""

    def __init__(self, ctx: Context, action: Action, outcome: dict[str, Any]) -> None:
        super().__init__(ctx, action)
        self.outcome = outcome
        self.surrogate_id = str(outcome["server_id"])


class DeleteOriginal(SettleStep):
    """Delete the original, whose ports and data volumes are the surrogate's now.

    Refuses while it holds any of them.  A root volume outlives it, as the way back.  Done when
    it is gone.
    """

    def execute(self) -> None:
        if exists(self.ctx, self.original):
            self._check_nothing_is_lost()
            root = self.details["root"]
            if root is not None:
                volumes.set_delete_flag(self.ctx, self.original, root["volume_id"], False)
            delete_server(self, self.original)
        waiting.gone(self.ctx, self.original)

    def _check_nothing_is_lost(self) -> None:
        cloud = self.ctx.cloud
        carried = set(self.details["volumes"])
        held = [f"port {port.id}" for port in cloud.network.ports(device_id=self.original)]
        held += [
            f"volume {one.volume_id}"
            for one in cloud.compute.attachments(self.original)
            if one.volume_id in carried
        ]
        if held or not exists(self.ctx, self.surrogate_id):
            what = ", ".join(held) or f"the surrogate {self.surrogate_id} does not exist any more"
            raise errors.StepFailed(f"server {self.original} is not deleted: {what}")


class TakeFlags(SettleStep):
    """Give the surrogate's volumes the delete flags that they had at the original.

    Its root volume, which we made, is marked as its own.
    """

    def execute(self) -> None:
        for volume_id, delete in self.outcome["flags"]:
            volumes.set_delete_flag(self.ctx, self.surrogate_id, volume_id, delete)
        root = self.details["root"]
        if root is None:
            return
        for held in self.ctx.cloud.compute.attachments(self.surrogate_id):
            if held.boot_index == 0:
                self.ctx.cloud.volumes.set_metadata(held.volume_id, {GIVEN: self.surrogate_id})
                volumes.set_delete_flag(
                    self.ctx, self.surrogate_id, held.volume_id, root["delete_on_termination"]
                )


class TakeName(SettleStep):
    """Give the surrogate the name of the original, and take our tag off it."""

    def execute(self) -> None:
        compute = self.ctx.cloud.compute
        if compute.server(self.surrogate_id).name != self.name_of_original:
            compute.rename(self.surrogate_id, self.name_of_original)
        compute.set_tags(self.surrogate_id, tuple(self.outcome["tags"]))


class DeleteHealthPort(SettleStep):
    """Delete the port that the surrogate had before it had the original's."""

    def execute(self) -> None:
        try:
            port = self.ctx.cloud.network.port(self.outcome["health_port"])
        except errors.NotFound:
            return
        if port.device_id:
            raise errors.StepFailed(f"port {port.id} belongs to {port.device_id} now")
        self.ctx.cloud.network.delete_port(port.id)


class KeepWayBack(SettleStep):
    """Say on the old root disk, or its image, until when it is kept; without a time, delete it.

    ``upgrade-flows gc`` deletes it then.  A root volume that its owner wanted to outlive the
    original is theirs, and stays without a time.
    """

    def execute(self) -> None:
        root, kept = self.details["root"], self.outcome["way_back"]
        if root is None:
            self._keep(kept["image"], self.ctx.cloud.images)
            return
        if kept["snapshot"] in {one.id for one in self.ctx.cloud.volumes.snapshots()}:
            delete_snapshot(self.ctx, kept["snapshot"])
        if root["delete_on_termination"]:
            self._keep(root["volume_id"], None)

    def _keep(self, disk: str, images: Images | None) -> None:
        grace = float(self.details["grace_s"])
        until = {UNTIL: str(int(self.ctx.cloud.clock.time() + grace))}
        try:
            if images is not None and grace > 0:
                images.set_properties(disk, until)
            elif images is not None:
                images.delete(disk)
            elif grace > 0:
                self.ctx.cloud.volumes.set_metadata(disk, until)
            else:
                delete_volume(self.ctx, disk)
        except errors.NotFound:
            return
