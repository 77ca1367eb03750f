"""The tables of the fake cloud, their indexes and the few primitives that keep them true."""

from __future__ import annotations

import dataclasses
import datetime
import heapq
import math
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import (
    Aggregate,
    Certificate,
    Credentials,
    Endpoint,
    InstanceAction,
    Migration,
    PortBinding,
    Service,
)
from upgrade_flows.cloud.fake.clock import FakeClock
from upgrade_flows.cloud.fake.durations import DURATIONS
from upgrade_flows.cloud.fake.records import (
    HostRecord,
    Instance,
    Live,
    NetworkRecord,
    Operation,
)
from upgrade_flows.model.inventory import (
    Flavor,
    FloatingIP,
    Image,
    Port,
    ServerGroup,
    Snapshot,
    Volume,
)

_NAMESPACE = uuid.UUID("6f0c0de0-0000-4000-8000-000000000000")


@dataclass
class World:
    """Everything that the fake cloud remembers.

    :param shelved_offload_time: 0 shelves and offloads at once, anything else leaves servers
        SHELVED (Nova's option of that name).
    :param refreshes_info_cache: whether nova-compute heals its network info caches; if not
        (Nova's default of today), a deleted server still releases the pre-existing ports
        that it once had, also those that another server holds by then.
    :param max_concurrent_live_migrations: from one source host; 0 is no limit.
    :param migration_bandwidth: bytes of memory that a live migration copies in a second.
    :param live_migration_completion_timeout: seconds for each GiB of memory, two at least, after
        which a live migration that still runs is cancelled; 0 is never.
    :param leaves_stale_bindings: whether a live migration that fails leaves the INACTIVE bindings
        of its ports behind.
    :param resumes_guests: whether a host that was rebooted starts the guests that ran on it
        (``resume_guests_state_on_host_boot``).
    :param enable_force_upload: whether volumes in use may be copied into images (Cinder's option
        of that name).
    :param service_down_time: seconds without a sign of life after which a service is down.
    :param agent_down_time: the same of Neutron's agents.
    """

    id: str = "fake"
    own_user_id: str = "upgrade-flows"
    own_project_id: str = "admin"
    shelved_offload_time: int = 0
    refreshes_info_cache: bool = False
    max_concurrent_live_migrations: int = 1
    migration_bandwidth: int = 1 << 30
    live_migration_completion_timeout: int = 800
    leaves_stale_bindings: bool = False
    resumes_guests: bool = False
    enable_force_upload: bool = False
    service_down_time: float = 60.0
    agent_down_time: float = 75.0
    clock: FakeClock = field(default_factory=FakeClock)
    durations: dict[str, float] = field(default_factory=lambda: dict(DURATIONS))
    counter: int = 0
    hosts: dict[str, HostRecord] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    flavors: dict[str, Flavor] = field(default_factory=dict)
    networks: dict[str, NetworkRecord] = field(default_factory=dict)
    groups: dict[str, ServerGroup] = field(default_factory=dict)
    group_of: dict[str, str] = field(default_factory=dict)
    floating_ips: dict[str, FloatingIP] = field(default_factory=dict)
    keypairs: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    managed: dict[str, str] = field(default_factory=dict)
    limits: dict[str, dict[str, int]] = field(default_factory=dict)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    closed_projects: set[str] = field(default_factory=set)
    allocations: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    #: project and user of the consumers that are neither servers nor migrations
    holders: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: what simulated workloads do in guests, by server: plain, and of the workloads' own making
    guests: dict[str, dict[str, Any]] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=lambda: Credentials(None, True))
    actions: dict[str, list[InstanceAction]] = field(default_factory=lambda: defaultdict(list))
    migrations: dict[str, list[Migration]] = field(default_factory=lambda: defaultdict(list))
    #: the servers that have migrations which have not ended, and some that had
    migrating: dict[str, None] = field(default_factory=dict)
    #: the live migrations under way, by server
    live: dict[str, Live] = field(default_factory=dict)
    #: the INACTIVE bindings of ports, by port and host
    bindings: dict[str, dict[str, PortBinding]] = field(default_factory=dict)
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    #: the services of Nova besides nova-compute, and those of Cinder
    services: list[Service] = field(default_factory=list)
    volume_services: list[Service] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    #: what servers show of themselves, by the address of an endpoint
    certificates: dict[str, Certificate] = field(default_factory=dict)
    #: when a volume was last changed, of those that were since the cloud was put together
    volume_changed: dict[str, float] = field(default_factory=dict)
    operations: list[tuple[float, int, Operation]] = field(default_factory=list)
    servers_on: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    ports_of: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    #: how many ports each project has
    port_usage: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: Nova's table of virtual interfaces: which existing server has a record of a port
    vifs: dict[str, str] = field(default_factory=dict)
    fips_of: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def new_id(self, kind: str) -> str:
        """Return the next id: the same one in every run of a test."""
        self.counter += 1
        return self.named_id(f"{kind}-{self.counter}")

    def named_id(self, name: str) -> str:
        """Return the id that belongs to a name."""
        return str(uuid.uuid5(_NAMESPACE, name))

    # single items

    def instance(self, server_id: str) -> Instance:
        """Return one instance.

        :raises NotFound: it does not exist, or was deleted.
        """
        try:
            return self.instances[server_id]
        except KeyError:
            raise errors.NotFound(f"Instance {server_id} could not be found.") from None

    def port(self, port_id: str) -> Port:
        """Return one port as it is stored."""
        try:
            return self.ports[port_id]
        except KeyError:
            raise errors.NotFound(f"Port {port_id} could not be found.") from None

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""
        try:
            return self.volumes[volume_id]
        except KeyError:
            raise errors.NotFound(f"Volume {volume_id} could not be found.") from None

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return one snapshot."""
        try:
            return self.snapshots[snapshot_id]
        except KeyError:
            raise errors.NotFound(f"Snapshot {snapshot_id} could not be found.") from None

    def touch_volume(self, volume_id: str) -> None:
        """Note that a volume changes now."""
        self.volume_changed[volume_id] = self.clock.time()

    def has_snapshots(self, volume_id: str) -> bool:
        """Whether there are snapshots of a volume: then Cinder does not delete it."""
        return any(item.volume_id == volume_id for item in self.snapshots.values())

    def image(self, image_id: str) -> Image:
        """Return one image."""
        try:
            return self.images[image_id]
        except KeyError:
            raise errors.NotFound(f"No image found with ID {image_id}") from None

    def host(self, name: str) -> HostRecord:
        """Return one compute host."""
        try:
            return self.hosts[name]
        except KeyError:
            raise errors.NotFound(f"Compute host {name} could not be found.") from None

    # changes that keep the indexes

    def add_migration(self, migration: Migration) -> None:
        """Write down that a migration begins."""
        self.migrations[migration.server_id].append(migration)
        self.migrating[migration.server_id] = None

    def open_migrations(self) -> list[Migration]:
        """Return the migrations that have not ended, by server."""
        found: list[Migration] = []
        for server_id in list(self.migrating):
            still = [item for item in self.migrations[server_id] if not item.ended]
            if not still:
                del self.migrating[server_id]
            found += still
        return found

    def put_instance(self, instance: Instance) -> None:
        """Add an instance and count it against its project."""
        server = instance.server
        self.instances[server.id] = instance
        self.servers_on[server.host][server.id] = None
        self._charge(server.project_id, server.flavor, 1)

    def set_server(self, server_id: str, **fields: object) -> None:
        """Change what an operator sees of a server."""
        instance = self.instance(server_id)
        old = instance.server
        instance.server = dataclasses.replace(old, **fields)  # type: ignore[arg-type]
        if instance.server.host != old.host:
            self.servers_on[old.host].pop(server_id, None)
            self.servers_on[instance.server.host][server_id] = None

    def drop_instance(self, server_id: str) -> None:
        """Forget an instance, its allocations and its place in a server group."""
        server = self.instances.pop(server_id).server
        self.vifs = {port: holder for port, holder in self.vifs.items() if holder != server_id}
        self.guests.pop(server_id, None)
        self.servers_on[server.host].pop(server_id, None)
        self._charge(server.project_id, server.flavor, -1)
        self.free(server_id)
        for migration in self.migrations.get(server_id, ()):
            self.free(migration.id)
        self.leave_group(server_id)

    def put_port(self, port: Port) -> None:
        """Add a port, or replace it."""
        old = self.ports.get(port.id)
        if old is not None and old.device_id != port.device_id:
            self.ports_of[old.device_id].pop(port.id, None)
        if old is not None:
            self.port_usage[old.project_id] -= 1
        self.port_usage[port.project_id] += 1
        self.ports[port.id] = port
        self.ports_of[port.device_id][port.id] = None

    def drop_port(self, port_id: str) -> None:
        """Forget a port; its floating IPs lead nowhere from now on."""
        port = self.ports.pop(port_id)
        self.port_usage[port.project_id] -= 1
        self.bindings.pop(port_id, None)
        self.ports_of[port.device_id].pop(port_id, None)
        for fip_id in self.fips_of.pop(port_id, {}):
            self.floating_ips[fip_id] = dataclasses.replace(
                self.floating_ips[fip_id], port_id=None, fixed_address=None
            )

    def join_group(self, server_id: str, group_id: str) -> None:
        """Make a server a member of a group."""
        group = self.groups[group_id]
        self.groups[group_id] = dataclasses.replace(group, members=(*group.members, server_id))
        self.group_of[server_id] = group_id

    def leave_group(self, server_id: str) -> None:
        """Take a server out of its group, if it is in one."""
        group_id = self.group_of.pop(server_id, "")
        if group_id:
            group = self.groups[group_id]
            members = tuple(member for member in group.members if member != server_id)
            self.groups[group_id] = dataclasses.replace(group, members=members)

    # Placement

    def allocate(self, consumer: str, host: str, resources: dict[str, int]) -> None:
        """Hold resources of a host for a consumer, beside what it holds elsewhere."""
        self.allocations.setdefault(consumer, {})[host] = resources
        used = self.hosts[host].used
        for kind, amount in resources.items():
            used[kind] = used.get(kind, 0) + amount

    def hand_over(self, consumer: str, to: str, host: str) -> None:
        """Make what one consumer holds on a host another's: a server's its migration's, or back."""
        held = self.allocations.get(consumer, {})
        if host in held:
            self.allocations.setdefault(to, {})[host] = held.pop(host)
        if not held:
            self.allocations.pop(consumer, None)

    def free(self, consumer: str, host: str | None = None) -> None:
        """Give back what a consumer holds, on one host or on all."""
        held = self.allocations.get(consumer, {})
        for name in [host] if host is not None else list(held):
            for kind, amount in held.pop(name, {}).items():
                self.hosts[name].used[kind] -= amount
        if not held:
            self.allocations.pop(consumer, None)
            self.holders.pop(consumer, None)

    def _charge(self, project_id: str, flavor: Flavor, sign: int) -> None:
        used = self.usage.setdefault(project_id, {"instances": 0, "cores": 0, "ram": 0})
        used["instances"] += sign
        used["cores"] += sign * flavor.vcpus
        used["ram"] += sign * flavor.memory_mb

    # time

    def takes(self, call: str, subject: str) -> float:
        """Return how many seconds an operation takes: ``durations`` may name its subject.

        ``compute.migrate:<server>`` goes before ``compute.migrate``.
        """
        return self.durations.get(f"{call}:{subject}", self.durations.get(call, 0.0))

    def timestamp(self, seconds: float | None = None) -> str:
        """Return the simulated time, or another, as Nova writes it."""
        when = self.clock.time() if seconds is None else seconds
        moment = datetime.datetime.fromtimestamp(when, tz=datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def schedule(self, operation: Operation) -> None:
        """Remember an operation until it is due."""
        self.counter += 1
        heapq.heappush(self.operations, (operation.due, self.counter, operation))

    def due(self) -> Operation | None:
        """Take the next operation whose time has come."""
        if self.operations and self.operations[0][0] <= self.clock.time():
            return heapq.heappop(self.operations)[2]
        return None


def resources(flavor: Flavor, volume_backed: bool) -> dict[str, int]:
    """Return what a server of a flavor takes; a root disk in Cinder takes no DISK_GB.

    Its extra specs ``resources:<CLASS>`` go before its sizes.
    """
    disk = 0 if volume_backed else flavor.disk_gb
    found = {
        "VCPU": flavor.vcpus,
        "MEMORY_MB": flavor.memory_mb,
        "DISK_GB": disk + flavor.ephemeral_gb + math.ceil(flavor.swap_mb / 1024),
    }
    for key, value in flavor.extra_specs.items():
        if key.startswith("resources:"):
            found[key.removeprefix("resources:")] = int(value)
    return found
