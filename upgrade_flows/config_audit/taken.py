"""Whether another release takes the values of a file, and what it makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upgrade_flows.config_audit import values
from upgrade_flows.config_audit.change import Change, option_of
from upgrade_flows.config_audit.findings import MASK, make, shown
from upgrade_flows.config_audit.inifile import Document, Setting
from upgrade_flows.config_audit.metadata import Option
from upgrade_flows.config_audit.named import missing
from upgrade_flows.config_audit.services import Place, fits, rules
from upgrade_flows.model.report import Finding, Severity


def judge(
    change: Change,
    document: Document,
    place: Place,
    setting: Setting,
    before: Option | None,
    after: Option,
) -> Iterator[Finding]:
    """Yield what is found of the value of an option that the new release reads.

    :param before: the option as the old release has it, if it does.
    """
    wrong = values.problem(after, setting.value)
    fine_before = before is not None and not values.problem(before, setting.value)
    retyped = before is not None and before.type != after.type
    if wrong and retyped and fine_before:
        yield make(
            "UF-CFG-007", Severity.ERROR, document, place, option_of(setting),
            f"its type is {after.type} now, not {_type(before)}, and it does not take this:"
            f" {_why(setting, after, wrong)}",
            f"write it as {after.type}", setting=setting, known=after,
        )  # fmt: skip
    elif wrong:
        fate = "and did before" if fine_before else f"and {change.old} does not, either"
        said = f"{change.old} took it" if fine_before else fate
        yield make(
            "UF-CFG-008", Severity.ERROR, document, place, option_of(setting),
            f"{change.new} does not take this value: {_why(setting, after, wrong)} ({said})",
            "choose a value that it takes", setting=setting, known=after,
            takes=after.limits.get("choices"),
        )  # fmt: skip
    elif retyped:
        yield make(
            "UF-CFG-007", Severity.INFO, document, place, option_of(setting),
            f"its type is {after.type} now, not {_type(before)}; it takes this value",
            "nothing", setting=setting, known=after,
        )  # fmt: skip
    if after.leaving is not None:
        already = before is not None and before.leaving is not None
        yield make(
            "UF-CFG-011", Severity.INFO if already else Severity.WARNING, document, place,
            option_of(setting),
            "deprecated, and will be removed" + (f": {after.reason}" if after.reason else ""),
            "find out what takes its place before the next upgrade", setting=setting, known=after,
            since=after.leaving,
        )  # fmt: skip
    yield from _said(change, document, place, setting, after)
    for gone in missing(change.before, change.after, place.service, setting, after):
        yield make(
            "UF-CFG-013", Severity.ERROR, document, place, option_of(setting),
            f"{gone} does not come with {change.new} any more",
            "choose another one, or install the package that has it", setting=setting, known=after,
        )  # fmt: skip


def section(
    change: Change, document: Document, place: Place, name: str, line: int
) -> Finding | None:
    """Return what is found of a section that the new release does not know, if it once was one."""
    for rule in rules()["sections_gone"]:
        if (
            fits(rule, place.service)
            and change.old < rule["since"] <= change.new
            and re.fullmatch(rule["pattern"], name)
        ):
            return make(
                "UF-CFG-012", Severity.WARNING, document, place, f"[{name}]",
                rule["message"], rule["remedy"], line, source=rule["source"],
            )  # fmt: skip
    return None


def _said(
    change: Change, document: Document, place: Place, setting: Setting, after: Option
) -> Iterator[Finding]:
    """Yield what is known of the spelling of values that no type says."""
    for rule in rules()["values"]:
        if (
            fits(rule, place.service)
            and change.old < rule["since"] <= change.new
            and re.fullmatch(rule["option"], str(after))
            and re.fullmatch(rule["pattern"], setting.value)
        ):
            yield make(
                "UF-CFG-012", Severity.WARNING, document, place, option_of(setting),
                rule["message"], rule["remedy"], setting=setting, known=after,
                source=rule["source"],
            )  # fmt: skip


def _type(option: Option | None) -> str:
    return option.type if option else "unknown"


def _why(setting: Setting, option: Option, why: str) -> str:
    """Return an error of oslo.config, which names the value, unless that is a secret."""
    return why if shown(setting.name, setting.value, option) != MASK else "not of its type"
