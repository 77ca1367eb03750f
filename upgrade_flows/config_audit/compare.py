"""What becomes of each line of a file when another release reads it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from upgrade_flows.config_audit import taken, values
from upgrade_flows.config_audit.change import Change, option_of
from upgrade_flows.config_audit.findings import make, rank
from upgrade_flows.config_audit.inifile import Document, Setting
from upgrade_flows.config_audit.metadata import Option, canonical
from upgrade_flows.config_audit.services import Place
from upgrade_flows.model.report import Finding, Severity


def lines(change: Change, document: Document, place: Place) -> Iterator[Finding]:
    """Yield what is found of the lines of a file."""
    for number, reason in document.problems:
        yield make(
            "UF-CFG-001", Severity.ERROR, document, place, "(none)",
            f"the service does not start with this line: {reason}", "correct the line", number,
        )  # fmt: skip
    yield from _sections(change, document, place)
    for setting in document.settings:
        after = change.after.find(setting.key)
        before = change.before.find(setting.key) if change.before else None
        if after is None:
            finding = _gone(change, document, place, setting, before)
            if finding:
                yield finding
            continue
        own = change.after.current(setting.key) is not None
        if not own:
            yield _renamed(change, document, place, setting, after)
        elif before is None and change.before:
            yield make(
                "UF-CFG-010", Severity.INFO, document, place, option_of(setting),
                f"{change.old} does not know it; it counts from {change.new} on",
                "nothing, if the file was made for the new release", setting=setting, known=after,
            )  # fmt: skip
        yield from taken.judge(change, document, place, setting, before, after)


def _sections(change: Change, document: Document, place: Place) -> Iterator[Finding]:
    for name, line in document.sections:
        used = any(canonical(one.group) == canonical(name) for one in document.settings)
        if not used or change.after.knows(name) or (change.before and change.before.knows(name)):
            continue
        gone = taken.section(change, document, place, name, line)
        if gone:
            yield gone
            continue
        near = _nearest(canonical(name), list(change.after.service.groups))
        hint = f"; did you mean [{change.after.service.groups[near]}]?" if near else ""
        yield make(
            "UF-CFG-009", Severity.WARNING, document, place, f"[{name}]",
            f"no release knows this section{hint}",
            "correct it; or name the plugin's environment with --environment",
            line, nearest=near and change.after.service.groups[near],
        )  # fmt: skip


def _gone(
    change: Change, document: Document, place: Place, setting: Setting, before: Option | None
) -> Finding | None:
    if before is None:
        return _unknown(change, document, place, setting)
    target = _target(change, setting, before)
    noticed = rank(place.service, str(before))
    idle = values.same(before, setting.value, before.default)
    if target is None:
        severity = Severity.INFO if idle else Severity.WARNING
        was = "which was what it had anyway" if idle else "and what it said has no effect any more"
        reason = f" ({before.reason})" if before.reason else ""
        like = _newcomer(change, before)
        reason += f"; see {like}, which is new" if like else ""
        return make(
            "UF-CFG-002", severity, document, place, option_of(setting),
            f"removed: {change.new} does not read it, {was}{reason}",
            "take it out, after reading the release notes on what takes its place",
            setting=setting, known=before, fix={"action": "comment"},
        )  # fmt: skip
    group = _group(setting, before, target)
    other = change.sets((canonical(group), target.name))
    if other and not target.multi:
        return _both(change, document, place, setting, target, other)
    severity = Severity.ERROR if noticed.felt and not idle else Severity.WARNING
    return make(
        "UF-CFG-003", severity, document, place, option_of(setting),
        f"{change.new} does not read this old name of {target} any more: what it says is ignored",
        f"write it as {target}", setting=setting, known=target,
        fix=_rename(setting, before, group, target.name),
    )  # fmt: skip


def _newcomer(change: Change, gone: Option) -> str:
    """Return an option of the same name that the old release had nowhere."""
    known = {one.key for one in change.before.service.options.values()} if change.before else set()
    names = change.after.service.options.values()
    return next((str(one) for one in names if one.name == gone.name and one.key not in known), "")


def _target(change: Change, setting: Setting, before: Option) -> Option | None:
    """Return the option of the new release that does what the old one's option did."""
    same = change.after.service.options.get(before.key)
    return same or change.after.service.old.get(before.key)


def _group(setting: Setting, before: Option, target: Option) -> str:
    """Return the section to write in: one of the operator's own, where it stands for a group."""
    if target.group == before.group and canonical(setting.group) != canonical(before.group):
        aliases = {canonical(group) for group, _ in before.old}
        return target.group if canonical(setting.group) in aliases else setting.group
    return target.group


def _unknown(change: Change, document: Document, place: Place, setting: Setting) -> Finding | None:
    if not change.after.knows(setting.group) and not (
        change.before and change.before.knows(setting.group)
    ):
        return None  # it is said of the section
    elsewhere = sorted(
        str(one) for one in change.after.service.options.values() if one.name == setting.name
    )
    near = _nearest(setting.name, change.after.names(setting.group))
    if elsewhere:
        nearest, hint = elsewhere[0], f"; there is {elsewhere[0]}"
    else:
        nearest = f"[{setting.group}] {near}" if near else ""
        hint = f"; did you mean {near}?" if near else ""
    which = "neither release knows it" if change.before else f"{change.new} does not know it"
    return make(
        "UF-CFG-009", Severity.WARNING, document, place, option_of(setting),
        f"{which}, so that it is ignored{hint}",
        "correct it, or take it out; a plugin's options need its --environment",
        setting=setting, nearest=nearest,
    )  # fmt: skip


def _nearest(name: str, known: list[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1, 0.75)), "")


def _renamed(
    change: Change, document: Document, place: Place, setting: Setting, after: Option
) -> Finding:
    moved = canonical(setting.group) != canonical(after.group) and not _like(change, setting, after)
    group = after.group if moved else setting.group
    other = change.sets((canonical(group), after.name))
    if other and not after.multi:
        return _both(change, document, place, setting, after, other)
    return make(
        "UF-CFG-005" if moved else "UF-CFG-004", Severity.WARNING, document, place,
        option_of(setting),
        f"{'moved' if moved else 'renamed'}: it is {after} now; {change.new} still reads it here",
        f"write it as [{group}] {after.name} before it is read no more",
        setting=setting, known=after, fix=_rename(setting, after, group, after.name),
    )  # fmt: skip


def _like(change: Change, setting: Setting, after: Option) -> bool:
    """Whether the section is one of the operator's own, which the option's group stands for."""
    return change.after.current((setting.key[0], after.name)) is after


def _rename(setting: Setting, option: Option, group: str, name: str) -> dict[str, object]:
    """Return how a setting gets its new name; of several old names the first one is read."""
    keys = [(canonical(old), one) for old, one in option.old]
    place = keys.index(setting.key) if setting.key in keys else len(keys)
    return {"action": "rename", "to": [group, name], "place": place, "multi": option.multi}


def _both(
    change: Change,
    document: Document,
    place: Place,
    setting: Setting,
    target: Option,
    other: Setting,
) -> Finding:
    differs = other.value != setting.value
    says = "it says something else" if differs else "it says the same"
    return make(
        "UF-CFG-006", Severity.WARNING if differs else Severity.INFO, document, place,
        option_of(setting),
        f"an old name of {target}, which is set as well (line {other.line}) and counts; {says}",
        "take the old name out", setting=setting, known=target, fix={"action": "comment"},
    )  # fmt: skip
