"""A Gantt chart of hosts as drawn numbers: one row for each, predicted above measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Outcome, Report
from upgrade_flows.planning.hosts import roll_of
from upgrade_flows.reports import rolling, words

#: rows that are drawn; of more hosts the first ones by time
ROWS = 300

LABEL = 190
WIDTH = 760
ROW = 22
HEAD = 26
TICKS = 6
DRAIN, OUT = "drain", "out"


@dataclass(frozen=True)
class Span:
    """A stretch of time of a host, in seconds; ``measured`` ones happened."""

    kind: str
    start: float
    end: float
    measured: bool = False


@dataclass(frozen=True)
class Host:
    """A row: a host, and what is drawn of it."""

    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Bar:
    """A span as a rectangle, in pixels; ``kind`` is its style."""

    x: float
    y: int
    width: float
    height: int
    kind: str
    title: str


@dataclass(frozen=True)
class Row:
    """A label and its bars; ``y`` is its top."""

    y: int
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn; ``more`` hosts are not."""

    width: int
    height: int
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    more: int = 0
    measured: bool = False


def of_plan(plan: Plan) -> Chart | None:
    """Draw what a plan predicts; None where it has no schedule."""
    if not plan.schedule:
        return None
    found = []
    for action, window in rolling.rows(plan, roll_of(plan.schedule)):
        if window is not None and window.end is not None:
            times = float(window.start), float(window.drained or window.start), float(window.end)
            found.append(Host(action.name or action.subject, tuple(_spans(*times))))
    return draw(found)


def of_report(report: Report) -> Chart | None:
    """Draw what was predicted and what was measured; None where nothing of it is known."""
    begun = [one.started for one in report.outcomes if one.started is not None]
    begin = min(begun, default=0.0)
    last = max(
        [*begun, *(one.ended for one in report.outcomes if one.ended is not None)], default=0
    )
    return draw(
        Host(one.name or one.subject, (*_predicted(one), *_measured(one, begin, last)))
        for one in report.outcomes
        if one.predicted
    )


def draw(hosts: Iterable[Host], most: int = ROWS) -> Chart | None:
    """Lay hosts out in time, those first that begin first; None where there is nothing to draw."""
    rows = [host for host in hosts if host.spans]
    if not rows:
        return None
    rows.sort(key=lambda host: (min(span.start for span in host.spans), host.name))
    shown = rows[:most]
    length = max(max(span.end for host in shown for span in host.spans), 1.0)
    measured = any(span.measured for host in shown for span in host.spans)
    drawn = tuple(_row(n, host, length, measured) for n, host in enumerate(shown))
    ticks = tuple(
        (_x(length * n / TICKS, length), words.clock(length * n / TICKS)) for n in range(TICKS + 1)
    )
    height = HEAD + len(shown) * ROW + 6
    return Chart(LABEL + WIDTH + 60, height, drawn, ticks, len(rows) - len(shown), measured)


def _row(number: int, host: Host, length: float, both: bool) -> Row:
    y = HEAD + number * ROW
    bars = []
    for span in host.spans:
        x = _x(span.start, length)
        what = "measured" if span.measured else "predicted"
        said = f"{host.name}: {'drained' if span.kind == DRAIN else 'out of service'}, {what},"
        bars.append(
            Bar(
                x=x,
                y=y + (12 if span.measured else 4),
                width=max(1.0, round(_x(span.end, length) - x, 1)),
                height=7 if both else 14,
                kind=f"{span.kind} {what}",
                title=words.safe(
                    f"{said} {words.clock(span.start)} to {words.clock(span.end)},"
                    f" {words.seconds(span.end - span.start)}"
                ),
            )
        )
    return Row(y, words.safe(host.name), tuple(bars))


def _x(seconds: float, length: float) -> float:
    return round(LABEL + seconds / length * WIDTH, 1)


def _spans(start: float, drained: float, end: float, measured: bool = False) -> Iterator[Span]:
    if drained > start:
        yield Span(DRAIN, start, drained, measured)
    if end > drained:
        yield Span(OUT, drained, end, measured)


def _predicted(outcome: Outcome) -> Iterator[Span]:
    start, drained, end = (outcome.predicted.get(name) for name in ("start", "drained", "end"))
    if start is not None and drained is not None and end is not None:
        yield from _spans(float(start), float(drained), float(end))


def _measured(outcome: Outcome, begin: float, last: float) -> Iterator[Span]:
    if outcome.started is None:
        return
    start = outcome.started - begin
    end = max(start, (last if outcome.ended is None else outcome.ended) - begin)
    drain = outcome.result.get("drain_s")
    drained = end if drain is None else min(start + float(drain), end)
    yield from _spans(start, drained, end, measured=True)
