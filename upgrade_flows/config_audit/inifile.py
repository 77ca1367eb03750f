"""Configuration files as oslo.config reads them, with the lines that everything stands on."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from upgrade_flows.config_audit.metadata import Key, canonical


@dataclass(frozen=True)
class Setting:
    """One assignment.

    :param group: the section as it is written; ``value`` is without quotes, of several lines
        joined by newlines.
    :param line: the number of its first line, from 1; ``last`` that of its last one.
    """

    group: str
    name: str
    value: str
    line: int
    last: int

    @property
    def key(self) -> Key:
        """Its group and name, as they are looked up."""
        return canonical(self.group), self.name


@dataclass
class Document:
    """One file.

    :param lines: as they are, each with its end.
    :param sections: for each ``[section]`` line its name and number.
    :param problems: the lines that oslo.config refuses, with the reason.
    """

    path: str
    lines: list[str]
    settings: list[Setting] = field(default_factory=list)
    sections: list[tuple[str, int]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def value(self, key: Key) -> str | None:
        """Return what an option is set to (the last one wins), or None."""
        return next((one.value for one in reversed(self.settings) if one.key == key), None)


def parse(path: str, text: str) -> Document:
    """Return a file in parts; what oslo.config would refuse is noted, and left out."""
    document = Document(path, list(io.StringIO(text, newline="\n")))
    section: str | None = None
    begun: list[str] = []  # the values of an assignment that may go on
    start, name = 0, ""

    def end(last: int) -> None:
        if begun and section is not None:
            document.settings.append(Setting(section, name, "\n".join(begun), start, last))
        begun.clear()

    for number, full in enumerate(document.lines, 1):
        line = full.rstrip()
        if line.startswith((" ", "\t")):
            if begun:
                begun.append(line.lstrip())
            else:
                document.problems.append((number, "it is indented, but continues nothing"))
            continue
        end(number - 1)
        if line.startswith("["):
            section = _section(document, number, line) or section
        elif line and not line.startswith(("#", ";")):
            name, value, problem = _split(line)
            if not problem and section is None:
                problem = "it stands before the first [section]"
            if problem:
                document.problems.append((number, problem))
            else:
                begun.append(value)
                start = number
    end(len(document.lines))
    return document


def _section(document: Document, number: int, line: str) -> str | None:
    if not line.endswith("]"):
        document.problems.append((number, "the section does not end with ]"))
        return None
    if len(line) <= 2:
        document.problems.append((number, "the section has no name"))
        return None
    document.sections.append((line[1:-1], number))
    return line[1:-1]


def _split(line: str) -> tuple[str, str, str]:
    """Return name, value, and what is wrong."""
    marks = [place for place in (line.find("="), line.find(":")) if place >= 0]
    if not marks:
        return "", "", "there is no = in it"
    place = min(marks)
    name, value = line[:place].strip(), line[place + 1 :].strip()
    if value and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return name, value, "" if name else "there is no name before the ="
