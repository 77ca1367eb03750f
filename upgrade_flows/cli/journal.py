"""``upgrade-flows journal``: the database that runs are recorded in."""

from __future__ import annotations

import argparse

from upgrade_flows.cli import base


class Upgrade(base.Command):
    """Bring the journal of an older upgrade_flows up to date

    Stop the conductors and back the journal up first: an older upgrade_flows cannot use it
    afterwards.  A journal that is up to date stays as it is; one that is an SQLite file needs no
    such command, it is brought up to date when it is opened.
    """

    examples = (
        "upgrade-flows journal upgrade",
        "upgrade-flows --config-file /etc/upgrade-flows/upgrade-flows.conf journal upgrade",
    )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Upgrade, and say so."""
        self.wiring.upgrade_journal(self.settings.journal)
        self.app.stdout.write("The journal is up to date; start the conductors again.\n")
        return 0
