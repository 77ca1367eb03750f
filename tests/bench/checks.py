"""How long all checks take on a large cloud, what they find of what was planted, and what else.

The cloud is the one in memory and answers at once; Nova's databases are in SQLite.  Time is that of
the checks alone; memory is the most that the process has had, the cloud in memory included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.errors import BenchError

GOALS = {"seconds": 30.0, "rss_mib": 1536.0, "false_alarms": 0}


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Measure; return the JSON object, and the goals that were missed."""
    rounds = [measure(options.hosts) for _ in range(options.rounds)]
    best = min(rounds, key=lambda one: one["seconds"])
    show(best)
    found = {
        "seconds": round(best["seconds"], 1),
        "rss_mib": round(max(one["rss_mib"] for one in rounds)),
        "planted": best["planted"],
        "found": min(one["found"] for one in rounds),
        "false_alarms": max(one["alarms"] for one in rounds),
    }
    missed = [name for name, goal in GOALS.items() if found[name] > goal]
    for name, goal in GOALS.items():
        print(f"{name}: {found[name]} (goal: <= {goal}) {'MISSED' if name in missed else 'met'}")
    if found["found"] < found["planted"]:
        missed.append("found")
        print(f"found: {found['found']} of {found['planted']} MISSED: {best['missed']}")
    if found["false_alarms"]:
        print(f"false alarms: {best['false_alarms']}")
    return found, missed


def measure(hosts: int) -> dict[str, Any]:
    """Check one cloud in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.checking.cost", str(hosts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the checks failed: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found["failed"]:
        raise BenchError(f"checks failed: {'; '.join(found['failed'])}")
    return found


def show(best: dict[str, Any]) -> None:
    """Print what each check has taken, and what was not looked at."""
    table = Table(title="each check, while the others run", title_style="")
    table.add_column("check")
    table.add_column("seconds", justify="right")
    for name, seconds in sorted(best["checks"].items(), key=lambda pair: -pair[1]):
        if name not in best["skipped"]:
            table.add_row(name, f"{seconds:.2f}")
    Console(soft_wrap=False).print(table)
    print(f"not looked at: {', '.join(best['skipped'])}")
    print(f"CPU: {best['cpu_s']:.1f} s; before the checks: {best['before_mib']:.0f} MiB")
