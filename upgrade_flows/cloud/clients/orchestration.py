"""Heat, and Octavia: who manages a server that nobody created by hand."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa

from upgrade_flows import errors
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import concurrently, document, joined, pages, segment
from upgrade_flows.cloud.clients.session import Connection

LOG = logging.getLogger(__name__)
_DEPTH = 5


@translated("orchestration")
class Orchestration:
    """``api.Orchestration`` over the APIs of Heat and Octavia, where the cloud has them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def managed_servers(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return who manages a server, by server id.

        A call for each project and one for each root stack.  Heat shows an administrator the
        stacks of other projects only where its policy was changed, so each project is asked
        with a token of its own; projects that do not let us in are left out, with a warning.
        """
        managed: dict[str, str] = {}
        if self._connection.has("orchestration"):
            for found in concurrently(self._of_project, sorted(project_ids)):
                managed.update(found)
        if self._connection.has("load-balancer"):
            managed.update(self._octavia())
        return managed

    def _of_project(self, project_id: str) -> dict[str, str]:
        try:
            heat = self._connection.adapter(
                "orchestration", session=self._connection.for_project(project_id)
            )
            stacks = pages(heat, "/stacks", "stacks", links="links")
            return {
                server_id: _manager(stack)
                for stack in stacks
                for server_id in self._servers(heat, stack)
            }
        except (ksa.Forbidden, ksa.NotFound, ksa.Unauthorized, errors.Forbidden) as exc:
            LOG.warning("Heat does not show the stacks of project %s: %s", project_id, exc)
            return {}

    def _servers(self, heat: adapter.Adapter, stack: dict[str, Any]) -> list[str]:
        """Return the ids of the servers of a stack and the stacks nested in it."""
        path = joined(
            f"/stacks/{segment(stack['stack_name'])}/{segment(stack['id'])}/resources",
            nested_depth=_DEPTH,
            type="OS::Nova::Server",
        )
        ids = (item.get("physical_resource_id") for item in document(heat, path)["resources"])
        return [str(server_id) for server_id in ids if server_id]

    def _octavia(self) -> dict[str, str]:
        root = self._connection.root("load-balancer", "/v2.0").removesuffix("/v2")
        octavia = self._connection.adapter("load-balancer", endpoint_override=root)
        try:
            found = pages(octavia, "/v2.0/octavia/amphorae", "amphorae")
        except (ksa.Forbidden, ksa.NotFound) as exc:
            LOG.warning("Octavia does not show its amphorae: %s", exc)
            return {}
        return {
            item["compute_id"]: f"Octavia load balancer {item.get('loadbalancer_id') or '(spare)'}"
            for item in found
            if item.get("compute_id")
        }


def _manager(stack: dict[str, Any]) -> str:
    label = f"Heat stack {stack['stack_name']} ({stack['id']})"
    if any("magnum" in str(tag).lower() for tag in stack.get("tags") or []):
        return f"Magnum, {label}"
    return label
