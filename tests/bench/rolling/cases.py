"""The set of clouds and limits on which the planner is measured."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.rolling.clouds import Recipe
from upgrade_flows.planning.rolling import Limits, Rules

FILLS = (0.5, 0.6, 0.7, 0.85)
PER_HOST = 4


@dataclass(frozen=True)
class Case:
    """One cloud and the share of its hosts that may be out (None: no limit).

    :param together: migrations at a time in all, per host that may be out.
    """

    recipe: Recipe
    out: float | None = 0.05
    prefer: str = "time"
    spare: float = 0.0
    together: float = 3.0
    note: str = ""

    @property
    def rules(self) -> Rules:
        """Limits for a cloud of this size."""
        return rules_for(self.recipe.hosts, self.out, self.prefer, self.spare, self.together)


def rules_for(
    hosts: int,
    out: float | None,
    prefer: str = "time",
    spare: float = 0.0,
    together: float = 3.0,
) -> Rules:
    """Return rules: a share of the hosts out at a time, four migrations for each host."""
    most = hosts if out is None else max(1, int(hosts * out))
    total = max(PER_HOST, int(most * together))
    return Rules(Limits(most, PER_HOST, total, spare=spare), prefer=prefer)


def bounded(most: int) -> list[Case]:
    """Return the cases with at most 5 % of the hosts out of service."""
    cases = [
        Case(Recipe(hosts, fill, mix))
        for hosts in (100, 300, 1_000)
        for fill in FILLS
        for mix in ("small", "mixed", "large")
    ]
    cases += [Case(Recipe(10_000, fill, mix)) for fill, mix in ((0.5, "mixed"), (0.85, "small"))]
    for hosts, fill in ((100, 0.7), (1_000, 0.85)):
        cases += [
            Case(Recipe(hosts, fill, "mixed", pinned=0.0), note="none pinned"),
            Case(Recipe(hosts, fill, "mixed", pinned=1.0), note="all pinned"),
            Case(Recipe(hosts, fill, "mixed", grouped=0.6), note="many groups"),
            Case(Recipe(hosts, fill, "mixed", special=0.2), note="many local features"),
            Case(Recipe(hosts, fill, "mixed"), spare=0.05, note="5 % spare"),
            Case(Recipe(hosts, fill, "small"), together=0.8, note="few migrations"),
            *(Case(Recipe(hosts, fill, "mixed", seed=n), note=f"seed {n}") for n in (2, 3, 4)),
        ]
    cases.append(Case(Recipe(1_000, 0.7, "mixed", cells=3), note="3 cells"))
    return [case for case in cases if case.recipe.hosts <= most]


def loose(most: int) -> list[Case]:
    """Return the cases in which time and moves pull against each other."""
    return [
        case
        for hosts in (100, 1_000)
        for fill in (0.5, 0.7, 0.85)
        for out in (0.2, None)
        for prefer in ("time", "moves")
        if (case := Case(Recipe(hosts, fill, "mixed"), out, prefer)).recipe.hosts <= most
    ]
