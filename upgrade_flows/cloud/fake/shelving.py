"""Nova's calls that take a server off its host and bring it back: shelve and unshelve."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.fake import binding, scheduler
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import (
    begin,
    finishes,
    place,
    ready,
    rebind,
    record,
    states,
    taken_by,
    volume_backed,
)
from upgrade_flows.cloud.fake.records import Operation
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Image


class Shelving(Base):
    """Shelve and unshelve."""

    def shelve(self, server_id: str) -> None:
        """Shelve a server; one with a root disk of its own is kept as an image meanwhile."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "shelve", "ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")
        action = record(world, server_id, "shelve")
        if volume_backed(instance):
            world.set_server(server_id, task_state="shelving_offloading")
            begin(
                world,
                self._faults,
                "compute.shelve",
                server_id,
                action,
                seconds=world.durations["compute.offload"],
            )
            return
        instance.shelved_image = world.new_id("image")
        world.images[instance.shelved_image] = Image(
            id=instance.shelved_image,
            name=f"{instance.server.name}-shelved",
            status="queued",
            owner=instance.server.project_id,
        )
        world.set_server(server_id, task_state="shelving_image_uploading")
        begin(world, self._faults, "compute.shelve", server_id, action)

    def offload(self, server_id: str) -> None:
        """Free the host of a shelved server."""
        world = self._world
        ready(world.instance(server_id), "shelveOffload", "SHELVED")
        action = record(world, server_id, "shelveOffload")
        world.set_server(server_id, task_state="shelving_offloading")
        begin(world, self._faults, "compute.offload", server_id, action)

    def unshelve(self, server_id: str, host: str | None) -> None:
        """Bring a shelved server back; it runs then, whatever it did before."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "unshelve", "SHELVED", "SHELVED_OFFLOADED")
        if instance.server.status == "SHELVED":
            if host is not None:
                raise errors.Conflict("a host may be named only for an offloaded server")
            destination: str | None = instance.server.host
        else:
            if host is not None and host not in world.hosts:
                raise errors.Conflict(f"Compute host {host} could not be found.")
            taken = taken_by(instance)
            destination = scheduler.pick(
                world,
                taken,
                host,
                instance.server.pinned_availability_zone,
                world.group_of.get(server_id),
                server_id,
            )
            if destination:
                world.allocate(server_id, destination, taken)
        action = record(world, server_id, "unshelve")
        world.set_server(server_id, task_state="spawning" if destination else "unshelving")
        begin(
            world,
            self._faults,
            "compute.unshelve",
            server_id,
            action,
            seconds=None if destination else 0.5,
            destination=destination or "",
        )


@finishes("compute.shelve")
def _shelved(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    image = world.images.get(instance.shelved_image)
    if image is not None:
        world.images[image.id] = dataclasses.replace(
            image, status="active", size=instance.root_bytes, disk_format="qcow2"
        )
    if volume_backed(instance) or world.shelved_offload_time == 0:
        return _offloaded(world, operation)
    world.set_server(server_id, **states("SHELVED"))
    return ""


@finishes("compute.offload")
def _offloaded(world: World, operation: Operation) -> str:
    """Free the host: ports lose their binding, and keep their owner and DNS name."""
    server_id = operation.subject
    instance = world.instance(server_id)
    for nic in instance.nics:
        if nic.port_id in world.ports:
            binding.unbind(world, nic.port_id)
    world.free(server_id)
    world.set_server(
        server_id,
        **states("SHELVED_OFFLOADED"),
        host="",
        hypervisor_hostname="",
        availability_zone="",
    )
    return ""


@finishes("compute.unshelve")
def _unshelved(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    destination = operation.args["destination"]
    if not destination:
        world.set_server(server_id, task_state=None, fault=scheduler.NO_VALID_HOST)
        return scheduler.NO_VALID_HOST
    if destination != instance.server.host:
        place(world, server_id, destination)
        rebind(world, instance, destination)
    world.set_server(server_id, **states("ACTIVE"))
    world.images.pop(instance.shelved_image, None)
    instance.shelved_image = ""
    return ""
