"""What an audit compares: how two releases read the files of one process."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.config_audit.inifile import Document, Setting
from upgrade_flows.config_audit.metadata import Key
from upgrade_flows.config_audit.services import Reading


@dataclass(frozen=True)
class Change:
    """From which release to which, and how both read the files of a process."""

    old: str
    new: str
    before: Reading | None
    after: Reading
    together: tuple[Document, ...]

    def sets(self, key: Key) -> Setting | None:
        """Return where the files set an option by that very name."""
        return next(
            (one for document in self.together for one in document.settings if one.key == key),
            None,
        )


def option_of(setting: Setting) -> str:
    """Return what a setting is called: ``[group] name``."""
    return f"[{setting.group}] {setting.name}"
