"""Show what live updates cost, beside the recipe by hand and the calls that cannot be avoided."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

GOAL_UNAVOIDABLE, GOAL_RECIPE, GOAL_GAP_S = 3.0, 5.0, 5.0


class Run(Protocol):
    """What one update left."""

    load: float
    steps: list[tuple[str, float]]
    reported: dict[str, Any] | None
    alone: list[tuple[str, float]]


class Results(Protocol):
    """What a table is made of."""

    @property
    def by_way(self) -> Mapping[str, Sequence[Run]]: ...

    @property
    def failures(self) -> Mapping[str, Sequence[str]]: ...

    def median(self, way: str, what: str) -> float | None: ...


def show(results: Results, steps: bool) -> None:
    """Print the medians, their ratios to ours, the calls, and the machine's load."""
    ours, by_hand = results.median("ours", "blackout"), results.median("hand", "blackout")
    rounds = max((len(runs) for runs in results.by_way.values()), default=0)
    table = Table(title=f"live update of a guest, medians of {rounds}", title_style="")
    for heading in ("what", "seconds", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("ours: guest does not answer", _seconds(ours))
    table.add_row("  as the run reports it", _seconds(results.median("ours", "reported")))
    for words, way, what, goal in (
        ("calls that cannot be avoided, sum", "ours", "unavoidable", GOAL_UNAVOIDABLE),
        ("  from the first to the last", "ours", "span", None),
        ("  the same on an idle guest, sum", "hand", "alone", None),
    ):
        floor = results.median(way, what)
        table.add_row(words, _seconds(floor), *_ratio("ours /", ours, floor, goal, most=True))
    table.add_row(
        "recipe: guest does not answer",
        _seconds(by_hand),
        *_ratio("/ ours", by_hand, ours, GOAL_RECIPE, most=False),
    )
    for way, words in (("ours", "ours: whole job"), ("hand", "recipe: whole job")):
        table.add_row(words, _seconds(results.median(way, "wall")))
    gap = results.median("criu", "blackout")
    if gap is not None:
        met = "met" if gap <= GOAL_GAP_S else "MISSED"
        table.add_row(
            "criu: silence of a connection that lasts",
            _seconds(gap),
            "",
            f"<= {GOAL_GAP_S:g} s {met}",
        )
        for words, what in (
            ("  calls that cannot be avoided, sum", "unavoidable"),
            ("  from the first to the last", "span"),
        ):
            floor = results.median("criu", what)
            table.add_row(words, _seconds(floor), *_ratio("gap /", gap, floor, None, most=True))
    for way, failures in results.failures.items():
        if failures:
            table.add_row(f"{way}: failed {len(failures)} times")
    Console().print(table)
    _show_calls(results)
    loads = [run.load for runs in results.by_way.values() for run in runs]
    if loads:
        print(f"load of the machine when they began: {min(loads):.2f} to {max(loads):.2f}")
    if steps:
        for way, runs in results.by_way.items():
            print(f"{way}:")
            for name, took in _medians([run.steps for run in runs]).items():
                print(f"  {took:7.2f} s  {name}")


def _show_calls(results: Results) -> None:
    reported = [
        [(call["call"], float(call["seconds"])) for call in run.reported["calls"]]
        for run in results.by_way["ours"]
        if run.reported
    ]
    alone = _medians([run.alone for run in results.by_way["hand"]])
    for name, took in _medians(reported).items():
        idle = f", on an idle guest {alone[name]:.2f} s" if name in alone else ""
        print(f"  {name}: {took:.2f} s{idle}")


def _medians(runs: Sequence[Sequence[tuple[str, float]]]) -> dict[str, float]:
    """Return the median of each command's seconds, in order; those of one name are added up."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        sums: dict[str, float] = defaultdict(float)
        for name, took in run:
            sums[name] += took
        for name, took in sums.items():
            seconds[name].append(took)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _ratio(
    words: str, one: float | None, other: float | None, goal: float | None, most: bool
) -> tuple[str, str]:
    if one is None or not other:
        return "", ""
    ratio = one / other
    said = f"{words} {ratio:.2f}"
    if goal is None:
        return said, ""
    met = ratio <= goal if most else ratio >= goal
    return said, f"{'<=' if most else '>='} {goal:g} {'met' if met else 'MISSED'}"
