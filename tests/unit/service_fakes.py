"""Stand-ins for what surrounds the service; ``python -m`` runs the service with them.

``FAKE`` in the environment says what goes wrong, as words: ``no-cloud``, ``stuck`` (a step does
not end), ``crash`` (the loop raises), ``gone`` (the loop ends by itself).
"""

from __future__ import annotations

import os
import sys
import threading
import time

from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.conductor import InHand, Status
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.store import Journal
from upgrade_flows.service import start
from upgrade_flows.service.main import main


class Conductor:
    """Does nothing, until it is told to stop."""

    def __init__(self, owner="me", observer=None, faults=(), ages=(0.0, 0.0), jobs=()):
        self.owner, self.observer, self.faults = owner, observer, faults
        self.ages, self.jobs, self.error = ages, jobs, ""
        self.stopping = threading.Event()

    def run(self):
        if self.observer:
            self.observer("run-1", Event(time.time(), "web-1", "", "changed", "", self.owner))
        if "crash" in self.faults:
            raise ZeroDivisionError("redis://:hunter22@board has crashed")
        if "gone" in self.faults:
            return
        self.stopping.wait()
        if "stuck" in self.faults:
            time.sleep(600)

    def stop(self):
        self.stopping.set()

    def status(self):
        return Status(self.owner, self.jobs, 10, self.stopping.is_set(), *self.ages, self.error)


class Board:
    def close(self):
        pass


class Wiring:
    """Parts that need no servers."""

    def __init__(self, faults=()):
        self.faults = faults

    def plugins(self):
        return None

    def cloud(self, settings):
        cloud = FakeCloud(hosts=("compute-1",))
        if "no-cloud" in self.faults:
            cloud.check_credentials = _refuse
        return cloud

    def journal(self, settings):
        return Journal.open(settings.journal, settings.key_file)

    def board(self, settings, owner):
        return Board()

    def conductor(self, settings, owner, journal, board, cloud, plugins, observer):
        jobs = (InHand("run-1", "web-1", "change", time.time() - 61),) * ("stuck" in self.faults)
        return Conductor(owner, observer, self.faults, jobs=jobs)


def _refuse():
    raise errors.Unavailable("connection refused")


if __name__ == "__main__":
    words = os.environ.get("FAKE", "").split()
    start.PATIENCE_S = float(os.environ.get("PATIENCE_S", "60"))
    sys.exit(main(wiring=Wiring(words)))
