"""What the surrogate boots from and is reached by, and the proof that it is fit."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import NewVolume
from upgrade_flows.flows.live_update.tasks.asking import ask
from upgrade_flows.flows.live_update.tasks.base import LiveStep, exists
from upgrade_flows.flows.live_update.tasks.preparing import usable
from upgrade_flows.model.inventory import AttachedVolume, Port
from upgrade_flows.steps import ports, volumes, waiting
from upgrade_flows.steps.base import Context, undo


class CreateBootVolume(LiveStep):
    """Make the surrogate's root volume: from the new image, or as a clone of the original's.

    Provides the ``boot_volume``, which bears this step's tag as its name.  Reverted by deleting
    every volume of that name; the surrogate is gone by then.
    """

    default_provides = "boot_volume"

    def execute(self, way_back: dict[str, Any]) -> str:
        cinder = self.ctx.cloud.volumes
        found = [one for one in cinder.find(self.tag) if usable(one.status)]
        volume = found[0] if found else cinder.create(self._wanted(way_back))
        return volumes.at_rest(self.ctx, volume.id).id

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._delete_all)

    def _wanted(self, way_back: dict[str, Any]) -> NewVolume:
        root = self.details["root"]
        image = str(self.details["image"])
        of_image = str(root.get("snapshot") or "")  # an image of no bytes refers to one
        return NewVolume(
            name=self.tag,
            size_gb=root["size_gb"],
            project_id=self.details["project_id"],
            volume_type=root["volume_type"],
            image_id="" if of_image else image,
            snapshot_id=of_image or ("" if image else way_back["snapshot"]),
        )

    def _delete_all(self) -> None:
        for volume in self.ctx.cloud.volumes.find(self.tag):
            delete_volume(self.ctx, volume.id)


class UpdateBootVolume(LiveStep):
    """Have the workload plugin update the surrogate's root volume, which nobody runs from yet.

    The volume is plugged into the original meanwhile, as one more disk.  Reverted by making sure
    that it no longer is; the volume itself is deleted by the step that made it.
    """

    def execute(self, recorded: dict[str, Any], boot_volume: str) -> None:
        if self.original not in holders_of(self.ctx, boot_volume):
            attached = AttachedVolume(volume_id=boot_volume)
            self.ctx.cloud.compute.attach_volume(self.original, attached)
            waiting.volume_is(self.ctx, boot_volume, "in-use")
        device = f"/dev/disk/by-id/virtio-{boot_volume[:20]}"
        self.plugin.update(self.guest(recorded), self.settings, device)
        self._let_go(boot_volume)

    def revert(self, boot_volume: str, **_: object) -> dict[str, Any] | None:
        return undo(self, self._let_go, boot_volume)

    def _let_go(self, boot_volume: str) -> None:
        if self.original in holders_of(self.ctx, boot_volume):
            self.ctx.cloud.compute.detach_volume(self.original, boot_volume)
        waiting.volume_is(self.ctx, boot_volume, "available")


class CreateHealthPort(LiveStep):
    """Make the port by which the surrogate is reached before it has the original's.

    Provides ``health``: the port's id and addresses.  It bears this step's tag as its name.
    Reverted by deleting every port of that name; the surrogate is gone by then.
    """

    default_provides = "health"

    def execute(self, before: dict[str, Any]) -> dict[str, Any]:
        network = self.ctx.cloud.network
        found = network.find_ports(self.tag)
        port = found[0] if found else network.create_port(self._wanted(before))
        return {"id": port.id, "addresses": list(ports.addresses(port))}

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._delete_all)

    def _wanted(self, before: dict[str, Any]) -> Port:
        first = before["identity"]["ports"][0]
        return Port(
            id="",
            network_id=self.details["health_network"],
            mac_address="",
            project_id=self.details["project_id"],
            name=self.tag,
            security_groups=tuple(first["security_groups"]),
            port_security_enabled=first["port_security_enabled"],
        )

    def _delete_all(self) -> None:
        for port in self.ctx.cloud.network.find_ports(self.tag):
            self.ctx.cloud.network.delete_port(port.id)


class AwaitReady(LiveStep):
    """Wait until the surrogate answers as the plan's probes ask, at its own port.

    Then the workload plugin has its say.  Changes nothing, so there is nothing to revert.
    """

    def execute(self, surrogate_id: str, health: dict[str, Any], recorded: dict[str, Any]) -> None:
        guest = self.surrogate(surrogate_id, health, recorded, ports_left=False)
        deadline_s = float(self.details["ready_s"])
        ask(self, guest, self.details["ready"], tuple(health["addresses"]), deadline_s)
        self.plugin.ready(guest, self.settings)


class DetachHealthPort(LiveStep):
    """Take the surrogate's own port off it: from now on it has the original's only.

    Reverted by plugging it in again, for what is to be undone at the surrogate is asked by it.
    """

    def execute(self, surrogate_id: str, health: dict[str, Any]) -> None:
        compute, network = self.ctx.cloud.compute, self.ctx.cloud.network
        if network.port(health["id"]).device_id == surrogate_id:
            compute.detach_port(surrogate_id, health["id"])
        ports.free(self.ctx, health["id"])

    def revert(
        self, surrogate_id: str, health: dict[str, Any], **_: object
    ) -> dict[str, Any] | None:
        return undo(self, self._plug_in, surrogate_id, health["id"])

    def _plug_in(self, surrogate_id: str, port_id: str) -> None:
        if not exists(self.ctx, surrogate_id):
            return
        if self.ctx.cloud.network.port(port_id).device_id != surrogate_id:
            self.ctx.cloud.compute.attach_port(surrogate_id, port_id)
        waiting.port_active(self.ctx, port_id)


def holders_of(ctx: Context, volume_id: str) -> set[str]:
    """Return the ids of the servers that a volume is attached to, once it is at rest."""
    return {one.server_id for one in volumes.at_rest(ctx, volume_id).attachments}


def delete_volume(ctx: Context, volume_id: str) -> None:
    """Delete a volume that nobody holds any more, and wait until it is gone."""
    cinder = ctx.cloud.volumes

    def status() -> str:
        try:
            return cinder.volume(volume_id).status
        except errors.NotFound:
            return ""

    def settled() -> str:
        return wait.until(
            ctx.cloud.clock,
            f"volume {volume_id} to be free",
            status,
            lambda now: now in ("", "available", "deleting") or now.startswith("error"),
            deadline_s=ctx.settings.image_s,
        )

    if settled() not in ("", "deleting"):
        cinder.delete(volume_id)
    wait.until(
        ctx.cloud.clock,
        f"volume {volume_id} to be gone",
        status,
        lambda now: not now,
        lambda now: "it cannot be deleted" if now == "error_deleting" else None,
        deadline_s=ctx.settings.volume_s,
    )
