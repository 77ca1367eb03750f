"""What a simulation answers, as values and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import RenderableType

from upgrade_flows.model.report import Report
from upgrade_flows.reports import tables, words
from upgrade_flows.simulation.faults import WhatIf

#: hosts and instances that are listed
LISTED = 20


@dataclass(frozen=True)
class Peak:
    """The most that there was of something at one moment; ``limit`` is None where there is none."""

    what: str
    most: int
    limit: int | None


@dataclass(frozen=True)
class Unmoved:
    """An instance that could not leave its host."""

    instance: str
    name: str
    host: str
    why: str


@dataclass(frozen=True)
class SimulationReport:
    """What came of a plan; times are simulated seconds.

    :param state: of the run: ``changed``, ``parked`` (it waits for the operator), ``halted``...
    :param halted: why nothing more began; empty where nothing stood in the way.
    :param predicted_s: how long the plan takes by its own prediction, ``bound_s`` how long it
        takes at least, ``simulated_s`` how long it took.
    :param hosts: how many were planned, ``upgraded`` those that were; ``held`` were left as a
        failure had left them, by name and why; ``pending`` never began.
    :param moves: migrations that succeeded, ``failed_moves`` those that did not, and
        ``refused_moves`` those that Nova had no room for.
    :param twice: instances that moved more than once; ``predicted_twice`` in the plan.
    :param exceeded: what was broken of the plan's rules, as sentences.
    :param report: that of the run, as ``reports`` shows it.
    """

    what_if: WhatIf
    state: str
    halted: str
    predicted_s: float
    bound_s: float
    simulated_s: float
    hosts: int
    upgraded: int
    held: dict[str, str]
    pending: tuple[str, ...]
    moves: int
    predicted_moves: int
    failed_moves: int
    refused_moves: int
    twice: int
    predicted_twice: int
    unmoved: tuple[Unmoved, ...]
    peaks: tuple[Peak, ...]
    exceeded: tuple[str, ...]
    report: Report = field(repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every host of the plan was upgraded."""
        return self.upgraded == self.hosts

    def parts(self) -> Iterator[RenderableType]:
        """Yield what is printed of a simulation, from top to bottom."""
        yield from _parts(self)


def _parts(found: SimulationReport) -> Iterator[RenderableType]:
    yield f"{_verdict(found)}  Seed: {found.what_if.seed}"
    yield ""
    yield _numbers(found)
    yield ""
    yield _limits(found)
    if found.held:
        yield ""
        yield "Held as a failure left them:"
        yield from _listed(f"{words.safe(name)}: {words.safe(why)}"
                           for name, why in found.held.items())  # fmt: skip
    if found.unmoved:
        yield ""
        yield "Could not be moved:"
        yield from _listed(
            f"{words.safe(one.name)} on {words.safe(one.host)}: {words.safe(one.why)}"
            for one in found.unmoved
        )
    if found.exceeded:
        yield ""
        yield "Rules that were broken:"
        yield from _listed(words.safe(line) for line in found.exceeded)


def _verdict(found: SimulationReport) -> str:
    hosts = words.count(found.hosts, "host")
    if found.complete:
        return f"All of {hosts} are upgraded after {words.seconds(found.simulated_s)}."
    waits = f"{len(found.held)} held, {len(found.pending)} not begun"
    why = f" ({words.safe(found.halted)})" if found.halted else ""
    return (
        f"{found.upgraded} of {hosts} are upgraded when it comes to a stop after"
        f" {words.seconds(found.simulated_s)}: {waits}{why}."
    )


def _numbers(found: SimulationReport) -> RenderableType:
    result = tables.table(("", "Predicted", "Simulated"), right=("Predicted", "Simulated"))
    predicted, simulated = found.predicted_s, found.simulated_s
    longer = f" ({simulated / predicted - 1:+.1%})" if predicted and found.complete else ""
    result.add_row("Time", words.seconds(predicted), words.seconds(simulated) + longer)
    result.add_row("No order takes less than", words.seconds(found.bound_s), "")
    result.add_row("Hosts upgraded", str(found.hosts), str(found.upgraded))
    result.add_row("Moves", str(found.predicted_moves), str(found.moves))
    result.add_row("Moves that failed", "0", str(found.failed_moves))
    result.add_row("Moves that Nova had no room for", "0", str(found.refused_moves))
    result.add_row("Instances moved twice", str(found.predicted_twice), str(found.twice))
    result.add_row("Instances that could not be moved", "0", str(len(found.unmoved)))
    return result


def _limits(found: SimulationReport) -> RenderableType:
    result = tables.table(("At one moment", "Most", "Allowed"), right=("Most", "Allowed"))
    for peak in found.peaks:
        if peak.limit is not None:
            over = peak.most > peak.limit
            style = "bold red" if over else ""
            result.add_row(peak.what, str(peak.most), str(peak.limit), style=style)
    return result


def _listed(lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    yield from (f"  {line}" for line in found[:LISTED])
    if len(found) > LISTED:
        yield f"  and {len(found) - LISTED} more"
