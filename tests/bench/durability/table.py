"""Show what was measured, and how it stands with the goals."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console
from rich.table import Table

from tests.bench.durability import peer_dbos

#: what the JSON object must not exceed, and what that is
GOALS = {
    "commits_per_step": (1.05, "commits"),
    "seq_over_floor": (5.0, "in a row, x floor"),
    "wide_over_floor": (2.5, "side by side, x floor"),
    "cpu_ms_per_step": (1.2, "CPU ms"),
}


class Contender(Protocol):
    """Who is compared."""

    @property
    def name(self) -> str: ...

    @property
    def steps(self) -> int: ...


class Results(Protocol):
    """What a part of the table is made of."""

    database: str
    absent: dict[str, str]
    failures: dict[str, str]

    @property
    def found(self) -> Mapping[str, float | None]: ...

    def median(self, name: str, what: str) -> float | None: ...

    def over_floor(self, name: str) -> float | None: ...


def show(results: Sequence[Results], contenders: Sequence[Contender], floor: str) -> None:
    """Print all contenders on all databases, and the goals of ours."""
    table = Table(
        title=f"a step that does nothing, on record; medians; {_versions()}",
        title_style="",
        caption=_goals(results),
        caption_style="",
        caption_justify="left",
    )
    table.add_column("database")
    table.add_column("way", no_wrap=True)
    for heading in ("steps", "wall ms", "CPU ms", "commits", "x floor"):
        table.add_column(heading, justify="right")
    for result in results:
        for contender in contenders:
            name = contender.name
            why = result.absent.get(name) or ("failed" if name in result.failures else "")
            if why:
                table.add_row(result.database, f"{name}: {why}")
                continue
            cells = [
                _number(result.median(name, "wall_ms"), 3),
                _number(result.median(name, "cpu_ms"), 3),
                _number(result.median(name, "commits"), 2),
                "" if name == floor else _number(result.over_floor(name), 1),
            ]
            table.add_row(result.database, name, str(contender.steps), *cells)
        table.add_section()
    console = Console(width=max(100, Console().width))
    console.print(table)
    for result in results:
        for name, why in result.failures.items():
            console.print(f"{result.database}, {name} FAILED: {why}", markup=False)


def _goals(results: Sequence[Results]) -> str:
    lines = ["goals of ours, each step (commits and CPU: in a row):"]
    for name, (goal, words) in GOALS.items():
        marks = ", ".join(_mark(r.database, r.found[name], goal) for r in results)
        lines.append(f"  {words} <= {goal:g}: {marks}")
    return "\n".join(lines)


def _mark(database: str, value: float | None, goal: float) -> str:
    if value is None:
        return f"{database} not measured"
    return f"{database} {value:.2f} {'ok' if value <= goal else 'MISSED'}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _versions() -> str:
    taskflow, alchemy = (importlib.metadata.version(name) for name in ("taskflow", "SQLAlchemy"))
    return f"TaskFlow {taskflow}, SQLAlchemy {alchemy}, {peer_dbos.version()}"
