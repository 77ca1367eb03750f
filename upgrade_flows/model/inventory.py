"""What there is in a cloud, as frozen data: servers, ports, volumes, hosts and their relations."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model import codec

#: begins the tag that says whose instance it is, where Nova says that we created it: it looks
#: keys up by the user who creates, and only so the key is found again
OWNER = "upgrade-flows-owner="

#: Nova's longest tag has 60 characters, and the id of a user from LDAP 64
_PART = 34


def owner_tags(user_id: str) -> tuple[str, ...]:
    """Return the tags that name an owner: one, or two with its halves (``1~…``, ``2~…``)."""
    if len(user_id) <= 2 + _PART:
        return (f"{OWNER}{user_id}",)
    parts = [user_id[at : at + _PART] for at in range(0, len(user_id), _PART)]
    return tuple(f"{OWNER}{number}~{part}" for number, part in enumerate(parts, 1))


@dataclass(frozen=True)
class Flavor:
    """A flavor; sizes in MiB (memory, swap) and GiB (disks)."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AttachedVolume:
    """A volume as a server holds it; ``boot_index`` 0 is the root disk, None a data volume."""

    volume_id: str
    delete_on_termination: bool = False
    device: str = ""
    boot_index: int | None = None
    tag: str = ""


@dataclass(frozen=True)
class Server:
    """An instance as Nova's server detail shows it to an administrator (microversion >= 2.96).

    ``flavor.id`` is empty in listings: Nova embeds the flavor without it since 2.47.
    ``image_id`` is empty for a volume-backed server.  ``volumes`` carry no device, tag or
    boot index in listings (``Compute.attachments`` has them).
    """

    id: str
    name: str
    status: str
    project_id: str = ""
    user_id: str = ""
    host: str = ""
    hypervisor_hostname: str = ""
    vm_state: str = ""
    task_state: str | None = None
    power_state: int = 0
    flavor: Flavor = Flavor("", "", 0, 0, 0)
    image_id: str = ""
    availability_zone: str = ""
    pinned_availability_zone: str | None = None
    description: str | None = None
    hostname: str = ""
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    root_device_name: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    server_group: str | None = None
    scheduler_hints: dict[str, Any] = field(default_factory=dict)
    locked: bool = False
    locked_reason: str | None = None
    disk_config: str = "MANUAL"
    trusted_image_certificates: tuple[str, ...] = ()
    volumes: tuple[AttachedVolume, ...] = ()
    addresses: tuple[str, ...] = ()
    fault: str = ""
    created: str = ""

    @property
    def owner_id(self) -> str:
        """The user whose key it has: its creator, or whom the tag names if we re-created it."""
        named = sorted(tag.removeprefix(OWNER) for tag in self.tags if tag.startswith(OWNER))
        return "".join(part.rpartition("~")[2] for part in named) or self.user_id

    @property
    def volume_backed(self) -> bool:
        """Whether the root disk is a Cinder volume."""
        return not self.image_id and bool(self.volumes)

    @property
    def resources(self) -> dict[str, int]:
        """What it takes at its host by its flavor's sizes, per Placement resource class."""
        flavor = self.flavor
        disk = flavor.ephemeral_gb + -(-flavor.swap_mb // 1024)
        if not self.volume_backed:
            disk += flavor.disk_gb
        return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.memory_mb, "DISK_GB": disk}


@dataclass(frozen=True)
class FloatingIP:
    """A floating IP and the port and fixed address it leads to."""

    id: str
    address: str
    port_id: str | None = None
    fixed_address: str | None = None


@dataclass(frozen=True)
class Port:
    """A Neutron port with its binding, as an administrator sees it.

    ``fixed_ips`` are ``(subnet_id, address)`` pairs as lists of two.
    """

    id: str
    network_id: str
    mac_address: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    status: str = "DOWN"
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    fixed_ips: tuple[tuple[str, ...], ...] = ()
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[dict[str, str], ...] = ()
    port_security_enabled: bool = True
    qos_policy_id: str | None = None
    dns_name: str = ""
    extra_dhcp_opts: tuple[dict[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    trunk_id: str | None = None
    binding_host: str = ""
    vnic_type: str = "normal"
    vif_type: str = "unbound"
    vif_details: dict[str, Any] = field(default_factory=dict)
    binding_profile: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VolumeAttachment:
    """Where Cinder says that a volume is attached."""

    server_id: str
    device: str = ""
    attachment_id: str = ""


@dataclass(frozen=True)
class Volume:
    """A Cinder volume; size in GiB, ``metadata`` as its owner may change it.

    ``image_properties`` are those of the image that it was made of, where it was.
    """

    id: str
    name: str
    status: str
    size_gb: int
    project_id: str = ""
    volume_type: str = ""
    backend: str = ""
    bootable: bool = False
    multiattach: bool = False
    encrypted: bool = False
    attachments: tuple[VolumeAttachment, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    image_properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A Cinder snapshot; size in GiB, that of its volume when it was taken."""

    id: str
    name: str
    status: str
    volume_id: str
    size_gb: int
    project_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """A Glance image; size in bytes, disks in GiB."""

    id: str
    name: str
    status: str
    size: int | None = None
    owner: str = ""
    visibility: str = "private"
    min_disk: int = 0
    disk_format: str | None = None
    locations_backend: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Agent:
    """A Neutron agent; ``configurations`` is what it reports about itself."""

    id: str
    agent_type: str
    host: str
    alive: bool = True
    configurations: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A compute host: its nova-compute service and its L2 agent."""

    name: str
    service_id: str = ""
    enabled: bool = True
    up: bool = True
    disabled_reason: str | None = None
    availability_zone: str = ""
    agent: Agent | None = None


@dataclass(frozen=True)
class Aggregate:
    """A host aggregate; ``id`` is the uuid by which Placement knows it too."""

    id: str
    name: str
    hosts: tuple[str, ...] = ()
    availability_zone: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Room:
    """What a host has and what is taken, per Placement resource class.

    ``capacity`` counts allocation ratio and reserved.
    """

    capacity: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def fits(self, resources: dict[str, int]) -> bool:
        """Whether ``resources`` would still fit beside what is used."""
        return all(
            self.used.get(kind, 0) + amount <= self.capacity.get(kind, 0)
            for kind, amount in resources.items()
            if amount
        )

    @property
    def overfull(self) -> tuple[str, ...]:
        """The resource classes of which more is used than there is."""
        return tuple(
            kind for kind, used in sorted(self.used.items()) if used > self.capacity.get(kind, 0)
        )


@dataclass(frozen=True)
class ServerGroup:
    """A server group; ``policy`` as Nova names it (``anti-affinity``, ``soft-affinity``...)."""

    id: str
    name: str
    policy: str
    members: tuple[str, ...] = ()
    project_id: str = ""


@dataclass(frozen=True)
class Quota:
    """Limits and usage of one project, per resource; -1 is no limit."""

    limits: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def room(self, resource: str, amount: int) -> bool:
        """Whether ``amount`` more of ``resource`` is allowed."""
        limit = self.limits.get(resource, -1)
        return limit < 0 or self.used.get(resource, 0) + amount <= limit


@dataclass(frozen=True)
class Inventory:
    """Everything that planning looks at, read once.

    ``keypairs`` maps a user id to the names of their keys; ``managed`` maps a server id to
    who manages it ("Heat stack web (…)"); ``closed_projects`` are those in which we get no token.
    They hold only what the scope needed.  ``traits`` are those of each host in Placement, read
    for capabilities that choose hosts and only where a flavor asks for some; ``facts`` is what a
    host plugin saw of a host, and ``troubles`` why a host's upgrade would fail, by host.
    """

    cloud_id: str
    taken_at: str
    servers: tuple[Server, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    images: tuple[Image, ...] = ()
    flavors: tuple[Flavor, ...] = ()
    networks: tuple[str, ...] = ()
    hosts: tuple[Host, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    groups: tuple[ServerGroup, ...] = ()
    floating_ips: tuple[FloatingIP, ...] = ()
    rooms: dict[str, Room] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    keypairs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    managed: dict[str, str] = field(default_factory=dict)
    closed_projects: tuple[str, ...] = ()
    traits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    troubles: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @functools.cached_property
    def _servers(self) -> dict[str, Server]:
        return {server.id: server for server in self.servers}

    @functools.cached_property
    def _by_device(self) -> dict[str, list[Port]]:
        ports: dict[str, list[Port]] = defaultdict(list)
        for port in self.ports:
            ports[port.device_id].append(port)
        return ports

    @functools.cached_property
    def _by_host(self) -> dict[str, list[Server]]:
        servers: dict[str, list[Server]] = defaultdict(list)
        for server in self.servers:
            servers[server.host].append(server)
        return servers

    @functools.cached_property
    def _hosts(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @functools.cached_property
    def _volumes(self) -> dict[str, Volume]:
        return {volume.id: volume for volume in self.volumes}

    @functools.cached_property
    def _images(self) -> dict[str, Image]:
        return {image.id: image for image in self.images}

    @functools.cached_property
    def _group_of(self) -> dict[str, ServerGroup]:
        return {member: group for group in self.groups for member in group.members}

    def server(self, server_id: str) -> Server:
        """Return one server.

        :raises KeyError: the inventory has none with that id.
        """
        return self._servers[server_id]

    def servers_on(self, host: str) -> tuple[Server, ...]:
        """Return the servers on a host."""
        return tuple(self._by_host.get(host, ()))

    def ports_of(self, server_id: str) -> tuple[Port, ...]:
        """Return the ports that a server holds, in no particular order."""
        return tuple(self._by_device.get(server_id, ()))

    def volumes_of(self, server: Server) -> tuple[Volume, ...]:
        """Return the volumes of a server that the inventory knows."""
        known = (self._volumes.get(held.volume_id) for held in server.volumes)
        return tuple(volume for volume in known if volume is not None)

    def host(self, name: str) -> Host | None:
        """Return a host, or None."""
        return self._hosts.get(name)

    def image(self, image_id: str) -> Image | None:
        """Return an image, or None."""
        return self._images.get(image_id)

    def group_of(self, server_id: str) -> ServerGroup | None:
        """Return the server group that a server is in, or None."""
        return self._group_of.get(server_id)

    def flavor_named(self, name: str) -> Flavor | None:
        """Return the flavor with that name, or None."""
        return next((flavor for flavor in self.flavors if flavor.name == name), None)

    def flavor_of(self, server: Server) -> Flavor | None:
        """Return the flavor that a server was booted with; None if it is gone, or has changed.

        Nova embeds the flavor in the instance without its id; a flavor of the same name that
        differs now would give a different instance.
        """
        now = self.flavor_named(server.flavor.name)
        if now is None:
            return None
        then = codec.to_plain(server.flavor) | {"id": now.id}
        return now if codec.to_plain(now) == then else None

    def to_plain(self) -> dict[str, Any]:
        """Return the inventory as plain JSON."""
        return dict(codec.to_plain(dataclasses.replace(self)))
