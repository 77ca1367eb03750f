"""The steps of a re-creation that no other capability needs: replace, delete, rebuild."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps import creating, keys, ports, servers, waiting
from upgrade_flows.steps.base import Context, Step, note, residue, undo


class DeleteOriginal(Step):
    """Delete a stopped server whose disk, volumes and ports its replacement takes over.

    Refuses unless every port is released, every volume kept and, for a local root disk, its
    snapshot active.  Done when the server is gone and its volumes are free.

    Reverted by rebuilding the server from its record: the same disk, volumes, ports and
    properties, but a new UUID, which is reported.  A second attempt finds what the first one
    rebuilt by this step's tag and, once that is off, as the server that holds the ports.
    """

    def __init__(self, ctx: Context, subject: str, host: str, flavor_id: str) -> None:
        super().__init__(ctx, subject)
        self.host = host
        self.flavor_id = flavor_id

    def execute(self, before: dict[str, Any], boot_source: dict[str, Any]) -> None:
        if self._exists():
            self._check_nothing_is_lost(boot_source)
            self.ctx.cloud.compute.delete(self.subject)
            waiting.gone(self.ctx, self.subject)
        for volume in before["identity"]["volumes"]:
            waiting.volume_is(self.ctx, volume["volume_id"], "available")

    def revert(
        self, before: dict[str, Any], boot_source: dict[str, Any], **_: object
    ) -> dict[str, Any] | None:
        try:
            if self._exists():
                return None
            rebuilt = self._rebuild(before, boot_source)
        except errors.UpgradeFlowsError as exc:
            return residue(self, self.ctx.cloud.compute.create, (self.subject,), exc)
        snapshot = boot_source.get("image")
        said = (
            f"the server was rebuilt as {rebuilt}, with all that belongs to it; its UUID and the"
            " user that Nova names as its creator could not be kept"
            + (f", and its image is the snapshot {snapshot}" if snapshot else "")
        )
        left = [note(self, said), ports.in_another_mode(self, before)]
        return {"residue": [item["residue"] for item in left if item], "rebuilt": rebuilt}

    def _exists(self) -> bool:
        """Whether the original is there, waiting for a deletion that is under way."""
        try:
            server = self.ctx.cloud.compute.server(self.subject)
            if server.task_state == "deleting":
                waiting.gone(self.ctx, self.subject)
                return False
            if server.task_state is not None:
                server = waiting.quiet(self.ctx, self.subject)
        except errors.NotFound:
            return False
        return server.status not in ("DELETED", "SOFT_DELETED")

    def _check_nothing_is_lost(self, boot_source: dict[str, Any]) -> None:
        cloud = self.ctx.cloud
        held = [f"port {port.id}" for port in cloud.network.ports(device_id=self.subject)]
        doomed = [
            f"volume {volume.volume_id}"
            for volume in cloud.compute.attachments(self.subject)
            if volume.delete_on_termination
        ]
        image = boot_source.get("image")
        if image and cloud.images.image(image).status != "active":
            doomed.append(f"the root disk (image {image} is not active)")
        if held or doomed:
            raise errors.StepFailed(
                f"deleting server {self.subject} would lose {', '.join(held + doomed)}"
            )

    def _rebuild(self, before: dict[str, Any], boot_source: dict[str, Any]) -> str:
        found = self._rebuilt_before(before)
        if found is not None:
            return found
        try:
            rebuilt = adopt_or_create(self, before, boot_source, self.flavor_id, self.host)
        except errors.StepFailed:
            # its host will not have it back: better elsewhere than nowhere
            self._delete_failed()
            rebuilt = adopt_or_create(self, before, boot_source, self.flavor_id, None)
        servers.restore_power(self.ctx, rebuilt.id, before["identity"]["status"])
        for volume in before["identity"]["volumes"]:
            set_flag = self.ctx.cloud.compute.set_delete_on_termination
            if volume["delete_on_termination"]:
                set_flag(rebuilt.id, volume["volume_id"], True)
        # the tag goes last: what bears it is not finished
        self.ctx.cloud.compute.set_tags(rebuilt.id, creating.tags_of(self, before["identity"]))
        return rebuilt.id

    def _delete_failed(self) -> None:
        for server in list(self.ctx.cloud.compute.servers(tag=self.short_tag)):
            self.ctx.cloud.compute.delete(server.id)
            waiting.gone(self.ctx, server.id)

    def _rebuilt_before(self, before: dict[str, Any]) -> str | None:
        """Return the server that an earlier attempt has rebuilt to the end, or None.

        A replacement that could not be deleted holds the ports too, but bears its own tag.
        """
        cloud = self.ctx.cloud
        holders = {cloud.network.port(port_id).device_id for port_id in before["ports"]}
        for held in before["identity"]["volumes"]:
            attachments = cloud.volumes.volume(held["volume_id"]).attachments
            holders |= {attachment.server_id for attachment in attachments}
        holders.discard("")
        if len(holders) != 1:
            return None
        try:
            server = cloud.compute.server(holders.pop())
        except errors.NotFound:
            return None
        ours = {self.short_tag, replacement_tag(self.ctx, self.subject)}
        if ours & set(server.tags) or server.status not in ("ACTIVE", "SHUTOFF"):
            return None
        return server.id


class CreateReplacement(Step):
    """Create the replacement from the recorded identity, on the original's ports and volumes.

    It bears this step's tag until it is proven: a second attempt, after a crash, adopts it.
    Done when it is ACTIVE on the host it was meant for.  Provides the ``replacement_id``.

    Reverted by deleting it; its ports and volumes survive, because it did not make them.
    """

    default_provides = "replacement_id"

    def __init__(self, ctx: Context, subject: str, host: str, flavor_id: str) -> None:
        super().__init__(ctx, subject)
        self.host = host
        self.flavor_id = flavor_id

    def execute(self, before: dict[str, Any], boot_source: dict[str, Any]) -> str:
        server = adopt_or_create(self, before, boot_source, self.flavor_id, self.host)
        if server.host != self.host:
            raise errors.StepFailed(
                f"replacement {server.id} of {self.subject} is on {server.host}, not on {self.host}"
            )
        return server.id

    def revert(self, before: dict[str, Any], result: Any = None, **_: object) -> Any:
        left = [undo(self, keys.give_back, self, before["identity"]["key_name"])]
        ids = {server.id for server in self.ctx.cloud.compute.servers(tag=self.short_tag)}
        if isinstance(result, str):
            ids.add(result)
        left += [undo(self, self._delete, server_id, before) for server_id in sorted(ids)]
        return next((item for item in left if item), None)

    def _delete(self, server_id: str, before: dict[str, Any]) -> None:
        compute = self.ctx.cloud.compute
        server = compute.server(server_id)
        if server.locked:
            compute.unlock(server_id)
        for volume in compute.attachments(server_id):
            if volume.delete_on_termination:
                compute.set_delete_on_termination(server_id, volume.volume_id, False)
        compute.delete(server_id)
        waiting.gone(self.ctx, server_id)
        for volume_plain in before["identity"]["volumes"]:
            waiting.volume_is(self.ctx, volume_plain["volume_id"], "available")
        for port_id in before["ports"]:
            ports.free(self.ctx, port_id)


class RestorePower(Step):
    """Bring the replacement to the power state of its original.

    Provides since when it is up.  Needs no revert: the replacement is deleted by its own step.
    """

    default_provides = "up_since"

    def execute(self, before: dict[str, Any], replacement_id: str) -> float | None:
        status = before["identity"]["status"]
        now = self.ctx.cloud.clock.time()
        servers.restore_power(self.ctx, replacement_id, status)
        return now if status == "ACTIVE" else None


class DropTag(Step):
    """Take our tag off the replacement, which leaves it with the tags of its original.

    Reverted by putting it on again.
    """

    def execute(self, before: dict[str, Any], replacement_id: str) -> None:
        self.ctx.cloud.compute.set_tags(replacement_id, creating.tags_of(self, before["identity"]))

    def revert(
        self, before: dict[str, Any], replacement_id: str, **_: object
    ) -> dict[str, Any] | None:
        mark = replacement_tag(self.ctx, self.subject)
        tags = (*creating.tags_of(self, before["identity"]), mark)
        return undo(self, self.ctx.cloud.compute.set_tags, replacement_id, tags)


def replacement_tag(ctx: Context, subject: str) -> str:
    """Return the tag that the replacement of a server bears until it is proven."""
    return CreateReplacement(ctx, subject, "", "").short_tag


def adopt_or_create(
    step: Step,
    before: dict[str, Any],
    boot_source: dict[str, Any],
    flavor_id: str,
    host: str | None,
) -> Server:
    """Find the server that bears the step's tag, or create it on its own ports and volumes.

    :param host: where to; None leaves it to the scheduler.
    :raises StepFailed: it went to ERROR; the message holds Nova's fault.
    """
    identity = before["identity"]
    return creating.adopt_or_create(
        step,
        identity,
        lambda: creating.new_server(
            step,
            before,
            flavor_id,
            host,
            boot_image=boot_source.get("image"),
            volumes=tuple(map(creating.without_flag, creating.volumes_of(identity))),
            ports=tuple(port["id"] for port in identity["ports"]),
            server_group=identity["server_group"],
        ),
    )
