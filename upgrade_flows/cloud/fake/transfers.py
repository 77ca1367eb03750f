"""The life of a live migration: scheduled, queued, prepared, copied, and how it ends.

Operations carry the ``serial`` of the migration: an end that was planned before it was forced,
or given up, is not meant any more.
"""

from __future__ import annotations

import dataclasses

from upgrade_flows.cloud.api import Memory, Migration
from upgrade_flows.cloud.fake import binding, scheduler
from upgrade_flows.cloud.fake.operations import (
    conclude,
    finishes,
    place,
    refresh_nics,
    states,
    taken_by,
)
from upgrade_flows.cloud.fake.records import Instance, Live, Operation
from upgrade_flows.cloud.fake.world import World

CALL = "compute.live_migrate"
SCHEDULING = f"{CALL}/scheduling"
PREPARING = f"{CALL}/preparing"
#: Nova's driver looks at the memory twice a second and writes it down every five seconds
WRITTEN_EVERY_S = 5.0
_GIB = 1 << 30


def begin(world: World, live: Live, now: float) -> None:
    """Hand a live migration to the scheduler."""
    world.live[live.server_id] = live
    _later(world, live, SCHEDULING, now, world.durations[SCHEDULING])


def force(world: World, live: Live, now: float) -> None:
    """Copy the rest while the guest stands still."""
    left = _left(world, live, now - live.running_since) / world.migration_bandwidth
    _later(world, live, CALL, now, left, live.ending or "")


def give_up(world: World, live: Live, now: float, seconds: float) -> None:
    """End a live migration before its time, at once if no memory flows yet."""
    if live.phase == "running":
        _later(world, live, CALL, now, seconds, "cancelled")
    else:
        _end(world, live, "cancelled", now)


def drop(world: World, server_id: str, now: float) -> None:
    """End the migrations of a server that is deleted; one that waits is confirmed, as by Nova."""
    live = world.live.pop(server_id, None)
    world.migrations[server_id] = [
        item
        if item.ended
        else dataclasses.replace(
            item,
            status="confirmed" if item.status == "finished" else "error",
            updated=world.timestamp(now),
        )
        for item in world.migrations[server_id]
    ]
    if live is not None:
        _promote(world, live.source, now)


def lose(world: World, host: str, now: float) -> None:
    """End the live migrations from and to a host that goes down."""
    for live in list(world.live.values()):
        if host in (live.source, live.destination):
            _end(world, live, "error" if host == live.source else "failed", now)


def memory(world: World, live: Live, now: float) -> Memory:
    """Return the progress as it was written down last."""
    if live.phase != "running":
        return Memory(0, 0, 0)
    passed = now - live.running_since
    passed -= passed % WRITTEN_EVERY_S
    copied = int(world.migration_bandwidth * passed)
    return Memory(live.memory, copied, _left(world, live, passed))


def set_status(world: World, live: Live, status: str, now: float) -> None:
    """Change the migration record."""
    records = world.migrations[live.server_id]
    for number, item in enumerate(records):
        if item.id == live.migration_id:
            records[number] = dataclasses.replace(
                item,
                status=status,
                destination=live.destination or item.destination,
                updated=world.timestamp(now),
            )


def shown(world: World, live: Live, now: float) -> Migration:
    """Return the migration record with the progress of the memory."""
    records = world.migrations[live.server_id]
    record = next(item for item in records if item.id == live.migration_id)
    return dataclasses.replace(record, memory=memory(world, live, now))


def _later(
    world: World, live: Live, call: str, now: float, seconds: float, outcome: str = ""
) -> None:
    live.serial += 1
    world.schedule(
        Operation(
            call,
            live.server_id,
            now,
            now + seconds,
            args={"serial": live.serial, "outcome": outcome},
        )
    )


def _meant(world: World, operation: Operation) -> Live | None:
    live = world.live.get(operation.subject)
    return live if live is not None and live.serial == operation.args["serial"] else None


def _left(world: World, live: Live, passed: float) -> int:
    """Return the bytes that are still to be copied.

    A guest that writes as fast as is copied leaves at least what it writes in a second.
    """
    rate, dirty = world.migration_bandwidth, live.dirty_rate
    if live.ending == "":
        dirty = max(dirty, rate)
    if dirty < rate:
        return max(int(live.memory - (rate - dirty) * passed), 0)
    return max(int(live.memory - rate * passed), min(dirty, live.memory))


def _promote(world: World, source: str, now: float) -> None:
    """Take the oldest out of the source's queue, as many as it migrates at a time."""
    ours = [live for live in world.live.values() if live.source == source]
    busy = sum(live.phase in ("preparing", "running") for live in ours)
    for live in ours:
        if live.phase == "queued" and not 0 < world.max_concurrent_live_migrations <= busy:
            busy += 1
            live.phase = "preparing"
            set_status(world, live, "preparing", now)
            _later(world, live, PREPARING, now, world.durations[PREPARING])


def _choose(world: World, instance: Instance, live: Live) -> tuple[str, str]:
    """Return the destination, or none and why; what a host refuses leads to the next host.

    The QEMU of the destination may not be older than the source's; every port must get a
    binding there, which one that was left behind prevents.
    """
    if live.wanted == live.source:
        return "", f"Unable to migrate instance {live.server_id} to current host {live.source}."
    why = scheduler.NO_VALID_HOST
    version = world.hosts[live.source].hypervisor_version
    passing = scheduler.passing(
        world,
        taken_by(instance),
        live.wanted,
        instance.server.pinned_availability_zone,
        world.group_of.get(live.server_id),
        live.server_id,
        besides=live.source,
    )
    for host in passing:
        if world.hosts[host].silent_since is not None:
            why = f"Migration pre-check error: {host} does not answer"
            continue
        if world.hosts[host].hypervisor_version < version:
            why = "The instance requires a newer hypervisor version than has been provided."
            continue
        failed = [nic.port_id for nic in instance.nics if not _bindable(world, nic.port_id, host)]
        if not failed:
            return host, ""
        why = f"Migration pre-check error: Binding failed for port {failed[0]} on {host}"
    return "", why


def _bindable(world: World, port_id: str, host: str) -> bool:
    if port_id not in world.ports:
        return True
    stale = host in world.bindings.get(port_id, {})
    return not stale and world.hosts[host].agent.alive


@finishes(SCHEDULING)
def _scheduled(world: World, operation: Operation) -> str:
    live = _meant(world, operation)
    if live is None:
        return ""
    instance = world.instance(live.server_id)
    refresh_nics(world, instance)
    live.destination, why = _choose(world, instance, live)
    if not live.destination:
        return _end(world, live, "error", operation.due, why)
    world.hand_over(live.server_id, live.migration_id, live.source)
    world.allocate(live.server_id, live.destination, taken_by(instance))
    for nic in instance.nics:
        made = binding.prepare(world, nic.port_id, live.destination)
        if live.ending is None and made.vif_type != world.port(nic.port_id).vif_type:
            live.ending = "failed"  # QEMU cannot load a tap's state into a vhost-user device
    live.phase = "queued"
    set_status(world, live, "queued", operation.due)
    _promote(world, live.source, operation.due)
    return ""


@finishes(PREPARING)
def _prepared(world: World, operation: Operation) -> str:
    live = _meant(world, operation)
    if live is None:
        return ""
    now = operation.due
    live.phase, live.running_since = "running", now
    set_status(world, live, "running", now)
    if live.ending == "":
        return ""
    converging = world.migration_bandwidth - live.dirty_rate
    needed = live.memory / converging if converging > 0 else float("inf")
    limit = world.live_migration_completion_timeout * max(live.memory / _GIB, 2)
    if limit and needed > limit:
        _later(world, live, CALL, now, limit, "cancelled")
    elif needed < float("inf"):
        _later(world, live, CALL, now, needed, live.ending or "")
    return ""


@finishes(CALL)
def _copied(world: World, operation: Operation) -> str:
    live = _meant(world, operation)
    if live is not None:
        _end(world, live, operation.args["outcome"], operation.due)
    return ""


def _end(world: World, live: Live, outcome: str, now: float, why: str = "") -> str:
    """End a live migration.

    :param outcome: empty where all went well; ``completed``: the record says so, and the server
        is left MIGRATING on its source; a status in capitals is the server's, at its
        destination; any other is the migration's, and everything is as it was before.
    """
    world.live.pop(live.server_id)
    if outcome == "completed":
        set_status(world, live, "completed", now)
    elif not outcome or outcome.isupper():
        _arrive(world, live, outcome)
        set_status(world, live, "error" if outcome else "completed", now)
    else:
        _roll_back(world, live, outcome, why)
        set_status(world, live, outcome, now)
    # the event says that the source has taken it up: also of one that then fails
    conclude(world, live.server_id, live.action, now, why)
    _promote(world, live.source, now)
    return why


def _arrive(world: World, live: Live, status: str) -> None:
    instance = world.instance(live.server_id)
    world.free(live.migration_id)
    place(world, live.server_id, live.destination)
    refresh_nics(world, instance)
    for nic in instance.nics:
        binding.activate(world, nic.port_id, live.destination)
    fault = "the migration failed after the guest had gone" if status else ""
    world.set_server(live.server_id, **states(status or live.before.status), fault=fault)


def _roll_back(world: World, live: Live, outcome: str, why: str) -> None:
    """Bring everything back; a record that says ``error`` never had bindings to leave behind."""
    instance = world.instance(live.server_id)
    if live.destination:
        world.free(live.server_id, live.destination)
        world.hand_over(live.migration_id, live.server_id, live.source)
        if not (outcome == "failed" and world.leaves_stale_bindings):
            for nic in instance.nics:
                binding.forget(world, nic.port_id, live.destination)
    world.set_server(live.server_id, **states(live.before.status), fault=why)
