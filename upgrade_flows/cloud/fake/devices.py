"""Nova's calls about what is plugged into a server, and its snapshot."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.creating import attach, detach, free_device, take_port
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import BREAK, begin, finishes, ready, record
from upgrade_flows.cloud.fake.records import Instance, Nic, Operation
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import AttachedVolume, Image

_PLUGGABLE = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "VERIFY_RESIZE")
#: Nova takes such calls for a paused guest too, which then never acknowledges: refused at once
_UNPLUGGABLE = ("ACTIVE", "SHUTOFF", "SUSPENDED", "VERIFY_RESIZE")


class Devices(Base):
    """Volumes, ports and snapshots of a server."""

    def create_image(self, server_id: str, name: str) -> str:
        """Snapshot a server's root disk.

        The image is ``queued``, then ``saving``, then ``active`` with its size.  A server
        that boots from a volume gets an image of no bytes at once: what Cinder holds is only
        referred to.
        """
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "createImage", "ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")
        closed = instance.server.project_id in world.closed_projects
        image_id = world.new_id("image")
        image = Image(
            id=image_id,
            name=name,
            status="queued",
            owner=world.own_project_id if closed else instance.server.project_id,
            min_disk=instance.server.flavor.disk_gb,
            properties={"instance_uuid": server_id, "image_type": "snapshot"},
        )
        if any(held.boot_index == 0 for held in instance.volumes):
            properties = {**image.properties, "bdm_v2": "True", "block_device_mapping": "[]"}
            world.images[image_id] = dataclasses.replace(
                image, status="active", size=0, properties=properties
            )
            record(world, server_id, "createImage", finished=True)
            return image_id
        world.images[image_id] = image
        action = record(world, server_id, "createImage")
        world.set_server(server_id, task_state="image_snapshot")
        begin(
            world,
            self._faults,
            "compute.create_image/saving",
            server_id,
            seconds=world.durations["compute.create_image"] / 3,
            image=image_id,
        )
        begin(world, self._faults, "compute.create_image", server_id, action, image=image_id)
        return image_id

    def attach_volume(self, server_id: str, volume: AttachedVolume) -> None:
        """Attach a volume; the device is a hint that holds while it is free."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "attach_volume", *_PLUGGABLE, "SHELVED", "SHELVED_OFFLOADED")
        stored = world.volume(volume.volume_id)
        if any(held.volume_id == stored.id for held in instance.volumes):
            raise errors.Conflict(f"volume {stored.id} already attached to {server_id}")
        if stored.status != "available" and not (stored.multiattach and stored.status == "in-use"):
            raise errors.Conflict(
                f"Invalid volume: volume {stored.id} status must be 'available', "
                f"currently in '{stored.status}' status"
            )
        held = dataclasses.replace(
            volume, device=free_device(instance.volumes, volume.device), boot_index=None
        )
        instance.volumes.append(held)
        attach(world, server_id, held, "attaching")
        action = record(world, server_id, "attach_volume")
        begin(world, self._faults, "compute.attach_volume", server_id, action, volume=stored.id)

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """Detach a volume that is not the root disk."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "detach_volume", *_UNPLUGGABLE)
        held = _held(instance, volume_id)
        if held.boot_index == 0:
            raise errors.Conflict("Cannot detach a root device volume")
        stored = world.volume(volume_id)
        if stored.status != "in-use":
            raise errors.Conflict(
                f"Invalid volume: Invalid input received: volume {volume_id} is {stored.status}"
            )
        world.volumes[volume_id] = dataclasses.replace(stored, status="detaching")
        world.touch_volume(volume_id)
        action = record(world, server_id, "detach_volume")
        begin(world, self._faults, "compute.detach_volume", server_id, action, volume=volume_id)

    def set_delete_on_termination(self, server_id: str, volume_id: str, delete: bool) -> None:
        """Say whether a volume goes with its server."""
        instance = self._world.instance(server_id)
        held = _held(instance, volume_id)
        place = instance.volumes.index(held)
        instance.volumes[place] = dataclasses.replace(held, delete_on_termination=delete)

    def attach_port(self, server_id: str, port_id: str) -> None:
        """Attach an existing port, as the last one; it is bound to the server's host."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "attach_interface", "ACTIVE", "SHUTOFF", "PAUSED")
        port = world.port(port_id)
        if port.device_id:
            raise errors.Conflict(f"Port {port_id} is still in use.")
        if port.project_id != instance.server.project_id:
            raise errors.Conflict(f"Port {port_id} not usable for instance {server_id}.")
        if port.dns_name not in ("", instance.server.hostname):
            raise errors.Unavailable(  # Nova forgets to translate this one, and answers 500
                f"Port {port_id} not usable: DNS name {port.dns_name} is not "
                f"{instance.server.hostname}"
            )
        if port_id in world.vifs:
            raise errors.Conflict(f"Failed to attach port {port_id}: Nova has a record of it")
        world.vifs[port_id] = server_id
        record(world, server_id, "attach_interface", finished=True)
        instance.nics = [nic for nic in instance.nics if nic.port_id != port_id]
        instance.nics.append(Nic(port_id, preserve_on_delete=True))
        take_port(world, instance.server, port_id)

    def detach_port(self, server_id: str, port_id: str) -> None:
        """Detach a port: one that Nova made is deleted, another is unbound and of nobody.

        Nova's network info cache still has the latter for a while.
        """
        instance = self._world.instance(server_id)
        ready(instance, "detach_interface", "ACTIVE", "SHUTOFF")
        action = record(self._world, server_id, "detach_interface")
        begin(self._world, self._faults, "compute.detach_port", server_id, action, port=port_id)


def _held(instance: Instance, volume_id: str) -> AttachedVolume:
    for held in instance.volumes:
        if held.volume_id == volume_id:
            return held
    raise errors.NotFound(
        f"volume_id not found: {volume_id} is not attached to {instance.server.id}"
    )


@finishes("compute.create_image/saving")
def _saving(world: World, operation: Operation) -> str:
    image = world.images.get(operation.args["image"])
    if image is not None:
        world.images[image.id] = dataclasses.replace(image, status="saving")
        world.set_server(operation.subject, task_state="image_uploading")
    return ""


@finishes("compute.create_image")
def _imaged(world: World, operation: Operation) -> str:
    world.set_server(operation.subject, task_state=None)
    image = world.images.get(operation.args["image"])
    if image is None:
        return "the image was deleted while it was saved"
    size = world.instance(operation.subject).root_bytes
    world.images[image.id] = dataclasses.replace(
        image, status="active", size=size, disk_format="qcow2"
    )
    return ""


def _break_image(world: World, operation: Operation) -> None:
    world.set_server(operation.subject, task_state=None)
    image = world.images.get(operation.args["image"])
    if image is not None:
        world.images[image.id] = dataclasses.replace(image, status=operation.broken)


BREAK["compute.create_image"] = _break_image


@finishes("compute.attach_volume")
def _attached(world: World, operation: Operation) -> str:
    volume = world.volumes.get(operation.args["volume"])
    if volume is not None:
        world.volumes[volume.id] = dataclasses.replace(volume, status="in-use")
    return ""


@finishes("compute.detach_volume")
def _detached(world: World, operation: Operation) -> str:
    instance = world.instance(operation.subject)
    volume_id = operation.args["volume"]
    instance.volumes = [held for held in instance.volumes if held.volume_id != volume_id]
    detach(world, operation.subject, volume_id)
    return ""


def _break_attach(world: World, operation: Operation) -> None:
    _detached(world, operation)


def _break_detach(world: World, operation: Operation) -> None:
    volume = world.volumes.get(operation.args["volume"])
    if volume is not None:
        world.volumes[volume.id] = dataclasses.replace(volume, status="in-use")


BREAK["compute.attach_volume"] = _break_attach
BREAK["compute.detach_volume"] = _break_detach


@finishes("compute.detach_port")
def _unplugged(world: World, operation: Operation) -> str:
    instance = world.instance(operation.subject)
    port_id = operation.args["port"]
    nic = next((one for one in instance.nics if one.port_id == port_id), None)
    if nic is None:
        return f"Port {port_id} is not attached"
    world.vifs.pop(port_id, None)
    if port_id in world.ports and nic.preserve_on_delete:
        binding.release(world, port_id)
        begin_forgetting(world, operation)
        return ""
    instance.nics.remove(nic)
    if port_id in world.ports:
        world.drop_port(port_id)
    return ""


def begin_forgetting(world: World, operation: Operation) -> None:
    """Schedule that Nova rewrites its network info cache, some time after the port has left."""
    due = operation.due + world.takes("compute.forget_port", operation.subject)
    world.schedule(
        Operation("compute.forget_port", operation.subject, operation.due, due, args=operation.args)
    )


@finishes("compute.forget_port")
def _forgotten(world: World, operation: Operation) -> str:
    instance, port_id = world.instance(operation.subject), operation.args["port"]
    port = world.ports.get(port_id)
    if port is None or port.device_id != operation.subject:
        instance.nics = [nic for nic in instance.nics if nic.port_id != port_id]
    return ""


def _break_unplug(world: World, operation: Operation) -> None:
    """Leave the port where it is: the guest did not let go of it."""


BREAK["compute.detach_port"] = _break_unplug
