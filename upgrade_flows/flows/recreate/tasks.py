"""The steps of a re-creation that no other capability needs: replace, delete, rebuild."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewServer
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import AttachedVolume, Server
from upgrade_flows.steps import ports, servers, waiting
from upgrade_flows.steps.base import Context, Step, residue, undo


class ImportKeypair(Step):
    """Import the owner's public key under our own user, so that Nova finds its name.

    Nova looks a key up by the user who creates the server.  A key of that name that we had
    already must be the same one, and is left alone.  Reverted by deleting what we imported,
    which bears this step's tag as its comment.
    """

    def execute(self, before: dict[str, Any]) -> None:
        identity = before["identity"]
        compute = self.ctx.cloud.compute
        name, owner, own = identity["key_name"], identity["user_id"], compute.own_user_id()
        if not name or owner == own:
            return
        public = compute.public_key(owner, name)
        if name in compute.keypairs(own):
            if _key(compute.public_key(own, name)) != _key(public):
                raise errors.StepFailed(
                    f"our user has another key called {name}: rename or delete it first"
                )
            return
        compute.import_keypair(name, f"{_key(public)} {self.short_tag}")

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        name = before["identity"]["key_name"]
        return undo(self, self._delete, name) if name else None

    def _delete(self, name: str) -> None:
        compute = self.ctx.cloud.compute
        own = compute.own_user_id()
        ours = name in compute.keypairs(own) and self.short_tag in compute.public_key(own, name)
        if ours:
            compute.delete_keypair(name)


class DeleteKeypair(Step):
    """Delete the key that was imported for the re-creation.

    Part of ``settle``, which is only retried.
    """

    def __init__(self, ctx: Context, subject: str, name: str) -> None:
        super().__init__(ctx, subject)
        self.key_name = name

    def execute(self) -> None:
        compute = self.ctx.cloud.compute
        own = compute.own_user_id()
        if self.key_name not in compute.keypairs(own):
            return
        mark = ImportKeypair(self.ctx, self.subject).short_tag
        if mark in compute.public_key(own, self.key_name):
            compute.delete_keypair(self.key_name)


class DeleteOriginal(Step):
    """Delete a stopped server whose root volume its replacement boots from.

    Nova does not detach a root volume, so the original cannot be parked.  Refuses unless every
    port is released and every volume is kept.  Done when the server is gone and its volumes
    are free.

    Reverted by rebuilding the server from its record: the same volumes, ports and properties,
    but a new UUID, which is reported.
    """

    def __init__(self, ctx: Context, subject: str, host: str, flavor_id: str) -> None:
        super().__init__(ctx, subject)
        self.host = host
        self.flavor_id = flavor_id

    def execute(self, before: dict[str, Any]) -> None:
        compute = self.ctx.cloud.compute
        try:
            server = waiting.quiet(self.ctx, self.subject)
        except errors.NotFound:
            server = None
        if server is not None and server.status not in ("DELETED", "SOFT_DELETED"):
            self._check_nothing_is_lost()
            compute.delete(self.subject)
            waiting.gone(self.ctx, self.subject)
        for volume in before["identity"]["volumes"]:
            waiting.volume_is(self.ctx, volume["volume_id"], "available")

    def _check_nothing_is_lost(self) -> None:
        held = [port.id for port in self.ctx.cloud.network.ports(device_id=self.subject)]
        doomed = [
            volume.volume_id
            for volume in self.ctx.cloud.compute.attachments(self.subject)
            if volume.delete_on_termination
        ]
        if held or doomed:
            raise errors.StepFailed(
                f"deleting server {self.subject} would lose {', '.join(held + doomed)}"
            )

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        try:
            rebuilt = self._rebuild(before)
        except errors.UpgradeFlowsError as exc:
            return residue(self, self.ctx.cloud.compute.create, (self.subject,), exc)
        if rebuilt is None:
            return None
        why = errors.StepFailed(
            f"the server was rebuilt as {rebuilt}, with all that belongs to it; its UUID and"
            " the user that Nova names as its creator could not be kept"
        )
        return residue(self, self._rebuild, (), why) | {"rebuilt": rebuilt}

    def _rebuild(self, before: dict[str, Any]) -> str | None:
        try:
            server = waiting.quiet(self.ctx, self.subject)
            if server.status not in ("DELETED", "SOFT_DELETED"):
                return None
        except errors.NotFound:
            pass
        except errors.StepFailed:
            return None
        source = {"volumes": True}
        rebuilt = adopt_or_create(self, before, source, self.flavor_id, self.host)
        servers.restore_power(self.ctx, rebuilt.id, before["identity"]["status"])
        for volume in before["identity"]["volumes"]:
            set_flag = self.ctx.cloud.compute.set_delete_on_termination
            if volume["delete_on_termination"]:
                set_flag(rebuilt.id, volume["volume_id"], True)
        self.ctx.cloud.compute.set_tags(rebuilt.id, tuple(before["identity"]["tags"]))
        return rebuilt.id


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
        ids = {server.id for server in self.ctx.cloud.compute.servers(tag=self.short_tag)}
        if isinstance(result, str):
            ids.add(result)
        left = [undo(self, self._delete, server_id, before) for server_id in sorted(ids)]
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
        self.ctx.cloud.compute.set_tags(replacement_id, tuple(before["identity"]["tags"]))

    def revert(
        self, before: dict[str, Any], replacement_id: str, **_: object
    ) -> dict[str, Any] | None:
        mark = CreateReplacement(self.ctx, self.subject, "", "").short_tag
        tags = (*before["identity"]["tags"], mark)
        return undo(self, self.ctx.cloud.compute.set_tags, replacement_id, tags)


def adopt_or_create(
    step: Step, before: dict[str, Any], boot_source: dict[str, Any], flavor_id: str, host: str
) -> Server:
    """Find the server that bears the step's tag, or create it; wait until it is ACTIVE.

    :raises StepFailed: it went to ERROR; the message holds Nova's fault.
    """
    compute = step.ctx.cloud.compute
    found = list(compute.servers(tag=step.short_tag))
    if found:
        server_id = found[0].id
    else:
        new = new_server(step, before, boot_source, flavor_id, host)
        server_id = compute.create(new)
    waiting.reaches(step.ctx, server_id, "ACTIVE", "SHUTOFF", deadline_s=step.ctx.settings.image_s)
    return compute.server(server_id)


def new_server(
    step: Step, before: dict[str, Any], boot_source: dict[str, Any], flavor_id: str, host: str
) -> NewServer:
    """Work out what to create from a recorded identity.

    Delete flags stay off until the replacement is proven, so that no undo can delete a volume.
    """
    identity = before["identity"]
    volumes = sorted(
        (codec.from_plain(AttachedVolume, plain) for plain in identity["volumes"]),
        key=lambda volume: (volume.boot_index is None, volume.device),
    )
    return NewServer(
        name=identity["name"],
        project_id=identity["project_id"],
        flavor_id=flavor_id,
        ports=tuple(port["id"] for port in identity["ports"]),
        host=host,
        boot_image=boot_source.get("image"),
        volumes=tuple(
            AttachedVolume(
                volume_id=volume.volume_id,
                device=volume.device,
                boot_index=volume.boot_index,
                tag=volume.tag,
            )
            for volume in volumes
        ),
        availability_zone=identity["pinned_availability_zone"],
        description=identity["description"],
        hostname=identity["hostname"],
        key_name=identity["key_name"],
        user_data=step.ctx.vault.open(before["user_data"]),
        config_drive=identity["config_drive"],
        metadata=identity["metadata"],
        tags=(*identity["tags"], step.short_tag),
        server_group=identity["server_group"],
        disk_config=identity["disk_config"],
        trusted_image_certificates=tuple(identity["trusted_image_certificates"]),
    )


def _key(public: str) -> str:
    """Return the type and the key of a public key's line, without its comment."""
    return " ".join(public.split()[:2])
