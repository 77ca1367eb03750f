"""Which hosts belong together, which policy chooses among them, and what it does not know."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from upgrade_flows.errors import RequestError
from upgrade_flows.flows import host_groups
from upgrade_flows.flows.host_groups import HostGroups
from upgrade_flows.flows.live_update.options import Options
from upgrade_flows.flows.live_update.room import Ledger
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.steps.base import Plugins

#: the policy where nobody names one
DEFAULT = "striping"


class Hosts:
    """The compute hosts of a cloud, and their groups.

    Remembers what it was asked, so that a plan complains of what it has to do with only.

    :raises RequestError: a policy, an aggregate or a host that is named does not exist.
    """

    def __init__(
        self,
        inventory: Inventory,
        plugins: Plugins,
        options: Options,
        allowed: tuple[str, ...] = (),
    ) -> None:
        self._inventory, self._plugins = inventory, plugins
        self._default = options.placement or DEFAULT
        self._allowed = allowed
        self._asked: set[str] = set()
        self._used: dict[str, set[str]] = {}
        if self._default not in plugins.placement:
            known = ", ".join(sorted(plugins.placement)) or "none is installed"
            raise RequestError(f"there is no placement policy {self._default!r} (known: {known})")
        missing = [name for name in allowed if inventory.host(name) is None]
        if missing:
            raise RequestError(f"{', '.join(missing)}: no such compute host")
        named = host_groups.named(options.host_groups)
        self._groups = HostGroups()
        if named is not None:
            names = [host.name for host in inventory.hosts]
            self._groups = host_groups.host_groups(
                inventory.aggregates, names, set(plugins.placement), named
            )

    @functools.cached_property
    def _refused(self) -> dict[str, str]:
        return {
            one.subject: one.message
            for one in self._groups.complaints
            if one.severity == Severity.REFUSED
        }

    def allows(self, host: str) -> bool:
        """Whether the request lets something go to a host: it names that one, or none at all."""
        return not self._allowed or host in self._allowed

    def group(self, host: str) -> str:
        """Return the name of a host's group; empty where there are no groups."""
        return self._groups.group_of.get(host, "")

    def policy(self, host: str) -> str:
        """Return the name of the policy that chooses among the hosts of a host's group."""
        return self._groups.placement.get(self.group(host), self._default)

    def refusal(self, host: str) -> str | None:
        """Return why nothing leaves a host: its group is not in order."""
        self._asked.update((host, self.group(host)))
        return self._refused.get(host) or self._refused.get(self.group(host))

    def others(self, host: str) -> list[str]:
        """Return the other hosts that what is on a host may go to, by their group."""
        if self.refusal(host):
            return []
        group = self.group(host)
        return [
            one.name
            for one in self._inventory.hosts
            if one.name != host
            and self.allows(one.name)
            and one.name not in self._refused
            and self.group(one.name) == group
        ]

    def best(
        self,
        ledger: Ledger,
        source: str,
        hosts: Iterable[str],
        amounts: Mapping[str, int],
        zone: str,
    ) -> str | None:
        """Return the host that the policy of the source's group wants an instance on.

        Hosts in the same zone go before others; of equal ones the first by name.
        """
        name = self.policy(source)
        policy = self._plugins.placement[name]
        ranked = []
        for host in hosts:
            load = ledger.load(host)
            lack = policy.lacks(load)
            if lack:
                self._used.setdefault(name, set()).add(lack)
            known = self._inventory.host(host)
            away = known is None or known.availability_zone != zone
            ranked.append((away, policy.cost(load, dict(amounts)), host))
        return min(ranked)[2] if ranked else None

    def findings(self) -> tuple[Finding, ...]:
        """Return what is wrong with groups that were asked for, and what policies do not know."""
        groups = [one for one in self._groups.complaints if one.subject in self._asked]
        lacking = [
            Finding(
                "UF-LU-032",
                name,
                Severity.WARNING,
                f"the placement policy {name} does without what it should know: {min(lacks)}"
                + (f" (and so it is with {len(lacks) - 1} more hosts)" if len(lacks) > 1 else ""),
                "choose another policy, or name hosts in the request (target: hosts)",
            )
            for name, lacks in sorted(self._used.items())
        ]
        return (*groups, *lacking)
