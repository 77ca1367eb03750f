"""A plan or a report as one self-contained HTML page, with charts of what is when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jinja2

from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Outcome, Report
from upgrade_flows.planning.hosts import roll_of
from upgrade_flows.reports import captured, gantt, live, residue, rolled, rolling, text, words
from upgrade_flows.reports import plan as plan_text

#: moves of instances that are listed, the slowest ones
MOVES = 500

#: hosts beyond which the steps of each are not drawn
TIMELINES = 50

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
    hosts = rolled.of(report)
    return _render(
        "report.html.j2",
        report=report,
        noun=words.noun(report.capability).capitalize(),
        rolled=hosts,
        chart=gantt.of_report(report) if hosts else None,
        most_moves=MOVES,
        timeline=timeline(report) if hosts is None or len(hosts.hosts) <= TIMELINES else None,
        updates=live.of(report),
        captures=captured.of(report),
        elapsed=text.elapsed,
        next_steps=list(text.next_steps(report)),
    )


def plan_page(plan: Plan) -> str:
    """Return the HTML page of a plan."""
    roll = roll_of(plan.schedule) if plan.schedule else None
    columns = rolling.hows(plan) if roll else []
    hosts = [
        {
            "name": action.name or action.subject,
            "cells": rolling.cells(action, window, roll, columns),
            "missing": "; ".join(str(one) for one in action.details.get("missing", ())),
        }
        for action, window in (rolling.rows(plan, roll) if roll else ())
        if roll
    ]
    return _render(
        "plan.html.j2",
        plan=plan,
        noun=words.noun(plan.request.capability).capitalize(),
        roll=roll,
        columns=[rolling.HOWS[how] for how in columns],
        hosts=hosts,
        twice=list(rolling.twice_lines(plan, roll)) if roll else [],
        totals=list(plan_text.totals(plan)),
        chart=gantt.of_plan(plan),
    )


def _render(template: str, **values: Any) -> str:
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
    return environment.get_template(template).render(**values).strip() + "\n"


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
