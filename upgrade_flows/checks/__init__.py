"""What stands in the way of an upgrade: checks by area, run together, with waivers.

::

    registry.load ──► Checks ── of(areas) ──► run.run ──► CheckResult … ──► waivers.apply
                                                 ▲
                            Sources: cloud, databases, target release

``gate`` is all of it, for whoever needs to know before going on.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from upgrade_flows.checks import registry, waivers
from upgrade_flows.checks import run as running
from upgrade_flows.checks.base import (
    Check,
    Database,
    Incomplete,
    Limits,
    NothingToLookAt,
    Sources,
)
from upgrade_flows.checks.registry import Checks
from upgrade_flows.model.check import CheckReport, Rule

__all__ = [
    "Check",
    "Checks",
    "Database",
    "Incomplete",
    "Limits",
    "NothingToLookAt",
    "Sources",
    "gate",
    "rules_of",
]


def gate(
    sources: Sources,
    areas: Sequence[str] = (),
    waiver_file: Path | None = None,
    checks: Checks | None = None,
    tell: running.Tell | None = None,
    timeout_s: float = running.TIMEOUT_S,
) -> CheckReport:
    """Run the checks of some areas, or all of them; nothing is changed.

    :param waiver_file: findings that somebody answers for (``checks.waivers``).
    :param checks: the checks there are; by default those that are installed.
    :param timeout_s: seconds that one check may take.
    :raises RequestError: an area is unknown, or the file of waivers is not whole.
    :raises PluginError: a check does not load.
    """
    known = checks or registry.load()
    chosen = known.of(areas)
    given = waivers.load(waiver_file, rules_of(known)) if waiver_file else ()
    finders = {rule.id: name for name, check in chosen.items() for rule in check.rules}
    about = tuple(one for one in given if one.id in finders)
    now = datetime.datetime.fromtimestamp(sources.now, datetime.UTC)
    results = running.run(chosen, sources, tell, timeout_s)
    counting, waived = waivers.apply(results, about, finders, now.date())
    return CheckReport(
        taken_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        results=results,
        findings=counting,
        waived=waived,
        areas=tuple(sorted({check.area for check in chosen.values()})),
    )


def rules_of(checks: Checks) -> dict[str, Rule]:
    """Return every rule by its id: those of checks, and those of waivers."""
    return {**checks.rules, **{rule.id: rule for rule in waivers.RULES}}
