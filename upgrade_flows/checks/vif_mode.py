"""For every port in scope: the mode it is bound in, against the mode its host would bind now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from upgrade_flows.model.inventory import Inventory, Server
from upgrade_flows.plugins.vif import in_guest_order, port_case


@dataclass(frozen=True)
class VifModeRow:
    """One port: its two modes, and what follows."""

    server_id: str
    server_name: str
    host: str
    port_id: str
    bound: str
    wanted: str
    needs_change: bool
    why: str


def rows(inventory: Inventory, servers: Iterable[Server], plugins: Any) -> tuple[VifModeRow, ...]:
    """Compare the modes of all ports of the given servers."""
    found = []
    for server in servers:
        host = inventory.host(server.host)
        agent = host.agent if host else None
        for port in in_guest_order(inventory, server):
            case = port_case(plugins, port, agent)
            if case.plugin is None:
                why = f"no network plugin knows vif_type {port.vif_type}"
            elif agent is None:
                why = f"host {server.host or '(none)'} has no L2 agent: unknown what it would bind"
            elif not agent.alive:
                why = f"the L2 agent of {server.host} is not alive: what it said last is compared"
            elif case.differs:
                why = "bound before the host's agent changed; a restart keeps the old mode"
            else:
                why = "nothing to do"
            found.append(
                VifModeRow(
                    server.id,
                    server.name,
                    server.host,
                    port.id,
                    case.bound,
                    case.wanted,
                    case.differs,
                    why,
                )
            )
    return tuple(found)
