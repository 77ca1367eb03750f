"""One conductor, which says what it has cost when it is told to stop."""

from __future__ import annotations

import argparse
import collections
import gc
import json
import os
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.scaling import capability
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.boards import open_board
from upgrade_flows.engine.conductor import Conductor
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Settings

PAGE = resource.getpagesize()


class Meter:
    """Counts subjects, and looks at the process when the first hundred and the last are done."""

    def __init__(self, total: int, done: threading.Event) -> None:
        self.total, self._done = total, done
        self.count = 0
        self.rss_early = 0
        self.first = self.last = 0.0
        self._lock = threading.Lock()

    def __call__(self, _run_id: str, event: Event) -> None:
        """Take note of an event."""
        if event.step or event.what != State.CHANGED or not event.subject:
            if not event.subject:
                self._done.set()
            return
        with self._lock:
            self.count += 1
            self.last = time.monotonic()
            self.first = self.first or self.last
            if self.count == min(100, self.total):
                self.rss_early = rss()


def rss() -> int:
    """Return the bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def cpu() -> float:
    """Return the seconds of CPU that this process has used, in user and system mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Work until SIGTERM, or until a run has ended if told so; print one JSON object."""
    parser = argparse.ArgumentParser()
    for name in ("journal", "key", "board", "owner"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("servers", "jobs"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    capability.register()
    cloud: Any = FakeCloud(hosts=("h1",))
    for number in range(options.servers):
        cloud.add_server(f"s{number}", host="h1", id=f"s{number}")
    cloud.calls = collections.deque(maxlen=1)  # or the cloud's memory would be counted as ours
    gc.freeze()  # nor is it ours to look through the cloud's objects again and again
    journal = Journal.open(options.journal, Path(options.key))
    board = open_board(options.board, options.owner)
    done = threading.Event()
    meter = Meter(options.servers, done)
    tools = Tools(cloud, None, Settings(), journal.vault)  # type: ignore[arg-type]
    conductor = Conductor(
        journal, board, tools, owner=options.owner, jobs=options.jobs, observer=meter
    )
    signal.signal(signal.SIGTERM, lambda *_: conductor.stop())
    before = cpu()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    conductor.run()
    board.close()
    print(
        json.dumps(
            {
                "cpu_s": cpu() - before, "rss_early": meter.rss_early, "rss_end": rss(),
                "subjects": meter.count, "first": meter.first, "last": meter.last,
            }
        ),
        flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
