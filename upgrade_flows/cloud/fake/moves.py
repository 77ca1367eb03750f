"""Nova's calls that move a server: cold migration, shelve and unshelve."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.api import Migration
from upgrade_flows.cloud.fake import binding, scheduler
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import (
    BREAK,
    begin,
    finishes,
    ready,
    rebind,
    record,
    states,
)
from upgrade_flows.cloud.fake.records import Instance, Move, Operation
from upgrade_flows.cloud.fake.world import World, resources
from upgrade_flows.model.inventory import Image


class Moves(Base):
    """Cold migration, shelve and unshelve."""

    def migrate(self, server_id: str, host: str | None) -> None:
        """Migrate a server cold.

        The answer says only that the call was understood: where no host will do, the server
        is back in its old state a moment later, and the action and the migration say why.
        """
        world = self._world
        instance = world.instance(server_id)
        server = instance.server
        ready(instance, "migrate", "ACTIVE", "SHUTOFF")
        if host == server.host:
            raise errors.Conflict(
                f"Cannot migrate instance {server_id} to the host where it is: {host}"
            )
        if host is not None and host not in world.hosts:
            raise errors.Conflict(f"Compute host {host} could not be found.")
        taken = _taken(instance)
        destination = scheduler.pick(
            world,
            taken,
            host,
            server.pinned_availability_zone,
            world.group_of.get(server_id),
            server_id,
            besides=server.host,
        )
        action = record(world, server_id, "migrate")
        world.migrations[server_id].append(
            Migration(
                id=world.new_id("migration"),
                status="migrating" if destination else "pre-migrating",
                kind="migration",
                source=server.host,
                destination=destination or host or "",
                created=world.timestamp(),
            )
        )
        instance.move = Move(server.host, destination or "", server)
        if destination:
            world.allocate(server_id, destination, taken)
            world.set_server(server_id, status="RESIZE", task_state="resize_migrating")
        else:
            world.set_server(server_id, status="RESIZE", task_state="resize_prep")
        begin(
            world,
            self._faults,
            "compute.migrate",
            server_id,
            action,
            seconds=None if destination else 0.5,
        )

    def confirm_migration(self, server_id: str) -> None:
        """Give up the source side; the server keeps its VERIFY_RESIZE until that is done."""
        world = self._world
        self._movable(server_id, "confirmResize")
        _set_migration(world, server_id, "confirming")
        action = record(world, server_id, "confirmResize")
        begin(world, self._faults, "compute.confirm_migration", server_id, action)

    def revert_migration(self, server_id: str) -> None:
        """Bring the server back to its source, where its ports are bound anew."""
        world = self._world
        self._movable(server_id, "revertResize")
        _set_migration(world, server_id, "reverting")
        action = record(world, server_id, "revertResize")
        world.set_server(server_id, status="REVERT_RESIZE", task_state="resize_reverting")
        begin(world, self._faults, "compute.revert_migration", server_id, action)

    def shelve(self, server_id: str) -> None:
        """Shelve a server; one with a root disk of its own is kept as an image meanwhile."""
        world = self._world
        instance = world.instance(server_id)
        ready(instance, "shelve", "ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")
        action = record(world, server_id, "shelve")
        if _volume_backed(instance):
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
            taken = _taken(instance)
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

    def _movable(self, server_id: str, verb: str) -> None:
        instance = self._world.instance(server_id)
        ready(instance, verb, "VERIFY_RESIZE")
        records = self._world.migrations[server_id]
        if instance.move is None or not records or records[-1].status != "finished":
            raise errors.Conflict(f"Instance {server_id} has no finished migration")


def _volume_backed(instance: Instance) -> bool:
    return any(held.boot_index == 0 for held in instance.volumes)


def _taken(instance: Instance) -> dict[str, int]:
    return resources(instance.server.flavor, _volume_backed(instance))


def _move(instance: Instance) -> Move:
    if instance.move is None:
        raise RuntimeError(f"{instance.server.id} is not being moved")
    return instance.move


def _set_migration(world: World, server_id: str, status: str) -> None:
    records = world.migrations[server_id]
    if records:
        records[-1] = dataclasses.replace(records[-1], status=status)


def _place(world: World, server_id: str, host: str) -> None:
    zone = world.hosts[host].host.availability_zone
    world.set_server(server_id, host=host, hypervisor_hostname=host, availability_zone=zone)


@finishes("compute.migrate")
def _migrated(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    if not move.destination:
        return _fail_migration(world, operation, scheduler.NO_VALID_HOST)
    _place(world, server_id, move.destination)
    rebind(world, instance, move.destination)
    power = move.before.power_state
    world.set_server(server_id, **{**states("VERIFY_RESIZE"), "power_state": power})
    _set_migration(world, server_id, "finished")
    return ""


def _fail_migration(world: World, operation: Operation, why: str, status: str = "") -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    if move.destination:
        world.free(server_id, move.destination)
    world.set_server(server_id, **states(status or move.before.status), fault=why)
    instance.move = None
    _set_migration(world, server_id, "error")
    return why


def _break_migration(world: World, operation: Operation) -> None:
    _fail_migration(world, operation, "broken on demand", operation.broken)


BREAK["compute.migrate"] = _break_migration


@finishes("compute.confirm_migration")
def _confirmed(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    world.free(server_id, move.source)
    world.set_server(server_id, **states("ACTIVE" if move.before.power_state == 1 else "SHUTOFF"))
    instance.move = None
    _set_migration(world, server_id, "confirmed")
    return ""


@finishes("compute.revert_migration")
def _reverted(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    world.free(server_id, move.destination)
    _place(world, server_id, move.source)
    rebind(world, instance, move.source)
    world.set_server(server_id, **states(move.before.status))
    instance.move = None
    _set_migration(world, server_id, "reverted")
    return ""


@finishes("compute.shelve")
def _shelved(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    image = world.images.get(instance.shelved_image)
    if image is not None:
        world.images[image.id] = dataclasses.replace(
            image, status="active", size=instance.root_bytes, disk_format="qcow2"
        )
    if _volume_backed(instance) or world.shelved_offload_time == 0:
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
        _place(world, server_id, destination)
        rebind(world, instance, destination)
    world.set_server(server_id, **states("ACTIVE"))
    world.images.pop(instance.shelved_image, None)
    instance.shelved_image = ""
    return ""
