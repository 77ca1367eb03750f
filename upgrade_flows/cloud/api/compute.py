"""What we need of Nova."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from upgrade_flows.cloud.api.condition import Service
from upgrade_flows.cloud.api.facts import (
    HostService,
    Hypervisor,
    InstanceAction,
    Migration,
    NewServer,
)
from upgrade_flows.model.inventory import (
    Aggregate,
    AttachedVolume,
    Flavor,
    Host,
    Quota,
    Server,
    ServerGroup,
)


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

    def pause(self, server_id: str) -> None:
        """Stop the guest's processors; its memory and its network stay where they are."""

    def unpause(self, server_id: str) -> None:
        """Let a paused guest go on."""

    def console(self, server_id: str, lines: int | None = None) -> str:
        """Return what a server's serial console has shown, the last lines or all.

        :raises Conflict: the server is on no host yet.
        """

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

    def live_migrate(self, server_id: str, host: str | None) -> None:
        """Move a running server, or a paused one, to ``host``, or to one of the scheduler's choice.

        The scheduler looks at a host that is named as well.  Everything is checked after the
        answer (since 2.34), so success shows only in three places at once: the server's host,
        the migration's status ``completed``, and no task state.  Whether disks are copied is
        for Nova to find out.

        :raises Conflict: the server is neither ACTIVE nor PAUSED, or something is under way, or
            there is no such host.
        """

    def live_migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the live migrations of a server under way, with the progress of its memory.

        Not those that are ``accepted`` only: they have not reached the source yet (2.23).
        """

    def force_complete(self, server_id: str, migration_id: str) -> None:
        """Make a ``running`` live migration come to an end, at the cost of the guest (2.22).

        Nova pauses the guest for the rest of the copy, or begins post-copy where that is
        allowed: from then on, losing either host loses the guest.

        :raises NotFound: no such live migration is under way.
        :raises Conflict: it is not running yet, or any more.
        """

    def abort_migration(self, server_id: str, migration_id: str) -> None:
        """Give a live migration up, also one that is queued or preparing (2.65).

        :raises NotFound: no such live migration is under way.
        :raises Conflict: it is too far to be given up.
        """

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
        """Attach an existing port, as the last one; it is plugged when this returns.

        :raises Conflict: another device holds the port, or it is of another project.
        :raises Unavailable: it has a DNS name that is not the server's hostname (Nova answers
            500), or Nova could not plug it.
        """

    def detach_port(self, server_id: str, port_id: str) -> None:
        """Detach a port; the guest must acknowledge that it is unplugged.

        A port that Nova made is deleted, one that was there before is unbound and of nobody;
        nothing shows which of the two a port is.  Another server can take it then.  Everything is
        found out after the answer, also that the server has no such port.

        :raises Conflict: the server is neither ACTIVE, PAUSED nor SHUTOFF, or something is under
            way.
        """

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

    def migrations_of_host(self, host: str) -> tuple[Migration, ...]:
        """Return the migrations from or to a host that have not ended, oldest first (2.59).

        Those that have it as ``destination`` would lose their server if it were rebooted; a
        cold one that is ``finished`` may yet be reverted to its ``source``.
        """

    def hosts(self) -> Iterable[Host]:
        """Return the compute hosts, without their agents."""

    def service(self, host: str) -> HostService:
        """Return the compute service of a host, as it must be restored one day.

        :raises NotFound: there is no such compute host.
        """

    def set_host_enabled(self, host: str, enabled: bool, reason: str | None = None) -> None:
        """Enable or disable the compute service of a host.

        Each call says everything: the reason of before is gone, also where none is given.
        """

    def hypervisor(self, host: str) -> Hypervisor:
        """Return the hypervisor of a compute host, with its uptime (2.88).

        :raises NotFound: there is none.
        """

    def hypervisors(self) -> Iterable[Hypervisor]:
        """Return the hypervisors of all compute hosts, without their uptimes."""

    def services(self) -> Iterable[Service]:
        """Return all services of Nova, nova-compute included."""

    def migrations_in(self, status: str) -> tuple[Migration, ...]:
        """Return all migration records of one status, oldest first."""

    def aggregates(self) -> Iterable[Aggregate]:
        """Return the host aggregates."""

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
