"""Ask the network plugins about a port: the mode it is in, and the mode that its host offers."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.model.inventory import Agent, Inventory, Port, Server
from upgrade_flows.steps.base import Plugins


@dataclass(frozen=True)
class PortCase:
    """A port: the mode it is bound in, the mode its host would bind now, and who plugs it."""

    port: Port
    bound: str
    wanted: str
    plugin: str | None

    @property
    def differs(self) -> bool:
        """Whether the port is not in the mode that its host would bind now."""
        return self.plugin is not None and self.bound != self.wanted


def port_case(plugins: Plugins, port: Port, agent: Agent | None) -> PortCase:
    """Compare the mode of a port with the mode that an agent's host would bind now."""
    for name, plugin in plugins.network.items():
        if plugin.claims(port, agent):
            bound = str(plugin.bound_mode(port))
            wanted = str(plugin.wanted_mode(port, agent)) if agent else bound
            return PortCase(port, bound, wanted, name)
    return PortCase(port, port.vif_type, port.vif_type, None)


def in_guest_order(inventory: Inventory, server: Server) -> list[Port]:
    """Return a server's ports in the order of its addresses, which is that of its NICs."""
    order = {address: index for index, address in enumerate(server.addresses)}

    def place(port: Port) -> tuple[int, str]:
        known = [order[pair[1]] for pair in port.fixed_ips if pair[1] in order]
        return (min(known, default=len(order)), port.id)

    return sorted(inventory.ports_of(server.id), key=place)
