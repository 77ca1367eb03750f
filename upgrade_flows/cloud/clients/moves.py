"""Nova's calls that move a server, and its records of migrations."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Memory, Migration
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, pages, segment
from upgrade_flows.cloud.clients.nova import Nova


@translated("compute")
class Moves(Nova):
    """Cold and live migration, shelve and unshelve."""

    def migrate(self, server_id: str, host: str | None) -> None:
        """Migrate a server cold."""
        self._nova.servers.migrate(server_id, host)

    def confirm_migration(self, server_id: str) -> None:
        """Give up the source side of a cold migration."""
        self._nova.servers.confirm_resize(server_id)

    def revert_migration(self, server_id: str) -> None:
        """Bring a server in VERIFY_RESIZE back."""
        self._nova.servers.revert_resize(server_id)

    def shelve(self, server_id: str) -> None:
        """Shelve a server."""
        self._nova.servers.shelve(server_id)

    def offload(self, server_id: str) -> None:
        """Free the host of a shelved server."""
        self._nova.servers.shelve_offload(server_id)

    def unshelve(self, server_id: str, host: str | None) -> None:
        """Bring a shelved server back; only an offloaded one can be given a host (2.91)."""
        if host and self._version < (2, 91):
            raise errors.Conflict(f"compute: unshelve {server_id}: a host needs microversion 2.91")
        self._nova.servers.unshelve(server_id, host=host)

    def live_migrate(self, server_id: str, host: str | None) -> None:
        """Move a running server; the answer says nothing of whether it will (2.34)."""
        body = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
        self._api.post(f"/servers/{segment(server_id)}/action", json=body)

    def live_migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the live migrations of a server under way, with their memory (2.23)."""
        return tuple(_migration(item, memory=True) for item in self._under_way(server_id))

    def force_complete(self, server_id: str, migration_id: str) -> None:
        """Make a live migration come to an end (2.22)."""
        path = self._live_path(server_id, migration_id)
        self._api.post(f"{path}/action", json={"force_complete": None})

    def abort_migration(self, server_id: str, migration_id: str) -> None:
        """Give a live migration up (2.24; before it runs, 2.65)."""
        self._api.delete(self._live_path(server_id, migration_id))

    def migrations(self, server_id: str) -> tuple[Migration, ...]:
        """Return the migration records of a server, oldest first."""
        return self._records(instance_uuid=server_id)

    def migrations_of_host(self, host: str) -> tuple[Migration, ...]:
        """Return the migrations from or to a host that have not ended.

        Nova's filter for statuses takes one of them, so that all records of the host are read.
        """
        return tuple(item for item in self._records(host=host) if not item.ended)

    def migrations_in(self, status: str) -> tuple[Migration, ...]:
        """Return all migration records of one status; Nova looks for it."""
        return self._records(status=status)

    def _records(self, **query: str) -> tuple[Migration, ...]:
        found = pages(self._api, "/os-migrations", "migrations", marker="uuid", **query)
        found.sort(key=lambda item: (item.get("created_at") or "", int(item["id"])))
        return tuple(_migration(item) for item in found)

    def _under_way(self, server_id: str) -> list[dict[str, Any]]:
        path = f"/servers/{segment(server_id)}/migrations"
        return list(document(self._api, path)["migrations"])

    def _live_path(self, server_id: str, migration_id: str) -> str:
        """Return the path of a live migration: it has the record's number, not its uuid."""
        for item in self._under_way(server_id):
            if migration_id == item.get("uuid"):
                return f"/servers/{segment(server_id)}/migrations/{item['id']}"
        raise errors.NotFound(
            f"compute: no live migration {migration_id} of server {server_id} is under way"
        )


def _migration(data: dict[str, Any], memory: bool = False) -> Migration:
    """Read a migration record; those of one server say neither their type nor that it is live."""
    return Migration(
        id=str(data.get("uuid") or data["id"]),
        status=data.get("status") or "",
        kind=data.get("migration_type") or ("live-migration" if memory else ""),
        source=data.get("source_compute") or "",
        destination=data.get("dest_compute") or "",
        created=data.get("created_at") or "",
        server_id=data.get("instance_uuid") or data.get("server_uuid") or "",
        updated=data.get("updated_at") or "",
        memory=_memory(data) if memory else None,
    )


def _memory(data: dict[str, Any]) -> Memory:
    return Memory(
        total=int(data.get("memory_total_bytes") or 0),
        processed=int(data.get("memory_processed_bytes") or 0),
        remaining=int(data.get("memory_remaining_bytes") or 0),
    )
