"""Lines of configuration files: whether they are there, and what a file is with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: bytes of the longest file that lines are put into
LONGEST_FILE = 256 * 1024


@dataclass(frozen=True)
class Line:
    """A line that a file should have.

    :param instead_of: expression that finds the lines to be replaced by it, all of them; where
        there is none, the line is appended.
    """

    path: str
    line: str
    instead_of: str = ""


def stands(content: bytes | None, line: Line) -> bool:
    """Whether a file (None: it does not exist) is as the line wants it."""
    return content is not None and _with(content, line) == content


def found(content: bytes | None, line: Line) -> str | None:
    """Return what a file has now in the line's place, or None."""
    if content is None:
        return None
    texts = _texts(content)
    if stands(content, line):
        return line.line
    old = [text for text in texts if line.instead_of and re.search(line.instead_of, text)]
    return old[-1] if old else None


def put(content: bytes | None, lines: Iterable[Line]) -> bytes:
    """Return what a file is with all of the lines."""
    content = content or b""
    for line in lines:
        content = _with(content, line)
    return content


def _with(content: bytes, line: Line) -> bytes:
    texts = _texts(content)
    old = [n for n, text in enumerate(texts) if _replaced(text, line)]
    if not old and line.line in texts:
        return content
    if old:
        place = next((n for n, text in enumerate(texts) if text == line.line), old[-1])
        texts[place] = line.line
        texts = [text for n, text in enumerate(texts) if n == place or n not in old]
    else:
        texts.append(line.line)
    return ("\n".join(texts) + "\n").encode("utf-8", "surrogateescape")


def _replaced(text: str, line: Line) -> bool:
    if not line.instead_of or text == line.line:
        return False
    return re.search(line.instead_of, text) is not None


def _texts(content: bytes) -> list[str]:
    texts = content.decode("utf-8", "surrogateescape").split("\n")
    return texts[:-1] if texts[-1] == "" else texts
