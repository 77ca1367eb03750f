"""Nova's calls about live migrations, and its records of all migrations."""

from __future__ import annotations

from upgrade_flows import errors
from upgrade_flows.cloud.api import Migration
from upgrade_flows.cloud.fake import transfers
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import ready, record
from upgrade_flows.cloud.fake.records import Live


class LiveMigrations(Base):
    """Live migration.

    ``faults.stuck("compute.live_migrate")`` makes one that never converges: it runs until it is
    forced or given up.  ``faults.break_result`` ends one in a status of the migration's
    (``failed``, ``cancelled``: all is as before), in one of the server's (``ERROR``, at the
    destination), or as ``completed``: the record says so, and the server is left MIGRATING on
    its source.
    """

    def live_migrate(self, server_id: str, host: str | None) -> None:
        """Move a running or paused server; whether there is a host for it shows later."""
        world = self._world
        instance = world.instance(server_id)
        server = instance.server
        ready(instance, "os-migrateLive", "ACTIVE", "PAUSED")
        if host is not None and host not in world.hosts:
            raise errors.Conflict(f"Compute host {host} could not be found.")
        action = record(world, server_id, "live-migration")
        migration = Migration(
            id=world.new_id("migration"),
            status="accepted",
            kind="live-migration",
            source=server.host,
            destination=host or "",
            created=world.timestamp(),
            server_id=server_id,
            updated=world.timestamp(),
        )
        world.add_migration(migration)
        world.set_server(server_id, status="MIGRATING", task_state="migrating")
        live = Live(
            server_id=server_id,
            migration_id=migration.id,
            source=server.host,
            wanted=host,
            action=action,
            before=server,
            memory=server.flavor.memory_mb << 20,
            dirty_rate=instance.dirty_rate,
            ending=self._faults.ending(transfers.CALL, server_id),
        )
        transfers.begin(world, live, world.clock.time())

    def live_migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the live migration of a server, from the moment that its source knows of it."""
        self._world.instance(server_id)
        live = self._world.live.get(server_id)
        if live is None or live.phase == "accepted":
            return ()
        return (transfers.shown(self._world, live, self._world.clock.time()),)

    def force_complete(self, server_id: str, migration_id: str) -> None:
        """Make a running live migration come to an end, while the guest stands still."""
        live = self._under_way(server_id, migration_id)
        if live.phase != "running":
            raise errors.Conflict(
                f"Migration {migration_id} state of instance {server_id} is {live.phase}. "
                "Cannot force_complete while the migration is in this state."
            )
        record(self._world, server_id, "live_migration_force_complete", finished=True)
        if self._faults.ending("compute.force_complete", server_id) is None:
            transfers.force(self._world, live, self._world.clock.time())

    def abort_migration(self, server_id: str, migration_id: str) -> None:
        """Give a live migration up."""
        live = self._under_way(server_id, migration_id)
        record(self._world, server_id, "live_migration_cancel", finished=True)
        if self._faults.ending("compute.abort_migration", server_id) is None:
            seconds = self._world.durations["compute.abort_migration"]
            transfers.give_up(self._world, live, self._world.clock.time(), seconds)

    def migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the migration records of a server, oldest first."""
        return tuple(self._world.migrations.get(server_id, ()))

    def migrations_in(self, status: str) -> tuple[Migration, ...]:
        """Return all migration records of one status, oldest first."""
        every = (item for records in self._world.migrations.values() for item in records)
        found = [item for item in every if item.status == status]
        return tuple(sorted(found, key=lambda item: item.created))

    def migrations_of_host(self, host: str) -> tuple[Migration, ...]:
        """Return the migrations from or to a host that have not ended, oldest first."""
        found = [
            item
            for item in self._world.open_migrations()
            if host in (item.source, item.destination)
        ]
        return tuple(sorted(found, key=lambda item: item.created))

    def _under_way(self, server_id: str, migration_id: str) -> Live:
        self._world.instance(server_id)
        live = self._world.live.get(server_id)
        if live is None or live.migration_id != migration_id or live.phase == "accepted":
            raise errors.NotFound(
                f"Migration {migration_id} not found for instance {server_id}: "
                "it is not in progress"
            )
        return live
