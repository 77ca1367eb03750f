"""Compute hosts: Nova's calls about them, and what happens when one is rebooted."""

from __future__ import annotations

import dataclasses
import datetime
import math

from upgrade_flows import errors
from upgrade_flows.cloud.api import Aggregate, HostService, Hypervisor, Service
from upgrade_flows.cloud.fake import transfers
from upgrade_flows.cloud.fake.faults import Faults
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import finishes, states
from upgrade_flows.cloud.fake.records import HostRecord, Operation
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Host

REBOOT = "host.reboot"
#: nova-compute reports every ten seconds
REPORT_INTERVAL_S = 10.0


class Hosts(Base):
    """Compute hosts, as Nova shows them."""

    def hosts(self) -> tuple[Host, ...]:
        """Return the compute hosts, without their agents."""
        return tuple(record.host for record in self._world.hosts.values())

    def service(self, host: str) -> HostService:
        """Return the compute service of a host."""
        record = self._world.host(host)
        return HostService(
            host=host,
            id=record.host.service_id,
            enabled=record.host.enabled,
            up=record.host.up,
            disabled_reason=record.host.disabled_reason,
            forced_down=record.forced_down,
            availability_zone=record.host.availability_zone,
            updated=self._world.timestamp(_heard_of(self._world, record)),
        )

    def services(self) -> tuple[Service, ...]:
        """Return the nova-compute of every host, and the other services there are."""
        computes = (
            Service(
                "nova-compute",
                record.host.name,
                record.host.enabled,
                record.host.up,
                record.host.disabled_reason,
                record.forced_down,
                record.host.availability_zone,
                self._world.timestamp(_heard_of(self._world, record)),
            )
            for record in self._world.hosts.values()
        )
        return (*computes, *self._world.services)

    def set_host_enabled(self, host: str, enabled: bool, reason: str | None = None) -> None:
        """Enable or disable a compute service; enabling clears the reason."""
        record = self._world.host(host)
        record.host = dataclasses.replace(
            record.host, enabled=enabled, disabled_reason=None if enabled else reason
        )

    def hypervisor(self, host: str) -> Hypervisor:
        """Return the hypervisor of a compute host; one that is down tells no uptime."""
        if host not in self._world.hosts:
            raise errors.NotFound(f"compute host {host} has no hypervisor")
        record = self._world.hosts[host]
        shown = _hypervisor(self._world, record)
        if record.silent_since is not None or not record.host.up:
            return shown
        return dataclasses.replace(shown, uptime=_uptime(self._world.clock.time(), record.booted))

    def hypervisors(self) -> tuple[Hypervisor, ...]:
        """Return the hypervisors of all compute hosts, without their uptimes."""
        return tuple(_hypervisor(self._world, record) for record in self._world.hosts.values())

    def aggregates(self) -> tuple[Aggregate, ...]:
        """Return the host aggregates."""
        return tuple(self._world.aggregates.values())


def reboot(world: World, faults: Faults, name: str) -> None:
    """Reboot a host: guests are gone at once, and nobody is told.

    Nova calls the service down, and Neutron the agent, when they have not heard of it for long
    enough, which a quick reboot never lets them.  What Nova shows of the guests changes when
    nova-compute runs again and finds them off.  A ``stuck`` host never comes back.
    """
    record = world.host(name)
    if record.silent_since is not None:
        return
    now = world.clock.time()
    stuck = faults.ending(REBOOT, name) is not None
    record.silent_since = now
    record.back = math.inf if stuck else now + world.takes(REBOOT, name)
    for call, seconds in (
        ("host.service_down", world.service_down_time),
        ("host.agent_down", world.agent_down_time),
    ):
        world.schedule(Operation(call, name, now, now + seconds))
    world.schedule(Operation(REBOOT, name, now, record.back))
    transfers.lose(world, name, now)


def boot_id(world: World, name: str) -> str:
    """Return the host's boot id, as ``/proc/sys/kernel/random/boot_id`` has it.

    :raises Unavailable: the host is rebooting.
    """
    record = world.host(name)
    if record.silent_since is not None:
        raise errors.Unavailable(f"host {name} does not answer")
    return world.named_id(f"boot-{name}-{record.boots}")


def software(world: World, name: str) -> tuple[str, str]:
    """Return the releases that a host has installed, and that it runs.

    :raises Unavailable: the host is rebooting.
    """
    boot_id(world, name)
    record = world.host(name)
    return record.installed, record.runs


def install(world: World, name: str, release: str) -> None:
    """Install a release on a host, which runs it from its next boot on.

    :raises Unavailable: the host is rebooting.
    """
    boot_id(world, name)
    world.host(name).installed = release


@finishes("host.service_down")
def _service_down(world: World, operation: Operation) -> str:
    record = world.host(operation.subject)
    if record.silent_since == operation.started:
        record.host = dataclasses.replace(record.host, up=False)
    return ""


@finishes("host.agent_down")
def _agent_down(world: World, operation: Operation) -> str:
    record = world.host(operation.subject)
    if record.silent_since == operation.started:
        record.agent = dataclasses.replace(record.agent, alive=False)
    return ""


@finishes(REBOOT)
def _back(world: World, operation: Operation) -> str:
    """Let a host run again: its service and agent report, its guests are off."""
    record = world.host(operation.subject)
    record.silent_since = None
    record.boots += 1
    record.runs = record.installed
    record.booted = operation.due
    record.host = dataclasses.replace(record.host, up=True)
    record.agent = dataclasses.replace(record.agent, alive=True)
    for server_id in list(world.servers_on.get(operation.subject, {})):
        server = world.instances[server_id].server
        if server.status == "PAUSED" or (server.status == "ACTIVE" and not world.resumes_guests):
            world.set_server(server_id, **states("SHUTOFF"))
    return ""


def _heard_of(world: World, record: HostRecord) -> float:
    """Return when Nova last heard of a host."""
    now = world.clock.time()
    if record.silent_since is not None:
        now = record.silent_since
    elif not record.host.up:
        return record.booted
    return max(now - now % REPORT_INTERVAL_S, record.booted)


def _hypervisor(world: World, record: HostRecord) -> Hypervisor:
    name = record.host.name
    return Hypervisor(
        host=name,
        id=world.named_id(f"provider-{name}"),
        hostname=name,
        kind="QEMU",
        version=record.hypervisor_version,
        cpu=dict(record.cpu),
    )


def _uptime(now: float, booted: float) -> str:
    """Return a line as ``uptime`` prints it."""
    clock = datetime.datetime.fromtimestamp(now, tz=datetime.UTC).strftime("%H:%M:%S")
    days, seconds = divmod(int(now - booted), 86_400)
    hours, minutes = seconds // 3_600, seconds % 3_600 // 60
    up = f"{days} days, " if days else ""
    up += f"{hours}:{minutes:02}" if hours else f"{minutes} min"
    return f"{clock} up {up},  0 users,  load average: 0.00, 0.00, 0.00"
