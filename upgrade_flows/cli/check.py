"""``upgrade-flows check``: what needs a change, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from upgrade_flows.cli import base

COLUMNS = ("Server", "Name", "Host", "Port", "Bound", "Wanted", "Needs change", "Why")


class VifMode(base.Lister):
    """Show for each port the VIF mode it is bound in, and the mode its host would bind it in now

    Nothing is changed.
    """

    examples = (
        "upgrade-flows check vif-mode --host compute-1",
        "upgrade-flows check vif-mode --all -f csv",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the scope."""
        base.add_scope(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Collect, and show one row for each port."""
        scope = base.scope_of(parsed_args)
        scope.check()
        inventory = self.wiring.collect(self.connect(), scope, self.reading)
        servers = self.wiring.select(inventory, scope)
        return COLUMNS, [
            (
                row.server_id,
                row.server_name,
                row.host,
                row.port_id,
                str(row.bound),
                str(row.wanted),
                row.needs_change,
                row.why,
            )
            for row in self.wiring.vif_rows(inventory, servers)
        ]
