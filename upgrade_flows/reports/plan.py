"""A plan as text: what will be done to whom, why so, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from upgrade_flows.model.plan import Plan, Wave
from upgrade_flows.model.report import Severity
from upgrade_flows.reports import rolling, tables, words

REFUSALS = (Severity.REFUSED, Severity.ERROR)


def parts(plan: Plan) -> Iterator[RenderableType]:
    """Yield what is printed of a plan, from top to bottom."""
    yield f"Plan {plan.id} ({plan.request.capability}), made {plan.created}"
    yield f"Cloud {words.safe(plan.cloud_id)}"
    if plan.schedule:
        yield from rolling.parts(plan)
    else:
        yield f"Strategy asked for: {words.safe(plan.request.target.strategy)}"
    for wave in () if plan.schedule else plan.waves:
        yield ""
        yield _title(wave)
        yield ""
        yield _wave(wave, plan.request.target.strategy)
    yield from _findings(plan)
    yield ""
    yield from totals(plan)


def text(plan: Plan, width: int = tables.WIDTH) -> str:
    """Return the plan as text without colour."""
    return tables.to_text(parts(plan), width)


def _title(wave: Wave) -> str:
    pace = f"{wave.at_a_time} at a time"
    allowed = wave.gate.max_failures
    gate = (
        f"stops after more than {words.count(allowed, 'failure')}"
        if allowed
        else ("stops at the first failure")
    )
    canary = ", canary" if wave.canary and "canary" not in wave.name else ""
    return f"Wave {words.safe(wave.name)}{canary}: {pace}, {gate}"


def _wave(wave: Wave, asked: str) -> RenderableType:
    noun = words.noun(wave.actions[0].capability).capitalize() if wave.actions else "Server"
    best = "nothing is less disruptive" if asked == "auto" else "it was asked for"
    result = tables.table((noun, "Strategy", "Because", "Downtime"), right=("Downtime",))
    for action in wave.actions:
        because = "; ".join(action.because) or best
        result.add_row(
            words.safe(action.name or action.subject),
            action.strategy,
            words.safe(because),
            words.seconds(action.prediction.downtime_s),
        )
    return result


def _findings(plan: Plan) -> Iterator[RenderableType]:
    refused = [item for item in plan.findings if item.severity in REFUSALS]
    others = [item for item in plan.findings if item.severity not in REFUSALS]
    for title, items in (("Refused", refused), ("To know", others)):
        if items:
            yield ""
            yield f"{title}: {words.count(len(items), 'finding')}"
            yield ""
            yield tables.findings(items)


def totals(plan: Plan) -> Iterator[str]:
    """Yield what the whole of a plan comes to."""
    if plan.unchanged:
        need = "needs" if len(plan.unchanged) == 1 else "need"
        unchanged = words.subjects(len(plan.unchanged), plan.request.capability)
        yield f"Unchanged: {unchanged} in scope {need} nothing."
    if not plan.actions:
        yield "There is nothing to do."
        return
    if plan.schedule:
        yield from rolling.summary(plan)
        return
    downtimes = [action.prediction.downtime_s for action in plan.actions]
    yield (
        f"In all: {words.subjects(len(plan.actions), plan.request.capability)}, predicted to take"
        f" {words.seconds(words.plan_seconds(plan))};"
        f" downtime {words.seconds(max(downtimes))} for the worst,"
        f" {words.seconds(sum(downtimes))} added up."
    )
