"""Create a server from a recorded identity, or find the one that an earlier attempt created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upgrade_flows.cloud.api import NewServer
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import AttachedVolume, Server, owner_tags
from upgrade_flows.steps import keys, waiting
from upgrade_flows.steps.base import Step


def adopt_or_create(step: Step, identity: dict[str, Any], new: Callable[[], NewServer]) -> Server:
    """Find the server that bears the step's tag, or create it; wait until it is ACTIVE.

    :param identity: the recorded one, whose owner and key it gets.
    :param new: says what to create; asked only if there is none.
    :raises StepFailed: it went to ERROR; the message holds Nova's fault.
    """
    server_id = adopted(step, identity)
    return up(step, create(step, identity, new()) if server_id is None else server_id)


def adopted(step: Step, identity: dict[str, Any]) -> str | None:
    """Return the server that bears the step's tag; None: no earlier attempt has created it."""
    found = list(step.ctx.cloud.compute.servers(tag=step.short_tag))
    if not found:
        return None
    keys.give_back(step, identity["key_name"])
    return found[0].id


def create(step: Step, identity: dict[str, Any], new: NewServer) -> str:
    """Create a server that bears the step's tag, and return its id; nobody waits for it here."""
    with keys.borrowed(step, owner_of(identity), identity["key_name"]):
        return step.ctx.cloud.compute.create(new)


def owner_of(identity: dict[str, Any]) -> str:
    """Return the user whose key an instance of that identity has."""
    return str(identity.get("owner_id") or identity["user_id"])


def tags_of(step: Step, identity: dict[str, Any]) -> tuple[str, ...]:
    """Return the tags of a server that we create with a recorded identity.

    Nova will name us as its creator, and looks keys up by that; so one more tag says whose it is.
    """
    owner, tags = owner_of(identity), tuple(identity["tags"])
    if owner == step.ctx.cloud.compute.own_user_id():
        return tags
    return (*tags, *owner_tags(owner))


def up(step: Step, server_id: str) -> Server:
    """Wait until a server that was created is ACTIVE, and return it.

    :raises StepFailed: it went to ERROR; the message holds Nova's fault.
    """
    return waiting.reaches(
        step.ctx, server_id, "ACTIVE", "SHUTOFF", deadline_s=step.ctx.settings.image_s
    )


def volumes_of(identity: dict[str, Any]) -> tuple[AttachedVolume, ...]:
    """Return the recorded volumes, the root disk first, then by device."""
    return tuple(
        sorted(
            (codec.from_plain(AttachedVolume, plain) for plain in identity["volumes"]),
            key=lambda volume: (volume.boot_index is None, volume.device),
        )
    )


def without_flag(volume: AttachedVolume) -> AttachedVolume:
    """Return a volume as it is attached until all is proven: no undo of ours may delete it."""
    return AttachedVolume(
        volume_id=volume.volume_id,
        device=volume.device,
        boot_index=volume.boot_index,
        tag=volume.tag,
    )


def new_server(
    step: Step,
    before: dict[str, Any],
    flavor_id: str,
    host: str | None,
    *,
    boot_image: str | None,
    volumes: tuple[AttachedVolume, ...],
    ports: tuple[str, ...],
    name: str | None = None,
    server_group: str | None = None,
) -> NewServer:
    """Work out what to create from a recorded identity; it bears the step's tag.

    :param name: another than the recorded one.
    :param host: where to; None leaves it to the scheduler.
    """
    identity = before["identity"]
    return NewServer(
        name=name or identity["name"],
        project_id=identity["project_id"],
        flavor_id=flavor_id,
        ports=ports,
        host=host,
        boot_image=boot_image,
        volumes=volumes,
        availability_zone=identity["pinned_availability_zone"],
        description=identity["description"],
        hostname=identity["hostname"],
        key_name=identity["key_name"],
        user_data=step.ctx.vault.open(before["user_data"]),
        config_drive=identity["config_drive"],
        metadata=identity["metadata"],
        tags=(*tags_of(step, identity), step.short_tag),
        server_group=server_group,
        disk_config=identity["disk_config"],
        trusted_image_certificates=tuple(identity["trusted_image_certificates"]),
    )
