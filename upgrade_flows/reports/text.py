"""A report as text: what happened to whom, what it cost, what stays behind and what is next."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from upgrade_flows.model.report import Outcome, Report, State
from upgrade_flows.reports import captured, live, residue, rolled, tables, words

COLOURS: dict[str, str] = {
    State.FAILED: "red",
    State.RESIDUE: "bold red",
    State.REFUSED: "yellow",
    State.PARKED: "yellow",
    State.HELD: "bold red",
    State.SKIPPED: "yellow",
    State.CHANGED: "green",
    State.SETTLED: "green",
}


def parts(report: Report) -> Iterator[RenderableType]:
    """Yield what is printed of a report, from top to bottom."""
    yield f"Run {report.run_id} of plan {report.plan_id} ({report.capability}): {report.state}"
    yield f"Cloud {words.safe(report.cloud_id)}"
    yield _times(report)
    hosts = rolled.of(report)
    if report.outcomes:
        yield ""
        yield outcomes(report) if hosts is None else rolled.table(hosts, colour)
    if hosts is not None:
        yield "Hours, minutes and seconds are predicted / measured."
        yield from rolled.parts(hosts)
    yield from live.parts(live.of(report))
    yield from captured.parts(captured.of(report))
    for title, lines in (
        ("Failures", _failures(report)),
        ("What differs from before", _differences(report)),
        ("Left behind", _left(report)),
    ):
        found = list(lines)
        if found:
            yield ""
            yield f"{title}:"
            yield from found
    if report.findings:
        yield ""
        yield "Findings of the plan:"
        yield ""
        yield tables.findings(report.findings)
    yield ""
    if report.unchanged:
        unchanged = words.subjects(len(report.unchanged), report.capability)
        yield f"Unchanged: {unchanged} needed nothing."
    yield from next_steps(report)


def text(report: Report, width: int = tables.WIDTH) -> str:
    """Return the report as text without colour."""
    return tables.to_text(parts(report), width)


def outcomes(report: Report) -> RenderableType:
    """Return the table of subjects, with predicted, measured and probed downtime."""
    probed = any(outcome.probed_downtime_s is not None for outcome in report.outcomes)
    numbers = ("Took", "Predicted", "Downtime", *(["Silent"] if probed else []))
    noun = words.noun(report.capability).capitalize()
    result = tables.table((noun, "Strategy", "State", *numbers), right=numbers)
    for outcome in report.outcomes:
        result.add_row(
            words.safe(outcome.name or outcome.subject),
            outcome.strategy,
            outcome.state,
            words.seconds(elapsed(outcome.started, outcome.ended)),
            words.seconds(outcome.predicted_downtime_s),
            words.seconds(outcome.measured_downtime_s),
            *([words.seconds(outcome.probed_downtime_s)] if probed else []),
            style=colour(outcome.state),
        )
    return result


def colour(state: str) -> str:
    """Return the style in which a state is shown."""
    return COLOURS.get(state, "")


def elapsed(started: float | None, ended: float | None) -> float | None:
    """Return the seconds between two moments, where both are known."""
    return None if started is None or ended is None else max(0.0, ended - started)


def next_steps(report: Report) -> Iterator[str]:
    """Yield what the operator can do now, as commands."""
    states = [outcome.state for outcome in report.outcomes]
    changed = states.count(State.CHANGED)
    resumable = {State.CHANGING, State.UNDOING, State.SETTLING, State.PARKED, State.PENDING}
    if resumable & set(states) and report.state != "undone":
        yield f"Not finished: go on with 'upgrade-flows resume {report.run_id}'."
    if held := states.count(State.HELD):
        noun = words.noun(report.capability)
        yield (
            f"{words.subjects(held, report.capability)} held as the failure left it: 'upgrade-flows"
            f" resume {report.run_id}' tries again, 'upgrade-flows skip {report.run_id} --{noun}"
            f" NAME' lets the run go on without it."
        )
    if changed:
        yield (
            f"{words.subjects(changed, report.capability)} can still be brought back:"
            f" 'upgrade-flows rollback {report.run_id}'."
        )
        yield f"To keep the change, and give that up: 'upgrade-flows commit {report.run_id}'."


def _times(report: Report) -> str:
    took = elapsed(report.started, report.ended)
    ended = "" if report.ended is None else f", ended {words.moment(report.ended)}"
    length = "" if took is None else f" ({words.seconds(took)})"
    return f"Started {words.moment(report.started)}{ended}{length}"


def _name(outcome: Outcome) -> str:
    return words.safe(outcome.name or outcome.subject)


def _failures(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        if outcome.error:
            yield f"  {_name(outcome)}: {words.safe(outcome.error)}"


def _differences(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        for field, (before, after) in sorted(residue.standing(outcome).items()):
            mark = "NOT DECLARED" if field in outcome.undeclared else "as planned"
            said = f"{words.value(before)} -> {words.value(after)}"
            yield f"  {_name(outcome)}: {words.safe(field)}: {said} ({mark})"


def _left(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        for item in outcome.residue:
            yield f"  {_name(outcome)}: {words.safe(item.step)}: {words.safe(item.why)}"
            yield f"    {residue.remedy(item, report.run_id)}"
