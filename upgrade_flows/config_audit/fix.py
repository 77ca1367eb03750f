"""Patched copies of files: what a finding says how to mend, and nothing else.

Comments stay, and so does the order: a line is renamed where it stands, a line that moves to
another section leaves a comment behind, and what is read no more becomes one.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from upgrade_flows.config_audit.inifile import Document, Setting
from upgrade_flows.config_audit.metadata import canonical
from upgrade_flows.model.report import Finding

#: in front of each comment that is written
SIGN = "# upgrade-flows:"


def patched(document: Document, findings: Iterable[Finding], new: str) -> str:
    """Return the text of a file after all that its findings say how to mend.

    :param new: the release that the file is made fit for.
    """
    mending = [
        finding
        for finding in findings
        if finding.evidence["file"] == document.path and "fix" in finding.evidence
    ]
    mending.sort(key=lambda finding: int(finding.evidence["line"]))
    at = {setting.line: setting for setting in document.settings}
    lines: list[list[str]] = [[line] for line in document.lines]
    added: dict[str, list[str]] = defaultdict(list)
    end = _ending(document)
    losers = _losers(mending)
    for finding in mending:
        fix, number = finding.evidence["fix"], finding.evidence["line"]
        if fix["action"] == "pin":
            group, name = fix["to"]
            added[group] += [
                f"{SIGN} this was the default before {new}{end}",
                f"{name} = {fix['value']}".rstrip() + end,
            ]
            continue
        setting = at[number]
        if fix["action"] == "comment" or id(finding) in losers:
            _comment(lines, setting, f"{SIGN} not read by {new}{end}", end)
        elif canonical(fix["to"][0]) == canonical(setting.group):
            _rename(lines, setting, fix["to"][1])
        else:
            group, name = fix["to"]
            moved = [_named(document.lines[setting.line - 1], setting.name, name)]
            moved += document.lines[setting.line : setting.last]
            added[group] += [line if line.endswith("\n") else line + end for line in moved]
            lines[setting.line - 1] = [f"{SIGN} {setting.name} is [{group}] {name} now{end}"]
            for index in range(setting.line, setting.last):
                lines[index] = []
    return _joined(document, lines, added, end)


def difference(document: Document, text: str) -> str:
    """Return what was changed, as ``diff -u`` says it."""
    before = document.lines
    after = text.splitlines(keepends=True)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(before, after, document.path, f"{document.path} (new)")
    )


def _losers(findings: Sequence[Finding]) -> set[int]:
    """Return the renames that must not be made: another old name of the option was read before."""
    first: dict[tuple[str, str], int] = {}
    renames = [one for one in findings if one.evidence["fix"]["action"] == "rename"]
    for finding in renames:
        fix = finding.evidence["fix"]
        first[_target(fix)] = min(fix["place"], first.get(_target(fix), fix["place"]))
    return {
        id(finding)
        for finding in renames
        if not finding.evidence["fix"]["multi"]
        and finding.evidence["fix"]["place"] > first[_target(finding.evidence["fix"])]
    }


def _target(fix: dict[str, Any]) -> tuple[str, str]:
    group, name = fix["to"]
    return canonical(group), name


def _comment(lines: list[list[str]], setting: Setting, why: str, end: str) -> None:
    for index in range(setting.line - 1, setting.last):
        line = lines[index][0]
        lines[index] = [f"#{line}" if line.endswith("\n") else f"#{line}{end}"]
    lines[setting.line - 1].insert(0, why)


def _rename(lines: list[list[str]], setting: Setting, name: str) -> None:
    lines[setting.line - 1] = [_named(lines[setting.line - 1][0], setting.name, name)]


def _named(line: str, old: str, new: str) -> str:
    return line.replace(old, new, 1)


def _joined(
    document: Document, lines: list[list[str]], added: dict[str, list[str]], end: str
) -> str:
    """Return the lines as a text, with what is added at the end of its section."""
    known = {canonical(name): number for name, number in reversed(document.sections)}
    starts = sorted(number for _, number in document.sections)
    tail: list[str] = []
    for group, more in added.items():
        number = known.get(canonical(group))
        if number is None:
            tail += [end, f"[{group}]{end}", *more]
            continue
        following = next((one for one in starts if one > number), len(document.lines) + 1)
        index = _last_used(document, number, following)
        lines[index] = [_closed(line, end) for line in lines[index]] + more
    flat = [line for group_ in lines for line in group_]
    if tail and flat:
        flat[-1] = _closed(flat[-1], end)
    return "".join(flat + tail)


def _last_used(document: Document, first: int, following: int) -> int:
    """Return the index of the last setting of a section; of its head, if it has none."""
    inside = [one.last for one in document.settings if first < one.line < following]
    return max(inside, default=first) - 1


def _closed(line: str, end: str) -> str:
    return line if line.endswith("\n") else line + end


def _ending(document: Document) -> str:
    return "\r\n" if document.lines and document.lines[0].endswith("\r\n") else "\n"
