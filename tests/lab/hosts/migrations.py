"""How migrations away from a fake host go: what its driver reads (see driver/labvirt.py)."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.lab.errors import LabError
from tests.lab.hosts import layout
from tests.lab.hosts.layout import Host
from tests.lab.settings import Settings

FILE = "behaviour.json"


def set_behaviour(host: str, behaviour: dict[str, dict[str, Any]]) -> None:
    """Set how migrations of instances (by UUID, or "*" for all others) from a host go.

    ``live``: a number of seconds, "fail" (rolled back) or "never" (until it is aborted or
    forced); ``cold``: "fail" (the instance stays as it is) or "error" (it is in ERROR).
    """
    settings = Settings.load()
    found = layout.host(host, settings)
    if found.kind != layout.FAKE:
        raise LabError(f"{host} does not run on the fake driver")
    path = found.state(settings) / FILE
    new = path.with_suffix(".new")
    new.write_text(json.dumps(behaviour, indent=2) + "\n")
    os.replace(new, path)


def forget(host: Host, settings: Settings) -> None:
    """Let all migrations from a host go well again."""
    if host.kind == layout.FAKE:
        (host.state(settings) / FILE).unlink(missing_ok=True)
