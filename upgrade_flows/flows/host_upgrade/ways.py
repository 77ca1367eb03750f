"""What is in the way of an instance on its way to the other hosts of a plan: devices, VIF modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upgrade_flows.flows.moving import DEVICES, Obstacles, obstacles_of
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Agent, Host, Inventory, Port, Server


class Ways:
    """Knows the hosts between which instances move, and how these bind ports."""

    def __init__(self, inventory: Inventory, plugins: Any, hosts: Sequence[Host]) -> None:
        self._inventory, self._plugins = inventory, plugins
        # hosts that bind alike need to be asked once
        self._agents: dict[str, list[tuple[str, Agent]]] = {}
        for host in hosts:
            if host.agent is not None:
                like = codec.digest([host.agent.agent_type, host.agent.configurations])
                self._agents.setdefault(like, []).append((host.name, host.agent))

    def obstacles(self, server: Server) -> Obstacles:
        """Return what is in the way of an instance."""
        found = obstacles_of(server)
        if found.live or found.move:
            return found
        group = self._inventory.group_of(server.id)
        if group is not None and group.policy == "affinity" and len(group.members) > 1:
            others = len(group.members) - 1
            return Obstacles(
                move=f"its server group {group.name} keeps it on one host with {others} others,"
                " and Nova moves none of them elsewhere"
            )
        for port in self._inventory.ports_of(server.id):
            if port.vnic_type in DEVICES:
                return Obstacles(live=f"port {port.id} is a device of its host ({port.vnic_type})")
            why = self._refusal(server, port)
            if why:
                return Obstacles(live=why)
        return Obstacles()

    def _refusal(self, server: Server, port: Port) -> str | None:
        """Return why a port cannot be plugged live at any of the hosts; None: at one it can."""
        why = None
        for alike in self._agents.values():
            agent = next((agent for name, agent in alike if name != server.host), None)
            if agent is None:
                continue
            plugin = self._plugins.network_of(port, agent)
            if plugin is None:
                return None  # nobody knows: Nova will say
            said = plugin.live_migration_refusal(port, plugin.wanted_mode(port, agent))
            if said is None:
                return None
            why = why or said
        return why
