"""Defaults that differ between two releases, where the files do not say what is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from upgrade_flows.config_audit import values
from upgrade_flows.config_audit.change import Change
from upgrade_flows.config_audit.findings import make, rank
from upgrade_flows.config_audit.inifile import Document
from upgrade_flows.config_audit.metadata import Key, Option, canonical
from upgrade_flows.config_audit.services import Place, fits, rules
from upgrade_flows.model.report import Finding, Severity


def changed(change: Change, document: Document, place: Place) -> Iterator[Finding]:
    """Yield what the new release does otherwise because a file says nothing.

    :param document: the file to pin them in.
    """
    if change.before is None:
        return
    pinned = _pinned(change)
    for option in change.before.service.options.values():
        after = _becomes(change, option)
        if after is None or option.key in pinned or after.key in pinned:
            continue
        if values.equal(option, after) or not _counts(change, place.service, after):
            continue
        yield _finding(change, document, place, option, after)


def _counts(change: Change, service: str, option: Option) -> bool:
    """Whether a default has an effect with these files, as far as is known."""
    if re.fullmatch(rules()["examples"]["groups"], option.group):
        return False
    for rule in rules()["needs"]:
        if fits(rule, service) and re.fullmatch(rule["option"], str(option)):
            return any(
                re.fullmatch(rule["line"], f"[{one.group}] {one.name} = {one.value}")
                for document in change.together
                for one in document.settings
            )
    return True


def _finding(
    change: Change, document: Document, place: Place, option: Option, after: Option
) -> Finding:
    noticed = rank(place.service, str(after))
    old, new = values.written(after, option.default), values.written(after, after.default)
    can = old is not None and not values.REFERENCE.search(old)
    if not can:
        remedy = "say what is wanted"
    elif after.leaving is None:
        remedy = f"set it in [{after.group}], to keep what was"
    else:
        remedy = f"set it in [{after.group}], to keep what was until it is removed"
    to = [after.group, after.name]
    fix: dict[str, Any] = {"fix": {"action": "pin", "to": to, "value": old or ""}}
    return make(
        "UF-CFG-014", Severity.WARNING if noticed.felt else Severity.INFO,
        document, place, str(after),
        f"not set; its default was {_say(old)} and is {_say(new)} in {change.new}",
        remedy, known=after, default_before=option.default, default_after=after.default,
        **(fix if can and noticed.felt and after.leaving is None else {}),
    )  # fmt: skip


def _say(default: str | None) -> str:
    if default is None:
        return "none"
    return f"{default[:57]}..." if len(default) > 60 else default or "empty"


def _becomes(change: Change, option: Option) -> Option | None:
    service = change.after.service
    return service.options.get(option.key) or service.old.get(option.key)


def _pinned(change: Change) -> set[Key]:
    """Return the options that the files set, by whatever name, and in sections of their own too."""
    found: set[Key] = set()
    for document in change.together:
        for setting in document.settings:
            found.add((canonical(setting.group), setting.name))
            for reading in (change.before, change.after):
                option = reading.find(setting.key) if reading else None
                if option:
                    found.add(option.key)
    return found
