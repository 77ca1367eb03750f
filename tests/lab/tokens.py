"""How long Keystone's tokens live."""

from __future__ import annotations

import signal

from tests.lab import api, config, processes, services, waiting
from tests.lab.settings import Settings

CONFIGURATION = "keystone/keystone.conf"
#: so many in a row tell that all of Keystone's processes give such tokens
TOKENS = 6


def live(seconds: int | None = None) -> None:
    """Have tokens that are given from now on live for so long; None: for Keystone's hour.

    Keystone reads its configuration anew; whoever asks it meanwhile waits for a moment.
    """
    settings = Settings.load()
    path = settings.etc / CONFIGURATION
    config.write(settings, path, config.PLAIN[CONFIGURATION], token_seconds=seconds)
    processes.send_signal(services.api_name("keystone"), signal.SIGHUP)
    wanted = seconds or 3600
    waiting.until(
        f"Keystone's tokens live for {wanted} s",
        lambda: all(abs(life() - wanted) < 5 for _ in range(TOKENS)),
    )


def life() -> float:
    """Return for how many seconds a new token lives."""
    session = api.connect().session
    given = session.auth.get_access(session)
    return float((given.expires - given.issued).total_seconds())
