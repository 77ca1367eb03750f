"""Rich tables that look alike everywhere, and consoles that print them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from upgrade_flows.model.report import Finding
from upgrade_flows.reports import words

#: width of what is not printed on a terminal
WIDTH = 110

COLOURS = {"error": "bold red", "refused": "red", "warning": "yellow", "info": ""}


def console(stream: TextIO, width: int | None = None) -> Console:
    """Return a console for a stream; names of servers are never taken for markup."""
    terminal = stream.isatty()
    return Console(
        file=stream,
        width=width or (None if terminal else WIDTH),
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
    )


def show(printer: Console, parts: Iterable[RenderableType]) -> None:
    """Print parts one below the other; lines are not broken, so that commands can be copied."""
    for part in parts:
        printer.print(part, soft_wrap=isinstance(part, str))


def to_text(parts: Iterable[RenderableType], width: int = WIDTH) -> str:
    """Return what ``parts`` look like without colour and without trailing blanks."""
    stream = io.StringIO()
    printer = console(stream, width)
    show(printer, parts)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns named in ``right`` hold numbers."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        result.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in right,
        )
    return result


def findings(items: Iterable[Finding]) -> Table:
    """Return the table of findings: what, about whom, and what to do."""
    result = table(("Finding", "Subject", "What", "What to do"))
    for item in items:
        result.add_row(
            item.id,
            words.safe(str(item.evidence.get("name") or item.subject)),
            words.safe(item.message),
            words.safe(item.remedy),
            style=COLOURS.get(item.severity, ""),
        )
    return result


def audit(items: Iterable[Finding]) -> Table:
    """Return the table of what an audit of files found; what files have in common is one row."""
    rows: dict[tuple[str, ...], list[Finding]] = {}
    for item in items:
        key = (item.id, item.severity, str(item.evidence["option"]), item.message, item.remedy)
        rows.setdefault(key, []).append(item)
    files = [os.path.abspath(item.evidence["file"]) for alike in rows.values() for item in alike]
    common = os.path.commonpath([os.path.dirname(file) for file in files] or ["."])
    result = table(("Finding", "Noticed by", "Where", "What", "What to do"))
    for (number, severity, option, message, remedy), alike in rows.items():
        first = alike[0]
        where = os.path.relpath(first.subject, common)
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        result.add_row(
            f"{number}\n{severity}",
            str(first.evidence["rank"]),
            f"{words.safe(where + more)}\n{words.safe(option)}",
            words.safe(message),
            words.safe(remedy),
            style=COLOURS.get(severity, ""),
        )
    return result
