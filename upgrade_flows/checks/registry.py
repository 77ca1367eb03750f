"""Load every check there is, or refuse to start with all the reasons at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from upgrade_flows.checks.base import Check
from upgrade_flows.errors import PluginError, RequestError
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Severity
from upgrade_flows.plugins import registry

GROUP = "upgrade_flows.checks"
ID = re.compile(r"UF-[A-Z]{2,}-\d{3}")


@dataclass(frozen=True)
class Checks:
    """The checks of one process, by name, in the order of their areas and names."""

    checks: Mapping[str, Check]

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas that there are checks of."""
        return tuple(sorted({check.area for check in self.checks.values()}))

    @property
    def rules(self) -> dict[str, Rule]:
        """Every rule, by its id."""
        return {rule.id: rule for check in self.checks.values() for rule in check.rules}

    def of(self, areas: Iterable[str] = ()) -> dict[str, Check]:
        """Return the checks of some areas, or all of them.

        :raises RequestError: there is no such area.
        """
        wanted = set(areas)
        unknown = sorted(wanted - set(self.areas))
        if unknown:
            raise RequestError(
                f"there are no checks of {', '.join(unknown)}; areas are {', '.join(self.areas)}"
            )
        return {
            name: check for name, check in self.checks.items() if not wanted or check.area in wanted
        }

    def rule(self, rule_id: str) -> Rule:
        """Return a rule.

        :raises RequestError: no check finds that.
        """
        try:
            return self.rules[rule_id]
        except KeyError:
            raise RequestError(
                f"no check finds {rule_id}; 'upgrade-flows check --list' lists what they find"
            ) from None


def load(group: str = GROUP) -> Checks:
    """Load all checks.

    :raises PluginError: one does not load, lacks something, or has an id that another one has.
    """
    reasons: list[str] = []
    found: dict[str, Check] = registry.load_kind(group, Check, reasons)
    owners: dict[str, str] = {}
    for name, check in found.items():
        reasons += [f"{group}: {name} {reason}" for reason in complaints(check)]
        for rule in getattr(check, "rules", ()):
            if rule.id in owners:
                reasons.append(f"{group}: {name} and {owners[rule.id]} both find {rule.id}")
            owners[rule.id] = name
    if reasons:
        raise PluginError("checks cannot be used:\n  " + "\n  ".join(reasons))
    ordered = sorted(found.items(), key=lambda pair: (pair[1].area, pair[0]))
    return Checks(dict(ordered))


def complaints(check: Check) -> list[str]:
    """Return what a check lacks, in words."""
    lacking = [name for name in ("area", "title", "rules") if not getattr(check, name, None)]
    if lacking:
        return [f"has no {', no '.join(lacking)}"]
    wrong = [rule.id for rule in check.rules if not ID.fullmatch(rule.id)]
    severities = {rule.severity for rule in check.rules} - set(Severity)
    return [
        *(f"finds {rule_id!r}, which is no id like UF-UP-002" for rule_id in wrong),
        *(f"has a rule of severity {severity!r}" for severity in sorted(severities)),
    ]
