"""Nova's calls that keep a server where it is: power, lock, delete, tags, name."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.fake import binding, transfers
from upgrade_flows.cloud.fake.faults import Faults
from upgrade_flows.cloud.fake.operations import (
    begin,
    finishes,
    ready,
    record,
    refresh_nics,
    states,
)
from upgrade_flows.cloud.fake.records import Nic, Operation
from upgrade_flows.cloud.fake.world import World


class Base:
    """What every part of a fake service has."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults


class Lifecycle(Base):
    """Power, lock, delete, tags and name of a server."""

    def delete(self, server_id: str) -> None:
        """Delete a server in any state; a second call while it is going is accepted."""
        instance = self._world.instance(server_id)
        if instance.server.task_state == "deleting":
            return
        action = record(self._world, server_id, "delete")
        self._world.set_server(server_id, task_state="deleting")
        kept = [nic.port_id for nic in instance.nics if nic.preserve_on_delete]
        begin(self._world, self._faults, "compute.delete", server_id, action, kept=kept)

    def stop(self, server_id: str) -> None:
        """Power a server off."""
        instance = self._world.instance(server_id)
        ready(instance, "stop", "ACTIVE", "ERROR", "PAUSED", "RESCUE")
        action = record(self._world, server_id, "stop")
        self._world.set_server(server_id, task_state="powering-off")
        begin(self._world, self._faults, "compute.stop", server_id, action)

    def start(self, server_id: str) -> None:
        """Power a server on; its network information is read anew, its ports plugged anew."""
        instance = self._world.instance(server_id)
        ready(instance, "start", "SHUTOFF")
        action = record(self._world, server_id, "start")
        self._world.set_server(server_id, task_state="powering-on")
        begin(self._world, self._faults, "compute.start", server_id, action)

    def pause(self, server_id: str) -> None:
        """Stop the guest's processors."""
        instance = self._world.instance(server_id)
        ready(instance, "pause", "ACTIVE")
        action = record(self._world, server_id, "pause")
        self._world.set_server(server_id, task_state="pausing")
        begin(self._world, self._faults, "compute.pause", server_id, action)

    def unpause(self, server_id: str) -> None:
        """Let a paused guest go on."""
        instance = self._world.instance(server_id)
        ready(instance, "unpause", "PAUSED")
        action = record(self._world, server_id, "unpause")
        self._world.set_server(server_id, task_state="unpausing")
        begin(self._world, self._faults, "compute.unpause", server_id, action)

    def lock(self, server_id: str, reason: str) -> None:
        """Lock a server; it informs, and stops no administrator."""
        self._world.instance(server_id)
        record(self._world, server_id, "lock", finished=True)
        self._world.set_server(server_id, locked=True, locked_reason=reason or None)

    def unlock(self, server_id: str) -> None:
        """Unlock a server."""
        self._world.instance(server_id)
        record(self._world, server_id, "unlock", finished=True)
        self._world.set_server(server_id, locked=False, locked_reason=None)

    def refresh_port(self, server_id: str, port_id: str) -> None:
        """Bring the network info cache into line with who holds the port now."""
        instance = self._world.instance(server_id)
        port = self._world.ports.get(port_id)
        known = any(nic.port_id == port_id for nic in instance.nics)
        if port is None or port.device_id != server_id:
            instance.nics = [nic for nic in instance.nics if nic.port_id != port_id]
        elif not known:
            instance.nics.append(Nic(port_id))

    def set_tags(self, server_id: str, tags: tuple[str, ...]) -> None:
        """Replace the tags of a server.

        :raises Conflict: a tag is longer than 60 characters, or holds a slash or comma.
        """
        self._world.instance(server_id)
        for tag in tags:
            if not 0 < len(tag) <= 60 or "/" in tag or "," in tag:
                raise errors.Conflict(f"Invalid input for field/attribute tags. Value: {tag!r}")
        self._world.set_server(server_id, tags=tuple(tags))

    def rename(self, server_id: str, name: str) -> None:
        """Change the display name; the hostname stays."""
        self._world.instance(server_id)
        self._world.set_server(server_id, name=name)


@finishes("compute.stop")
def _stopped(world: World, operation: Operation) -> str:
    world.set_server(operation.subject, **states("SHUTOFF"))
    return ""


@finishes("compute.pause")
def _paused(world: World, operation: Operation) -> str:
    world.set_server(operation.subject, **states("PAUSED"))
    return ""


@finishes("compute.unpause")
def _unpaused(world: World, operation: Operation) -> str:
    world.set_server(operation.subject, **states("ACTIVE"))
    return ""


@finishes("compute.start")
def _started(world: World, operation: Operation) -> str:
    instance = world.instance(operation.subject)
    refresh_nics(world, instance)
    for nic in instance.nics:
        port = world.ports[nic.port_id]
        if not binding.bound(port) or port.binding_host != instance.server.host:
            failure = f"Virtual Interface creation failed: port {port.id} is not bound here"
            world.set_server(operation.subject, **states("SHUTOFF"), fault=failure)
            return failure
    world.set_server(operation.subject, **states("ACTIVE"))
    return ""


@finishes("compute.delete")
def _deleted(world: World, operation: Operation) -> str:
    """Let go of ports and volumes as nova-compute does.

    Ports are looked at twice: those that the info cache called pre-existing when the deletion
    was asked for are unbound *whoever holds them by now*; those that Neutron shows as this
    server's and that Nova made are deleted.  A port whose owner was cleared is not found by the
    second look.
    """
    server_id = operation.subject
    instance = world.instance(server_id)
    kept = set(operation.args["kept"])
    if world.refreshes_info_cache:
        refresh_nics(world, instance)
        kept = {nic.port_id for nic in instance.nics if nic.preserve_on_delete}
    transfers.drop(world, server_id, operation.due)
    for port_id in kept & world.ports.keys():
        binding.release(world, port_id)
    for port_id in list(world.ports_of.get(server_id, {})):
        world.drop_port(port_id)
    for held in instance.volumes:
        volume = world.volumes.get(held.volume_id)
        if volume is None:
            continue
        left = tuple(item for item in volume.attachments if item.server_id != server_id)
        if held.delete_on_termination and not left and not world.has_snapshots(volume.id):
            del world.volumes[volume.id]
            continue
        status = "in-use" if left else "available"
        world.volumes[volume.id] = dataclasses.replace(volume, status=status, attachments=left)
    if instance.shelved_image:
        world.images.pop(instance.shelved_image, None)
    world.managed.pop(server_id, None)
    world.drop_instance(server_id)
    return ""
