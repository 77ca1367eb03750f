"""``upgrade-flows inventory``: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from upgrade_flows.cli import base
from upgrade_flows.model.request import Scope

COLUMNS = ("Server", "Name", "Host", "Status", "VIF mode")


class Inventory(base.Lister):
    """List servers with their host, their status and the VIF modes they are bound in

    Without a scope all servers are listed.  Nothing is changed.
    """

    examples = (
        "upgrade-flows --os-cloud prod inventory",
        "upgrade-flows inventory --host compute-1 compute-2 -f json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the scope."""
        base.add_scope(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Collect, and show one row for each server."""
        scope = base.scope_of(parsed_args)
        if base.is_empty(scope):
            scope = Scope(everything=True)
        inventory = self.wiring.collect(self.connect(), scope, self.reading)
        servers = self.wiring.select(inventory, scope)
        modes: dict[str, list[str]] = {}
        for row in self.wiring.vif_rows(inventory, servers):
            known = modes.setdefault(row.server_id, [])
            if str(row.bound) not in known:
                known.append(str(row.bound))
        return COLUMNS, [
            (
                server.id,
                server.name,
                server.host,
                server.status,
                ", ".join(modes.get(server.id, [])),
            )
            for server in sorted(servers, key=lambda server: (server.host, server.name, server.id))
        ]
