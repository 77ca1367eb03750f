"""What ten times the hosts cost, whether memory stays flat, and what a second conductor brings.

Conductors are processes of their own, on redis and PostgreSQL; their cloud is the fake one, which
answers at once.  CPU is that of the conductors, without what it takes to start one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import services
from tests.bench.errors import BenchError
from tests.bench.scaling import capability
from upgrade_flows.engine.boards import Job, open_board
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.store import Journal

SIZES = (100, 1_000, 10_000)
STEPS = 10
SMALL = (600, 3)  # subjects and steps of the runs that one and two conductors share
WAYS = ((1, 1), (2, 1), (1, 10), (2, 10))  # conductors, and jobs that each does at a time
WINDOW = 32
GOALS = {"cpu_10x": 11.0, "rss_growth": 1.1, "jobs_2_over_1": 1.6}
PATIENCE_S = 900


@dataclass
class Cost:
    """What a run has cost its conductors."""

    wall_s: float
    cpu_s: float
    rss_early: int
    rss_end: int


class Place:
    """Servers, a fresh journal for each run, and conductors."""

    def __init__(self, folder: Path, servers: Any) -> None:
        self.folder, self.servers = folder, servers
        self._number = 0

    def cost(self, subjects: int, steps: int, conductors: int, jobs: int) -> Cost:
        """Let conductors carry a run out, each with so many jobs at a time."""
        self._number += 1
        name = f"scale{self._number}"
        url = self.servers["postgresql"].create_database(name)
        board_url = f"{self.servers['redis'].url}?namespace={name}"
        key = self.folder / "key"
        journal = Journal.open(url, key)
        _ = journal.vault  # makes the key before the conductors look for it
        common = ["--journal", url, "--key", str(key), "--board", board_url]
        common += ["--servers", str(subjects), "--jobs", str(jobs)]
        processes = [self._start(common, f"{name}-{n}") for n in range(conductors)]
        try:
            for process in processes:
                said(process)
            orders = Orders(journal, "fake")
            servers = [f"s{number}" for number in range(subjects)]
            plan = capability.plan("fake", servers, steps, WINDOW)
            run_id = orders.start(plan, submitted=True)
            began = time.monotonic()
            board = open_board(board_url, f"{name}-submit")
            due = journal.claims.decide(run_id).jobs
            board.post([Job(run_id, job.subject, str(job.work)) for job in due])
            wait(journal, run_id)
            wall = time.monotonic() - began
            board.close()
        finally:
            for process in processes:
                process.terminate()
        told = [said(process) for process in processes]
        for process in processes:
            process.wait(60)
        journal.close()
        ended = {record.state for record in [journal.run(run_id)]}
        if ended != {"changed"}:
            raise BenchError(f"the run of {subjects} subjects ended as {ended}")
        return Cost(
            wall,
            sum(item["cpu_s"] for item in told),
            max(item["rss_early"] for item in told),
            max(item["rss_end"] for item in told),
        )

    def _start(self, common: list[str], owner: str) -> Any:
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.scaling.process"]
        return subprocess.Popen(
            [*command, *common, "--owner", owner],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def said(process: Any) -> dict[str, Any]:
    """Return the next line of a conductor."""
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"a conductor ended with {process.wait(10)} instead of an answer")
    found: dict[str, Any] = json.loads(line)
    return found


def wait(journal: Journal, run_id: str) -> None:
    """Wait until a run has ended."""
    end = time.monotonic() + PATIENCE_S
    while journal.run(run_id).state in ("pending", "running"):
        if time.monotonic() > end:
            raise BenchError(f"run {run_id} did not end within {PATIENCE_S} s")
        time.sleep(0.05)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Measure; return the JSON object, and nothing that failed (a failure is raised)."""
    services.install("redis", "postgresql")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with services.running("redis", "postgresql", folder=folder) as servers:
            place = Place(folder, servers)
            place.cost(20, STEPS, 1, 10)  # warms the servers up
            grown = {size: place.cost(size, STEPS, 1, 10) for size in SIZES}
            shared: dict[tuple[int, int], list[Cost]] = {way: [] for way in WAYS}
            for number in range(options.rounds):
                for way in WAYS if number % 2 == 0 else WAYS[::-1]:
                    shared[way].append(place.cost(*SMALL, *way))
    found = summary(grown, shared)
    show(grown, shared, found)
    return found, []


def summary(grown: dict[int, Cost], shared: dict[tuple[int, int], list[Cost]]) -> dict[str, Any]:
    """Return the numbers of the goals."""
    ratios = [grown[more].cpu_s / grown[fewer].cpu_s for fewer, more in itertools.pairwise(SIZES)]
    last = grown[SIZES[-1]]
    return {
        "cpu_10x": round(max(ratios), 2),
        "rss_growth": round(last.rss_end / last.rss_early, 3),
        "jobs_2_over_1": round(rate(shared[2, 1]) / rate(shared[1, 1]), 2),
    }


def rate(costs: list[Cost]) -> float:
    """Return the median of jobs in a second."""
    return statistics.median(SMALL[0] / cost.wall_s for cost in costs)


def show(
    grown: dict[int, Cost], shared: dict[tuple[int, int], list[Cost]], found: dict[str, Any]
) -> None:
    """Print what was measured."""
    table = Table(title=f"one conductor, {STEPS} steps for each subject", title_style="")
    for heading in ("subjects", "wall s", "CPU s", "CPU ms a step", "MiB after 100", "MiB at end"):
        table.add_column(heading, justify="right")
    for size, cost in grown.items():
        table.add_row(
            f"{size:,}", f"{cost.wall_s:.1f}", f"{cost.cpu_s:.2f}",
            f"{cost.cpu_s / size / STEPS * 1000:.2f}",
            f"{cost.rss_early / 2**20:.0f}", f"{cost.rss_end / 2**20:.0f}",
        )  # fmt: skip
    console = Console(soft_wrap=False)
    console.print(table)
    table = Table(
        title=f"{SMALL[0]} jobs of {SMALL[1]} steps, redis and PostgreSQL", title_style=""
    )
    for heading in ("conductors", "at a time", "jobs a second", "CPU ms a job"):
        table.add_column(heading, justify="right")
    for (conductors, jobs), costs in shared.items():
        cpu = statistics.median(cost.cpu_s / SMALL[0] * 1000 for cost in costs)
        table.add_row(str(conductors), str(jobs), f"{rate(costs):.0f}", f"{cpu:.1f}")
    console.print(table)
    console.print(
        "What a second conductor brings is told by conductors that do one job at a time: with ten,"
        " one of them and its database keep two cores busy already."
    )
    for name, goal in GOALS.items():
        more = name == "jobs_2_over_1"
        met = found[name] >= goal if more else found[name] <= goal
        print(f"{name}: {found[name]} (goal: {'>=' if more else '<='} {goal}) "
              f"{'met' if met else 'MISSED'}")  # fmt: skip
