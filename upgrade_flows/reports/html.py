"""A report as one self-contained HTML page, with a timeline of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jinja2

from upgrade_flows.model.report import Outcome, Report
from upgrade_flows.reports import residue, text, words

LABEL = 190
WIDTH = 760
ROW = 22
HEAD = 26
TICKS = 6


@dataclass(frozen=True)
class Bar:
    """One step or one subject on the timeline, in pixels."""

    y: int
    x: float
    width: float
    kind: str
    label: str
    title: str


@dataclass(frozen=True)
class Tick:
    """One mark of the time axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Timeline:
    """A Gantt chart: a row for each subject, and below it one for each of its steps."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def page(report: Report) -> str:
    """Return the HTML page of a report."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("upgrade_flows.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        seconds=words.seconds,
        moment=words.moment,
        value=words.value,
        remedy=residue.remedy,
        standing=residue.standing,
    )
    return (
        environment.get_template("report.html.j2")
        .render(
            report=report,
            timeline=timeline(report),
            elapsed=text.elapsed,
            next_steps=list(text.next_steps(report)),
        )
        .strip()
        + "\n"
    )


def timeline(report: Report) -> Timeline | None:
    """Lay the steps of all subjects out in time; None where nothing has begun."""
    spans = [(outcome.started, outcome.ended) for outcome in report.outcomes]
    spans += [(step.started, step.ended) for outcome in report.outcomes for step in outcome.steps]
    moments = [moment for span in spans for moment in span if moment is not None]
    if not moments:
        return None
    begin, length_s = min(moments), max(max(moments) - min(moments), 0.001)

    def x(moment: float) -> float:
        return float(round(LABEL + (moment - begin) / length_s * WIDTH, 1))

    bars: list[Bar] = []
    for outcome in report.outcomes:
        if outcome.started is not None:
            bars.append(_bar(outcome, len(bars), x, max(moments)))
        for step in outcome.steps:
            if step.started is None:
                continue
            end = step.ended if step.ended is not None else max(moments)
            length = words.seconds(end - step.started)
            verb = step.step.partition(":")[0]
            bars.append(
                Bar(
                    y=HEAD + len(bars) * ROW,
                    x=x(step.started),
                    width=max(2.0, round(x(end) - x(step.started), 1)),
                    kind=_kind(step.state),
                    label="  " + words.safe(verb),
                    title=words.safe(f"{step.step}: {step.state}, {length} {step.failure}"),
                )
            )
    ticks = tuple(
        Tick(x(begin + length_s * n / TICKS), f"+{words.seconds(length_s * n / TICKS)}")
        for n in range(TICKS + 1)
    )
    return Timeline(LABEL + WIDTH + 60, HEAD + len(bars) * ROW + 6, tuple(bars), ticks)


def _bar(outcome: Outcome, row: int, x: Callable[[float], float], last: float) -> Bar:
    begin = outcome.started or last
    end = outcome.ended if outcome.ended is not None else last
    return Bar(
        y=HEAD + row * ROW,
        x=x(begin),
        width=max(2.0, round(x(end) - x(begin), 1)),
        kind="subject",
        label=words.safe(outcome.name or outcome.subject),
        title=words.safe(f"{outcome.name}: {outcome.state}, {words.seconds(end - begin)}"),
    )


def _kind(state: str) -> str:
    state = state.upper()
    if "FAIL" in state:
        return "failed"
    if "REVERT" in state:
        return "reverted"
    return "done" if state == "SUCCESS" else "open"
