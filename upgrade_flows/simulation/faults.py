"""What is to go wrong in a simulation, drawn from a seed: the same seed, the same misfortunes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from upgrade_flows.cloud.fake import FakeCloud, hosts, transfers
from upgrade_flows.errors import RequestError


@dataclass(frozen=True)
class WhatIf:
    """How bad it gets.

    :param migrations_fail: the probability (0 to 1) with which each live migration fails.
    :param migrations_stuck: the share of instances whose live migrations never converge.
    :param hosts_fail: the share of hosts that do not come back from their reboot.
    :param slower: migrations, upgrades and reboots take so many times longer (above 0).
    :param seed: what all of it is drawn from.
    """

    migrations_fail: float = 0.0
    migrations_stuck: float = 0.0
    hosts_fail: float = 0.0
    slower: float = 1.0
    seed: int = 0

    def check(self) -> None:
        """Refuse numbers that make no sense.

        :raises RequestError: with the number and its range.
        """
        for name in ("migrations_fail", "migrations_stuck", "hosts_fail"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise RequestError(f"{name.replace('_', '-')} is {share:g}; it must be from 0 to 1")
        if not 0 < self.slower <= 1000:
            raise RequestError(f"slower is {self.slower:g}; it must be above 0, and 1000 at most")

    def arm(self, cloud: FakeCloud) -> None:
        """Let a cloud behave like this.

        Every draw depends on its subject and on how often that was tried, not on the order of
        things: a plan that differs a little meets the same misfortunes.
        """
        tries: Counter[str] = Counter()

        def migration(server_id: str) -> str | None:
            tries[server_id] += 1
            if self._draw("stuck", server_id) < self.migrations_stuck:
                return ""
            number = str(tries[server_id])
            return (
                "failed" if self._draw("fail", server_id, number) < self.migrations_fail else None
            )

        def reboot(host: str) -> str | None:
            return "" if self._draw("host", host) < self.hosts_fail else None

        cloud.faults.choose(transfers.CALL, migration)
        cloud.faults.choose(hosts.REBOOT, reboot)

    def _draw(self, *what: str) -> float:
        """Return a number from 0 up to 1, which belongs to the seed and the names."""
        text = "/".join((str(self.seed), *what))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / (1 << 56)
