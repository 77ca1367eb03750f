"""What we need of a cloud, in our words; no client library is known here.

Every method may raise ``errors.CloudError``.  Methods that change something return as soon as
the service has accepted the call (``cloud.wait`` waits for evidence).  Listings are paged by the
implementation: one call for each thousand items, none for each item.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from upgrade_flows.model.inventory import (
    Agent,
    AttachedVolume,
    Flavor,
    FloatingIP,
    Host,
    Image,
    Port,
    Quota,
    Room,
    Server,
    ServerGroup,
    Volume,
)


@dataclass(frozen=True)
class NewServer:
    """What a server is created from.

    ``ports`` are ids, in the order in which the guest sees them; ``boot_image`` or a volume
    with boot index 0 is what it boots from; ``host`` forces the compute host and still runs
    the filters (microversion 2.74).
    """

    name: str
    project_id: str
    flavor_id: str
    ports: tuple[str, ...]
    host: str | None = None
    boot_image: str | None = None
    volumes: tuple[AttachedVolume, ...] = ()
    availability_zone: str | None = None
    description: str | None = None
    hostname: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    server_group: str | None = None
    disk_config: str | None = None
    trusted_image_certificates: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstanceAction:
    """One entry of Nova's list of instance actions, with its times as epoch seconds."""

    action: str
    request_id: str
    start: float
    finish: float | None
    result: str = ""


@dataclass(frozen=True)
class Migration:
    """One migration record; ``status`` as Nova names it (``completed``, ``finished``...)."""

    id: str
    status: str
    kind: str
    source: str
    destination: str
    created: str = ""


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def time(self) -> float:
        """Return epoch seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Compute(Protocol):
    """Nova."""

    def servers(
        self, host: str | None = None, project_id: str | None = None, tag: str | None = None
    ) -> Iterable[Server]:
        """Return servers of all projects; deleted ones are left out."""

    def server(self, server_id: str) -> Server:
        """Return one server; ``server_group`` and ``scheduler_hints`` are filled in."""

    def attachments(self, server_id: str) -> tuple[AttachedVolume, ...]:
        """Return the volumes of a server, with device, tag and delete flag."""

    def create(self, new: NewServer) -> str:
        """Create a server in ``new.project_id`` and return its id."""

    def delete(self, server_id: str) -> None:
        """Delete a server for good, also where Nova would keep deleted ones for a while."""

    def stop(self, server_id: str) -> None:
        """Power a server off."""

    def start(self, server_id: str) -> None:
        """Power a server on; Nova plugs its ports anew."""

    def lock(self, server_id: str, reason: str) -> None:
        """Lock a server against its owner."""

    def unlock(self, server_id: str) -> None:
        """Unlock a server."""

    def migrate(self, server_id: str, host: str | None) -> None:
        """Migrate a server cold; it ends in VERIFY_RESIZE."""

    def confirm_migration(self, server_id: str) -> None:
        """Give up the source side of a cold migration."""

    def revert_migration(self, server_id: str) -> None:
        """Bring a server in VERIFY_RESIZE back to its source."""

    def shelve(self, server_id: str) -> None:
        """Shelve a server; it ends in SHELVED or SHELVED_OFFLOADED."""

    def offload(self, server_id: str) -> None:
        """Free the host of a shelved server."""

    def unshelve(self, server_id: str, host: str | None) -> None:
        """Bring a shelved, offloaded server back, to ``host`` if given (microversion 2.91)."""

    def create_image(self, server_id: str, name: str) -> str:
        """Snapshot a server's root disk into a new image and return the image's id."""

    def attach_volume(self, server_id: str, volume: AttachedVolume) -> None:
        """Attach a volume as it was recorded (tag and delete flag; device as a hint)."""

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """Detach a volume that is not the root disk."""

    def set_delete_on_termination(self, server_id: str, volume_id: str, delete: bool) -> None:
        """Say whether a volume goes with its server (microversion 2.85)."""

    def attach_port(self, server_id: str, port_id: str) -> None:
        """Attach an existing port."""

    def refresh_port(self, server_id: str, port_id: str) -> None:
        """Make Nova look at a server's port again, and forget it if another device holds it.

        That is what Neutron's own ``network-changed`` event does; Nova handles it later.
        """

    def set_tags(self, server_id: str, tags: tuple[str, ...]) -> None:
        """Replace the tags of a server."""

    def rename(self, server_id: str, name: str) -> None:
        """Change the display name."""

    def actions(self, server_id: str) -> tuple[InstanceAction, ...]:
        """Return the instance's actions, oldest first, with the times of their events."""

    def migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the migration records of a server, oldest first."""

    def hosts(self) -> Iterable[Host]:
        """Return the compute hosts, without their agents."""

    def set_host_enabled(self, host: str, enabled: bool, reason: str | None = None) -> None:
        """Enable or disable the compute service of a host."""

    def groups(self) -> Iterable[ServerGroup]:
        """Return the server groups of all projects."""

    def flavors(self) -> Iterable[Flavor]:
        """Return all flavors, also the private ones, with extra specs."""

    def keypairs(self, user_id: str) -> tuple[str, ...]:
        """Return the names of a user's keys."""

    def public_key(self, user_id: str, name: str) -> str:
        """Return the public part of a user's key."""

    def import_keypair(self, name: str, public_key: str) -> None:
        """Import a key for ourselves."""

    def delete_keypair(self, name: str) -> None:
        """Delete a key of ourselves."""

    def own_user_id(self) -> str:
        """Return the id of the user that we are."""

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage: ``instances``, ``cores``, ``ram``, ``server_group_members``."""


class Network(Protocol):
    """Neutron."""

    def ports(self, device_id: str | None = None) -> Iterable[Port]:
        """Return ports of all projects."""

    def port(self, port_id: str) -> Port:
        """Return one port."""

    def bind(self, port_id: str, host: str) -> Port:
        """Bind an unbound port to a host, and return it as it is then.

        Neutron works the VIF type and details out anew; a port that is bound to that host
        already stays as it is.
        """

    def unbind(self, port_id: str) -> None:
        """Take a port's binding away."""

    def set_owner(self, port_id: str, device_id: str, device_owner: str) -> None:
        """Say which device holds a port; empty strings set it free."""

    def set_dns_name(self, port_id: str, dns_name: str) -> None:
        """Set the DNS name of a port (Nova clears it when it unbinds a port)."""

    def floating_ips(self, port_id: str | None = None) -> Iterable[FloatingIP]:
        """Return floating IPs of all projects, or those of one port."""

    def agents(self) -> Iterable[Agent]:
        """Return all agents."""

    def networks(self) -> Iterable[str]:
        """Return the ids of all networks."""


class Volumes(Protocol):
    """Cinder."""

    def volumes(self) -> Iterable[Volume]:
        """Return volumes of all projects."""

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""


class Images(Protocol):
    """Glance."""

    def images(self) -> Iterable[Image]:
        """Return all images that we may see."""

    def image(self, image_id: str) -> Image:
        """Return one image."""

    def find(self, name: str) -> tuple[Image, ...]:
        """Return the images of a name."""

    def delete(self, image_id: str) -> None:
        """Delete an image."""


class Placement(Protocol):
    """Placement."""

    def rooms(self) -> dict[str, Room]:
        """Return what each compute host has and what is taken, by host name."""


class Orchestration(Protocol):
    """Heat and its like."""

    def managed_servers(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return who manages a server, by server id, for managed servers of these projects.

        Empty where the cloud has no such service.
        """


class Cloud(Protocol):
    """One cloud, seen by one set of credentials."""

    @property
    def id(self) -> str:
        """What tells this cloud from others: its Keystone's URL and the region."""

    @property
    def clock(self) -> Clock:
        """The clock that waits go by."""

    @property
    def compute(self) -> Compute: ...

    @property
    def network(self) -> Network: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def images(self) -> Images: ...

    @property
    def placement(self) -> Placement: ...

    @property
    def orchestration(self) -> Orchestration: ...

    def check_credentials(self) -> None:
        """Authenticate, and make sure that we may do an administrator's work.

        :raises Unauthorized: the credentials are refused.
        :raises Forbidden: they are not an administrator's.
        """

    def projects_without_us(self, project_ids: set[str]) -> set[str]:
        """Return the projects in which we cannot get a token (needed to re-create there)."""
