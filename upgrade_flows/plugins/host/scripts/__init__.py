"""The shell scripts that run on hosts, made whole: they come in on standard input."""

from __future__ import annotations

from collections.abc import Sequence

from upgrade_flows.plugins import scripts
from upgrade_flows.plugins.scripts import lines as lines


def script(name: str, arguments: Sequence[str] = (), content: bytes | None = None) -> str:
    """Return a script as text for ``sh -s``; ``content`` is what it puts into a file."""
    return scripts.script(__name__, ("common", name), arguments, content)
