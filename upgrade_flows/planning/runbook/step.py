"""One step of a runbook, and text of others in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HandStep:
    """One thing to do by hand: the commands, what must be seen afterwards, and the way back."""

    title: str
    do: tuple[str, ...]
    check: str
    undo: tuple[str, ...] = ()
    no_undo: str = "nothing to undo"


def plain(text: str) -> str:
    """Return text of others as one line that Markdown does not take for its own."""
    line = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
    return "".join("\\" + char if char in "\\`*_[]<>#|" else char for char in line)
