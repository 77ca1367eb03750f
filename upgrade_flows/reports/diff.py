"""Two plans, and what differs between them, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upgrade_flows.model import codec
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.report import Finding
from upgrade_flows.reports import words


def text(before: Plan, after: Plan) -> str:
    """Return the differences, one on a line: ``-`` gone, ``+`` new, ``~`` changed."""
    lines = list(_lines(before, after))
    head = f"From plan {before.id} ({before.created}) to plan {after.id} ({after.created})"
    return "\n".join([head, *(lines or ["  the two would do the same"])]) + "\n"


def _lines(before: Plan, after: Plan) -> Iterator[str]:
    if before.cloud_id != after.cloud_id:
        yield f"  ~ cloud: {words.safe(before.cloud_id)} -> {words.safe(after.cloud_id)}"
    yield from _request(before, after)
    old = {action.subject: action for action in before.actions}
    new = {action.subject: action for action in after.actions}
    waves = [
        {action.subject: wave.name for wave in plan.waves for action in wave.actions}
        for plan in (before, after)
    ]
    for subject in sorted(old.keys() | new.keys(), key=lambda key: _name((new | old)[key])):
        if subject not in new:
            yield f"  - {_name(old[subject])}: {old[subject].strategy}"
        elif subject not in old:
            yield f"  + {_name(new[subject])}: {new[subject].strategy}"
        else:
            yield from _action(old[subject], new[subject])
            if waves[0][subject] != waves[1][subject]:
                moved = f"{words.safe(waves[0][subject])} -> {words.safe(waves[1][subject])}"
                yield f"  ~ {_name(new[subject])}: wave {moved}"
    yield from _schedule(before, after)
    yield from _findings(before, after)


def _request(before: Plan, after: Plan) -> Iterator[str]:
    left, right = codec.to_plain(before.request), codec.to_plain(after.request)
    for key in sorted(left):
        for name, old, new in _leaves(key, left[key], right[key]):
            yield f"  ~ request {name}: {words.value(old)} -> {words.value(new)}"


def _leaves(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _leaves(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield name, old, new


def _action(old: Action, new: Action) -> Iterator[str]:
    name = _name(new)
    if old.strategy != new.strategy:
        because = "; ".join(new.because)
        why = f" ({words.safe(because)})" if because else ""
        yield f"  ~ {name}: {old.strategy} -> {new.strategy}{why}"
    elif old.details != new.details and "instances" in new.details:
        yield from _host(name, old.details, new.details)
    elif old.details != new.details or old.digest != new.digest:
        yield f"  ~ {name}: the {words.noun(new.capability)} itself has changed"
    downtimes = [words.seconds(action.prediction.downtime_s) for action in (old, new)]
    if downtimes[0] != downtimes[1]:
        yield f"  ~ {name}: predicted downtime {downtimes[0]} -> {downtimes[1]}"


def _host(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what has changed of a host: its instances, and anything else."""
    before, after = old.get("instances", {}), new.get("instances", {})
    come, gone = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    otherwise = sum(
        before[key].get("how") != after[key].get("how") for key in before.keys() & after.keys()
    )
    if come or gone or otherwise:
        said = f"{come} come, {gone} gone, {otherwise} treated otherwise"
        yield f"  ~ {name}: instances: {said}"
    if old.get("missing") != new.get("missing"):
        yield f"  ~ {name}: what is missing has changed"
    rest = [
        {key: one[key] for key in one if key not in ("instances", "missing", "options", "settings")}
        for one in (old, new)
    ]
    if rest[0] != rest[1]:
        yield f"  ~ {name}: the host itself has changed"


def _schedule(before: Plan, after: Plan) -> Iterator[str]:
    """Yield what is predicted otherwise: how long it takes, and when each host begins."""
    if not (before.schedule and after.schedule):
        return
    lengths = [words.seconds(words.plan_seconds(plan)) for plan in (before, after)]
    if lengths[0] != lengths[1]:
        yield f"  ~ predicted to take {lengths[0]} -> {lengths[1]}"
    starts = [
        {one["host"]: words.clock(one["start"]) for one in plan.schedule["roll"].get("windows", ())}
        for plan in (before, after)
    ]
    for host, start in starts[1].items():
        if starts[0].get(host, start) != start:
            yield f"  ~ {words.safe(host)}: begins at {starts[0][host]} -> {start}"


def _findings(before: Plan, after: Plan) -> Iterator[str]:
    def key(finding: Finding) -> tuple[str, str, str]:
        return finding.subject, finding.id, finding.message

    old = {key(finding): finding for finding in before.findings}
    new = {key(finding): finding for finding in after.findings}
    for mark, found, others in (("-", old, new), ("+", new, old)):
        for subject, id_, message in sorted(found.keys() - others.keys()):
            severity = found[subject, id_, message].severity
            yield f"  {mark} {severity} {id_} {words.safe(subject)}: {words.safe(message)}"


def _name(action: Action) -> str:
    return words.safe(action.name or action.subject)
