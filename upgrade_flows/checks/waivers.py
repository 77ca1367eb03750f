"""Findings that somebody answers for: a file with owner, reason and expiry of each."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from upgrade_flows.errors import RequestError
from upgrade_flows.model.check import CheckResult, CheckState, Rule, Waived, Waiver, by_weight
from upgrade_flows.model.report import Finding, Severity

FIELDS = ("id", "subject", "owner", "reason", "expires")

EXPIRED = Rule(
    "UF-CK-001",
    "a waiver has expired",
    Severity.WARNING,
    "Somebody has answered for findings until a day that is over. They count again, and nobody has"
    " looked at them since.",
    "See to the findings, then take the waiver out of the file; or ask its owner for another day.",
)
NEEDLESS = Rule(
    "UF-CK-002",
    "a waiver covers nothing",
    Severity.INFO,
    "What it was written for is not found any more, or its subject is misspelt. It would cover the"
    " next finding of its kind, which nobody has thought of.",
    "Take the waiver out of the file, or correct its subject.",
)
RULES = (EXPIRED, NEEDLESS)


def load(path: Path, ids: Collection[str]) -> tuple[Waiver, ...]:
    """Read a file of waivers: YAML, an object whose ``waivers`` is a list.

    :param ids: the ids that findings may have.
    :raises RequestError: it cannot be read, or a waiver in it is not whole; the message has all
        that is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise RequestError(f"the waivers in {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise RequestError(f"{path} is not UTF-8 text") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RequestError(f"{path}{line}: this is not valid YAML") from exc
    except ValueError as exc:  # of a day that the calendar does not have
        raise RequestError(f"{path}: {exc}") from exc
    if not isinstance(content, dict) or set(content) != {"waivers"}:
        raise RequestError(f"{path}: expected one key, 'waivers', with a list")
    items = content["waivers"] or []
    if not isinstance(items, list):
        raise RequestError(f"{path}: 'waivers' is no list")
    wrong = [
        f"waiver {number}: {said}"
        for number, item in enumerate(items, 1)
        for said in _complaints(item, ids)
    ]
    if wrong:
        raise RequestError(f"the waivers in {path} cannot be used:\n  " + "\n  ".join(wrong))
    return tuple(
        Waiver(
            id=item["id"].strip(),
            subject=item["subject"].strip(),
            owner=item["owner"].strip(),
            reason=item["reason"].strip(),
            expires=_day(item["expires"]),
        )
        for item in items
    )


def apply(
    results: Iterable[CheckResult],
    waivers: Sequence[Waiver],
    finders: Mapping[str, str],
    today: datetime.date,
) -> tuple[tuple[Finding, ...], tuple[Waived, ...]]:
    """Return the findings that count, and those that are waived; the worst first.

    Of a waiver that has expired, or that covers nothing although the check that could find it was
    done, there is a finding too.

    :param finders: the name of the check that finds an id, by the id.
    """
    ended = list(results)
    holding = [waiver for waiver in waivers if waiver.expires >= today]
    counting: list[Finding] = []
    waived: list[Waived] = []
    for finding in (one for result in ended for one in result.findings):
        waiver = next((waiver for waiver in holding if waiver.covers(finding)), None)
        if waiver is None:
            counting.append(finding)
        else:
            waived.append(Waived(finding, waiver))
    done = {result.name for result in ended if result.state == CheckState.DONE}
    used = {id(item.waiver) for item in waived}
    for waiver in waivers:
        name = f"{waiver.id} {waiver.subject}"
        said = {"owner": waiver.owner, "reason": waiver.reason, "expires": f"{waiver.expires}"}
        if waiver.expires < today:
            message = f"the waiver of {waiver.owner} has expired on {waiver.expires}"
            counting.append(EXPIRED.found(name, message, **said))
        elif finders.get(waiver.id) in done and id(waiver) not in used:
            message = f"the waiver of {waiver.owner} covers nothing that was found"
            counting.append(NEEDLESS.found(name, message, **said))
    return (
        tuple(sorted(counting, key=by_weight)),
        tuple(sorted(waived, key=lambda item: by_weight(item.finding))),
    )


def _complaints(item: Any, ids: Collection[str]) -> list[str]:
    if not isinstance(item, dict):
        return [f"expected an object with {', '.join(FIELDS)}"]
    found = [f"it has no {name}" for name in FIELDS if not str(item.get(name) or "").strip()]
    found += [f"unknown key {key}" for key in item if key not in FIELDS]
    for name in FIELDS[:-1]:
        value = item.get(name)
        if value is not None and not isinstance(value, str):
            found.append(f"{name} is no text: {value!r}")
    if isinstance(item.get("id"), str) and item["id"].strip() not in {*ids, ""}:
        found.append(f"no check finds {item['id']}")
    if item.get("expires") and _day(item["expires"]) is None:
        found.append(f"expires is no day like 2026-12-31: {item['expires']!r}")
    return found


def _day(value: Any) -> Any:
    """Return a day, as YAML knows it or as text; None if it is none."""
    if isinstance(value, datetime.datetime):
        return None
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            return None
    return None
