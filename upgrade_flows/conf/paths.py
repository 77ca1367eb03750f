"""Where the files of this host belong that outlive a process: the journal and the log."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path:
    """Return ``$XDG_STATE_HOME/upgrade-flows``, or what stands for it: root has ``/var/lib``."""
    given = os.environ.get("XDG_STATE_HOME")
    if given:
        return Path(given) / "upgrade-flows"
    if os.geteuid() == 0:
        return Path("/var/lib/upgrade-flows")
    return Path.home() / ".local" / "state" / "upgrade-flows"


def journal_url() -> str:
    """Return the URL of the journal that is used where none is configured."""
    return f"sqlite:///{state_dir() / 'journal.db'}"
