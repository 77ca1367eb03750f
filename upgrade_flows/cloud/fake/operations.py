"""Asynchronous operations: accepted now, recorded as an action, finished when they are due."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import InstanceAction
from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.faults import Faults
from upgrade_flows.cloud.fake.records import Instance, Operation
from upgrade_flows.cloud.fake.world import World, resources

Finisher = Callable[[World, Operation], str]

#: what to do when an operation is due; returns why it failed, or ""
FINISH: dict[str, Finisher] = {}
#: what to do when an injected fault breaks an operation, where more than the status changes
BREAK: dict[str, Callable[[World, Operation], None]] = {}

POWER = {
    "ACTIVE": 1,
    "PAUSED": 3,
    "SHUTOFF": 4,
    "SHELVED": 4,
    "SHELVED_OFFLOADED": 4,
    "SUSPENDED": 4,
}
VM_STATE = {
    "ACTIVE": "active",
    "SHUTOFF": "stopped",
    "ERROR": "error",
    "PAUSED": "paused",
    "SUSPENDED": "suspended",
    "BUILD": "building",
    "VERIFY_RESIZE": "resized",
    "SHELVED": "shelved",
    "SHELVED_OFFLOADED": "shelved_offloaded",
}


def finishes(call: str) -> Callable[[Finisher], Finisher]:
    """Register what finishes the operations of a call."""

    def register(function: Finisher) -> Finisher:
        FINISH[call] = function
        return function

    return register


def states(status: str) -> dict[str, Any]:
    """Return the fields that go with a status once nothing is under way."""
    return {
        "status": status,
        "vm_state": VM_STATE.get(status, status.lower()),
        "power_state": POWER.get(status, 0),
        "task_state": None,
    }


def ready(instance: Instance, verb: str, *statuses: str) -> None:
    """Refuse a call that Nova does not allow in a server's state.

    :raises Conflict: something is under way, or the status is none of ``statuses``.
    """
    server = instance.server
    if server.task_state is not None:
        raise errors.Conflict(
            f"Cannot '{verb}' instance {server.id} while it is in task_state {server.task_state}"
        )
    if statuses and server.status not in statuses:
        raise errors.Conflict(
            f"Cannot '{verb}' instance {server.id} while it is in vm_state {server.vm_state}"
        )


def record(world: World, server_id: str, action: str, finished: bool = False) -> int:
    """Write an instance action down and return its place in the list."""
    now = world.clock.time()
    entry = InstanceAction(
        action=action,
        request_id=f"req-{world.new_id('request')}",
        start=now,
        finish=now if finished else None,
        result="Success" if finished else "",
    )
    world.actions[server_id].append(entry)
    return len(world.actions[server_id]) - 1


def begin(
    world: World,
    faults: Faults,
    call: str,
    subject: str,
    action: int | None = None,
    seconds: float | None = None,
    **args: Any,
) -> None:
    """Schedule the end of an operation that was accepted."""
    ending = faults.ending(call, subject)
    now = world.clock.time()
    duration = world.takes(call, subject) if seconds is None else seconds
    due = math.inf if ending == "" else now + duration
    world.schedule(Operation(call, subject, now, due, action, ending or "", args))


def settle(world: World) -> None:
    """Finish, in the order of their times, all operations that are due."""
    while (operation := world.due()) is not None:
        _finish(world, operation)


def _finish(world: World, operation: Operation) -> None:
    if operation.call.startswith("host."):
        FINISH[operation.call](world, operation)
        return
    if operation.call.startswith("volumes."):
        (BREAK if operation.broken else FINISH)[operation.call](world, operation)
        return
    instance = world.instances.get(operation.subject)
    if instance is None or _waits(world, instance, operation):
        return
    if instance.server.task_state == "deleting" and operation.call != "compute.delete":
        return  # Nova's other greenlets give up on a server that is going
    if operation.broken:
        failure = "broken on demand"
        if operation.call in BREAK:
            BREAK[operation.call](world, operation)
        else:
            world.set_server(operation.subject, **states(operation.broken), fault=failure)
    else:
        failure = FINISH[operation.call](world, operation)
    if operation.action is not None:
        conclude(world, operation.subject, operation.action, operation.due, failure)


def conclude(world: World, server_id: str, action: int, when: float, failure: str) -> None:
    """Write down how an instance action ended."""
    entries = world.actions[server_id]
    entries[action] = dataclasses.replace(
        entries[action], finish=when, result="Error" if failure else "Success"
    )


def _waits(world: World, instance: Instance, operation: Operation) -> bool:
    """Put an operation off whose compute host is rebooting: its message waits in the queue."""
    record = world.hosts.get(instance.server.host)
    if record is None or record.silent_since is None or record.back <= operation.due:
        return False
    if operation.call == "compute.delete":
        return False  # Nova deletes without a host that is down
    operation.due = record.back + operation.due - operation.started
    world.schedule(operation)
    return True


def place(world: World, server_id: str, host: str) -> None:
    """Say on which host a server is."""
    zone = world.hosts[host].host.availability_zone
    world.set_server(server_id, host=host, hypervisor_hostname=host, availability_zone=zone)


def refresh_nics(world: World, instance: Instance) -> None:
    """Rebuild the network info cache: ports that another device holds now drop out."""
    instance.nics = [
        nic
        for nic in instance.nics
        if nic.port_id in world.ports and world.ports[nic.port_id].device_id == instance.server.id
    ]


def rebind(world: World, instance: Instance, host: str) -> None:
    """Bind all ports of a server anew on a host."""
    refresh_nics(world, instance)
    for nic in instance.nics:
        binding.unbind(world, nic.port_id)
        binding.bind(world, nic.port_id, host)


def volume_backed(instance: Instance) -> bool:
    """Whether a server boots from a volume."""
    return any(held.boot_index == 0 for held in instance.volumes)


def taken_by(instance: Instance) -> dict[str, int]:
    """Return what a server takes of a host."""
    return resources(instance.server.flavor, volume_backed(instance))
