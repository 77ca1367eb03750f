"""Show what was measured."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console
from rich.table import Table

MEASURES = {
    "downtime": "not ACTIVE in Nova",
    "gap": "guest does not answer",
    "wall": "whole job",
}


class Run(Protocol):
    """What one run left."""

    lost: list[str]
    steps: list[tuple[str, float]]


class Results(Protocol):
    """What a table is made of."""

    kind: str

    @property
    def failures(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def by_way(self) -> Mapping[str, Sequence[Run]]: ...

    def median(self, way: str, what: str) -> float | None: ...

    def ratio(self, way: str, what: str) -> float | None: ...


def show(results: Results, by_hand: str, goals: dict[str, float]) -> None:
    """Print ours beside by hand, with the ratio and, on fake hosts, the goal."""
    rounds = len(results.by_way[by_hand]) + len(results.failures[by_hand])
    table = Table(title=f"recreate on {results.kind} hosts, medians of {rounds}", title_style="")
    for heading in ("way", "measure", "ours", "by hand", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading in ("way", "measure") else "right")
    for way, goal in goals.items():
        if failures := results.failures[way]:
            table.add_row(way, f"failed {len(failures)} times")
            continue
        for what, words in MEASURES.items():
            ours, theirs = results.median(way, what), results.median(by_hand, what)
            ratio = results.ratio(way, what)
            if ours is None or theirs is None:
                continue
            counts = what == "downtime" and results.kind == "fake"
            verdict = "met" if ratio is not None and ratio <= goal else "MISSED"
            said = f"<= {goal} {verdict}" if counts else ""
            table.add_row(way, words, f"{ours:.2f} s", f"{theirs:.2f} s", f"{ratio}", said)
        ours_lost, hand_lost = (_lost(results.by_way[name]) for name in (way, by_hand))
        table.add_row(way, "identity fields lost", str(len(ours_lost)), str(len(hand_lost)))
    console = Console(soft_wrap=False)
    console.print(table)
    console.print(f"lost by hand: {', '.join(_lost(results.by_way[by_hand]))}", markup=False)
    for way in goals:
        if lost := _lost(results.by_way[way]):
            console.print(f"lost by {way}, undeclared: {', '.join(lost)}", markup=False)


def show_steps(results: Results) -> None:
    """Print the median seconds of each command and step, in order."""
    for way, runs in results.by_way.items():
        seconds: dict[str, list[float]] = defaultdict(list)
        for run in runs:
            sums: dict[str, float] = defaultdict(float)
            for name, took in run.steps:
                sums[name] += took
            for name, took in sums.items():
                seconds[name].append(took)
        print(f"{results.kind}, {way}:")
        for name, values in seconds.items():
            print(f"  {statistics.median(values):7.2f} s  {name}")


def _lost(runs: Sequence[Run]) -> list[str]:
    """Return the fields lost in any of the rounds, each once."""
    return list(dict.fromkeys(lost for run in runs for lost in run.lost))
