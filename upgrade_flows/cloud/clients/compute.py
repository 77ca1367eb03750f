"""Nova, put together: what is read of servers, what changes them, and the other parts.

Reads and creations go over an adapter, the rest of the changes through python-novaclient.

python-novaclient knows microversions up to 2.96 and keeps a cache of names in the user's home
directory when it lists or creates; so it is given what it does well, the server actions.
"""

from __future__ import annotations

from typing import Any

from keystoneauth1 import exceptions as ksa

from upgrade_flows import errors
from upgrade_flows.cloud.api import InstanceAction, NewServer
from upgrade_flows.cloud.clients import shapes
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.hosts import Hosts
from upgrade_flows.cloud.clients.http import concurrently, document, joined, pages, segment
from upgrade_flows.cloud.clients.moves import Moves
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    Quota,
    Server,
    ServerGroup,
)


@translated("compute")
class Compute(Moves, Hosts):
    """``api.Compute`` over Nova's API."""

    def servers(
        self, host: str | None = None, project_id: str | None = None, tag: str | None = None
    ) -> list[Server]:
        """Return servers of all projects, filtered by Nova."""
        query: dict[str, Any] = {"host": host, "project_id": project_id, "tags": tag}
        found = pages(self._api, "/servers/detail", "servers", all_tenants=1, **query)
        return [shapes.server(item) for item in found]

    def server(self, server_id: str) -> Server:
        """Return one server with its group and scheduler hints."""
        return shapes.server(document(self._api, f"/servers/{segment(server_id)}")["server"])

    def attachments(self, server_id: str) -> tuple[AttachedVolume, ...]:
        """Return the volumes of a server.

        Nova does not show boot indexes: the root disk is the volume at the server's root
        device, or the only one, of a server that has no image.
        """
        server = self.server(server_id)
        path = f"/servers/{segment(server_id)}/os-volume_attachments"
        return shapes.attachments(server, document(self._api, path)["volumeAttachments"])

    def create(self, new: NewServer) -> str:
        """Create a server with a token of its project."""
        api = self._in(new.project_id) if new.project_id else self._api
        answer = api.post("/servers", json=shapes.create_body(new))
        return str(answer.json()["server"]["id"])

    def delete(self, server_id: str) -> None:
        """Delete a server for good, also where deleted ones are kept for a while.

        With ``reclaim_instance_interval`` Nova only powers a server off and calls it
        SOFT_DELETED, with its volumes and its records of ports.
        """
        self._nova.servers.force_delete(server_id)

    def stop(self, server_id: str) -> None:
        """Power a server off."""
        self._nova.servers.stop(server_id)

    def start(self, server_id: str) -> None:
        """Power a server on."""
        self._nova.servers.start(server_id)

    def pause(self, server_id: str) -> None:
        """Stop the guest's processors."""
        self._nova.servers.pause(server_id)

    def unpause(self, server_id: str) -> None:
        """Let a paused guest go on."""
        self._nova.servers.unpause(server_id)

    def console(self, server_id: str, lines: int | None = None) -> str:
        """Return the last lines of a server's serial console, or all that Nova keeps."""
        body = {"os-getConsoleOutput": {} if lines is None else {"length": lines}}
        answer = self._api.post(f"/servers/{segment(server_id)}/action", json=body)
        return str(answer.json().get("output") or "")

    def lock(self, server_id: str, reason: str) -> None:
        """Lock a server; the reason is shown to its owner (2.73)."""
        self._nova.servers.lock(server_id, reason)

    def unlock(self, server_id: str) -> None:
        """Unlock a server."""
        self._nova.servers.unlock(server_id)

    def create_image(self, server_id: str, name: str) -> str:
        """Snapshot a server's root disk and return the image's id.

        The image belongs to the server's project, so that its owner can see it; to our own
        project where we have no role in theirs.
        """
        body = {"createImage": {"name": name, "metadata": {}}}
        try:
            api = self._in(self.server(server_id).project_id)
            api.get_token()
        except (errors.Forbidden, ksa.Unauthorized, ksa.Forbidden):
            api = self._api
        answer = api.post(f"/servers/{segment(server_id)}/action", json=body)
        return str(answer.json()["image_id"])

    def attach_volume(self, server_id: str, volume: AttachedVolume) -> None:
        """Attach a volume with its tag and delete flag (2.79)."""
        body: dict[str, Any] = {
            "volumeId": volume.volume_id,
            "delete_on_termination": volume.delete_on_termination,
        }
        if volume.device:
            body["device"] = volume.device
        if volume.tag:
            body["tag"] = volume.tag
        path = f"/servers/{segment(server_id)}/os-volume_attachments"
        self._api.post(path, json={"volumeAttachment": body})

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """Detach a volume that is not the root disk."""
        self._nova.volumes.delete_server_volume(server_id, volume_id)

    def set_delete_on_termination(self, server_id: str, volume_id: str, delete: bool) -> None:
        """Say whether a volume goes with its server (2.85)."""
        self._nova.volumes.update_server_volume(
            server_id, volume_id, volume_id, delete_on_termination=delete
        )

    def attach_port(self, server_id: str, port_id: str) -> None:
        """Attach an existing port; Nova answers when it is plugged."""
        path = f"/servers/{segment(server_id)}/os-interface"
        self._api.post(path, json={"interfaceAttachment": {"port_id": port_id}})

    def detach_port(self, server_id: str, port_id: str) -> None:
        """Detach a port; Nova looks at everything later."""
        self._api.delete(f"/servers/{segment(server_id)}/os-interface/{segment(port_id)}")

    def refresh_port(self, server_id: str, port_id: str) -> None:
        """Make Nova look at a server's port again, as Neutron's ``network-changed`` does."""
        event = {"name": "network-changed", "server_uuid": server_id, "tag": port_id}
        answer = self._api.post("/os-server-external-events", json={"events": [event]})
        code = answer.json()["events"][0].get("code", 200)
        if code >= 400:
            raise errors.Conflict(
                f"compute: refresh port {port_id}: Nova takes no event for server {server_id} "
                f"(code {code})"
            )

    def set_tags(self, server_id: str, tags: tuple[str, ...]) -> None:
        """Replace the tags of a server."""
        self._nova.servers.set_tags(server_id, list(tags))

    def rename(self, server_id: str, name: str) -> None:
        """Change the display name."""
        self._nova.servers.update(server_id, name=name)

    def actions(self, server_id: str) -> tuple[InstanceAction, ...]:
        """Return the instance's actions, oldest first; one call for each, for its events."""
        path = f"/servers/{segment(server_id)}/os-instance-actions"
        listed = pages(self._api, path, "instanceActions", links="links", marker="request_id")

        def detail(action: dict[str, Any]) -> InstanceAction:
            where = f"{path}/{segment(action['request_id'])}"
            return shapes.instance_action(document(self._api, where)["instanceAction"])

        oldest_first = concurrently(detail, listed[::-1])  # times are of whole seconds
        return tuple(sorted(oldest_first, key=lambda action: action.start))

    def groups(self) -> list[ServerGroup]:
        """Return the server groups of all projects."""
        groups: list[ServerGroup] = []
        while True:
            path = joined("/os-server-groups", all_projects=True, limit=1000, offset=len(groups))
            found = document(self._api, path)["server_groups"]
            groups += [shapes.group(item) for item in found]
            if not found:
                return groups

    def flavors(self) -> list[Flavor]:
        """Return all flavors, also the private ones."""
        found = pages(self._api, "/flavors/detail", "flavors", is_public="None")
        return [shapes.flavor(item) for item in found]

    def keypairs(self, user_id: str) -> tuple[str, ...]:
        """Return the names of a user's keys."""
        query = {"user_id": user_id}
        found = pages(self._api, "/os-keypairs", "keypairs", marker="keypair.name", **query)
        return tuple(str(item["keypair"]["name"]) for item in found)

    def public_key(self, user_id: str, name: str) -> str:
        """Return the public part of a user's key."""
        path = joined(f"/os-keypairs/{segment(name)}", user_id=user_id)
        return str(document(self._api, path)["keypair"]["public_key"])

    def import_keypair(self, name: str, public_key: str) -> None:
        """Import a key for ourselves."""
        self._api.post("/os-keypairs", json={"keypair": {"name": name, "public_key": public_key}})

    def delete_keypair(self, name: str) -> None:
        """Delete a key of ourselves."""
        self._api.delete(f"/os-keypairs/{segment(name)}")

    def own_user_id(self) -> str:
        """Return the id of the user that we are."""
        return str(self._connection.session.get_user_id() or "")

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project."""
        body = document(self._api, joined("/limits", tenant_id=project_id))
        return shapes.quota(body["limits"]["absolute"])
