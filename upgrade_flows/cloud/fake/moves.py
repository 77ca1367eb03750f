"""Nova's calls about cold migrations."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.api import Migration
from upgrade_flows.cloud.fake import scheduler
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import (
    BREAK,
    begin,
    finishes,
    place,
    ready,
    rebind,
    record,
    states,
    taken_by,
)
from upgrade_flows.cloud.fake.records import Instance, Move, Operation
from upgrade_flows.cloud.fake.world import World


class Moves(Base):
    """Cold migration."""

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
        taken = taken_by(instance)
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
        world.add_migration(
            Migration(
                id=world.new_id("migration"),
                status="migrating" if destination else "pre-migrating",
                kind="migration",
                source=server.host,
                destination=destination or host or "",
                created=world.timestamp(),
                server_id=server_id,
            )
        )
        instance.move = Move(server.host, destination or "", server)
        if destination:
            world.hand_over(server_id, world.migrations[server_id][-1].id, server.host)
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

    def _movable(self, server_id: str, verb: str) -> None:
        instance = self._world.instance(server_id)
        ready(instance, verb, "VERIFY_RESIZE")
        records = self._world.migrations[server_id]
        if instance.move is None or not records or records[-1].status != "finished":
            raise errors.Conflict(f"Instance {server_id} has no finished migration")


def _move(instance: Instance) -> Move:
    if instance.move is None:
        raise RuntimeError(f"{instance.server.id} is not being moved")
    return instance.move


def _give_back(world: World, server_id: str, move: Move) -> None:
    """Let a server hold its source again instead of its destination."""
    world.free(server_id, move.destination)
    world.hand_over(world.migrations[server_id][-1].id, server_id, move.source)


def _set_migration(world: World, server_id: str, status: str) -> None:
    records = world.migrations[server_id]
    if records:
        records[-1] = dataclasses.replace(records[-1], status=status)


@finishes("compute.migrate")
def _migrated(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    if not move.destination:
        return _fail_migration(world, operation, scheduler.NO_VALID_HOST)
    place(world, server_id, move.destination)
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
        _give_back(world, server_id, move)
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
    world.free(world.migrations[server_id][-1].id)
    world.set_server(server_id, **states("ACTIVE" if move.before.power_state == 1 else "SHUTOFF"))
    instance.move = None
    _set_migration(world, server_id, "confirmed")
    return ""


@finishes("compute.revert_migration")
def _reverted(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    move = _move(instance)
    _give_back(world, server_id, move)
    place(world, server_id, move.source)
    rebind(world, instance, move.source)
    world.set_server(server_id, **states(move.before.status))
    instance.move = None
    _set_migration(world, server_id, "reverted")
    return ""
