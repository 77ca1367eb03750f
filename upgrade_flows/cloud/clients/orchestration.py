"""Heat, and Octavia: who manages a server that nobody created by hand."""

from __future__ import annotations

import logging
from typing import Any

from keystoneauth1 import exceptions as ksa

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

    def managed_servers(self) -> dict[str, str]:
        """Return who manages a server, by server id.

        Two calls, and one for each root stack.
        """
        managed: dict[str, str] = {}
        if self._connection.has("orchestration"):
            managed.update(self._heat())
        if self._connection.has("load-balancer"):
            managed.update(self._octavia())
        return managed

    def _heat(self) -> dict[str, str]:
        stacks = self._stacks()
        managed: dict[str, str] = {}
        for stack, servers in zip(stacks, concurrently(self._servers, stacks), strict=True):
            manager = _manager(stack)
            managed.update({server: manager for server in servers})
        return managed

    def _stacks(self) -> list[dict[str, Any]]:
        heat = self._connection.adapter("orchestration")
        try:
            return pages(heat, "/stacks", "stacks", links="links", global_tenant="true")
        except ksa.Forbidden:
            LOG.warning("Heat does not show us other projects' stacks: only our own are known")
            return pages(heat, "/stacks", "stacks", links="links")

    def _servers(self, stack: dict[str, Any]) -> list[str]:
        """Return the ids of the servers of a stack and the stacks nested in it."""
        project = str(stack.get("project") or "")
        path = joined(
            f"/stacks/{segment(stack['stack_name'])}/{segment(stack['id'])}/resources",
            nested_depth=_DEPTH,
            type="OS::Nova::Server",
        )
        heat = self._connection.adapter("orchestration")
        try:
            own = self._connection.session.get_project_id()
            if project and own and project != own:
                there = str(heat.get_endpoint()).replace(own, project)
                heat = self._connection.adapter("orchestration", endpoint_override=there)
            found = document(heat, path)["resources"]
        except (ksa.Forbidden, ksa.NotFound) as exc:
            LOG.warning("Heat does not show the servers of stack %s: %s", stack["id"], exc)
            return []
        ids = (item.get("physical_resource_id") for item in found)
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
