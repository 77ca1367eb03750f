"""Times, lengths of time and names of others as words that are safe to print."""

from __future__ import annotations

import datetime
import json
from typing import Any

from upgrade_flows.model.plan import Plan, Wave

#: what the subjects are, where they are not servers
NOUNS = {"host_upgrade": "host"}


def safe(text: str) -> str:
    """Return ``text`` on one line, without characters that would command a terminal."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def seconds(value: float | None) -> str:
    """Return a length of time as a human says it; a dash where it is not known."""
    if value is None:
        return "-"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(epoch: float | None) -> str:
    """Return a moment in UTC; a dash where there is none."""
    if epoch is None:
        return "-"
    at = datetime.datetime.fromtimestamp(epoch, tz=datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, noun: str) -> str:
    """Return ``1 server``, ``2 servers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def noun(capability: str) -> str:
    """Return what the subjects of a capability are: ``server``, ``host``."""
    return NOUNS.get(capability, "server")


def subjects(number: int, capability: str) -> str:
    """Return ``1 server``, ``2 hosts``: as many subjects of a capability."""
    return count(number, noun(capability))


def clock(value: float | None) -> str:
    """Return seconds since the beginning as ``hh:mm``; a dash where they are not known."""
    if value is None:
        return "-"
    hours, minutes = divmod(round(value) // 60, 60)
    return f"{hours:02d}:{minutes:02d}"


def minutes(value: float | None) -> str:
    """Return a length of time as ``m:ss`` or ``h:mm:ss``; a dash where it is not known."""
    if value is None:
        return "-"
    rest, whole = divmod(round(value), 60)
    hours, rest = divmod(rest, 60)
    return f"{hours}:{rest:02d}:{whole:02d}" if hours else f"{rest}:{whole:02d}"


def detail(text: str) -> str:
    """Return what an event says besides, in words: of an instance on its way, who and where to."""
    if not text.startswith("{"):
        return safe(text)
    try:
        said = json.loads(text)
        name, target = said["name"], said.get("target")
    except (ValueError, KeyError, TypeError):
        return safe(text)
    to = f" to {target}" if target else ""
    why = f": {said['why']}" if said.get("why") else ""
    return safe(f"{name} {said.get('how', '')}{to}{why}")


def process(owner: str) -> str:
    """Return who works on something as a human finds it: ``host-1 pid 17``."""
    parts = owner.split("/")
    return safe(f"{parts[0]} pid {parts[2]}" if len(parts) == 5 else owner)


def value(thing: Any) -> str:
    """Return a field of an identity as short text."""
    if thing is None:
        return "nothing"
    text = thing if isinstance(thing, str) else json.dumps(thing, sort_keys=True)
    return safe(text) or '""'


def wave_seconds(wave: Wave) -> float:
    """Predict how long a wave takes with its window: each action starts as soon as one may."""
    workers = [0.0] * max(1, wave.at_a_time)
    for action in wave.actions:
        first = workers.index(min(workers))
        workers[first] += action.prediction.duration_s
    return max(workers)


def plan_seconds(plan: Plan) -> float:
    """Predict how long a plan takes: its schedule, or its waves, one after the other."""
    if plan.schedule:
        return float(plan.schedule["roll"].get("makespan", 0))
    return sum(wave_seconds(wave) for wave in plan.waves)
