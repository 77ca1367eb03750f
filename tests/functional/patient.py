"""A live update that takes longer than tokens live: it waits for room for five minutes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.functional.crowd import Crowd, flavor
from tests.functional.instances import Wish, make, truth
from tests.functional.killing import CommandLine
from tests.functional.unmanned import PLAIN, Updates
from tests.lab import tokens
from upgrade_flows.cloud import clients

PREFIX = "lt-"
HOST = "fake6"
TOKEN_S, RUN_S = 60, 300
OPTIONS = {**PLAIN, "elsewhere": False, "make_room": False}


class Patient:
    """The command ``upgrade-flows run``, which goes on while other tests do.

    It gets tokens that live for a minute, and those that watch it do not.
    """

    def __init__(self, folder: Path) -> None:
        clouds = tokens.start(TOKEN_S)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
            cloud = clients.connect("lab-admin")
        self.crowd, self.updates = Crowd(), Updates(cloud, folder, PREFIX)
        self._command = CommandLine(clouds, self.updates.url, random.Random(0), (0, 0))
        big = flavor(f"{PREFIX}big", 1, int(0.3 * self.crowd.capacity(HOST)))
        (self.server,) = make([Wish(f"{PREFIX}patient", HOST, flavor=big)]).values()
        self.before = truth(self.server)
        file = folder / "plan.json"
        file.write_text(self.updates.asked([self.server], OPTIONS).to_json())
        self.crowd.fill(HOST, MEMORY_MB=0.8)
        self.began = time.monotonic()
        self._process = self._command.start("run", str(file), "--yes")
        while not self.told("waiting"):
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < self.began + 120
            time.sleep(0.3)

    @property
    def run(self) -> str:
        """The id of the run."""
        return self.updates.journal.runs()[0].id

    def told(self, what: str) -> list[Any]:
        """Return the events of that kind; none where the run is not on record yet."""
        if not self.updates.journal.runs():
            return []
        events = self.updates.journal.events(self.run, self.server)
        return [event for event in events if event.what == what]

    def goes_on(self) -> tuple[int, str]:
        """Make room when the five minutes are over; return how the command ends."""
        time.sleep(max(0.0, self.began + RUN_S - time.monotonic()))
        self.crowd.leave()
        output, _ = self._process.communicate(timeout=900)
        return self._process.returncode, output

    def type(self, *words: str) -> tuple[int, str]:
        """Give a command that is not killed; return how it ends."""
        return self._command.to_its_end(*words)

    def end(self) -> None:
        """Take everything away."""
        try:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.communicate()
            self.crowd.leave()
            self.updates.clear()
        finally:
            tokens.stop()
