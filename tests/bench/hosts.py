"""Rolling six hosts of the lab from old to new: the plain script against ``upgrade-flows``.

Both begin with the same instances on the same hosts and end with the same software on all; wall
time from the first command to the last.  Ours plans first, within its time; it may have three
hosts out of service, as an operator would let it, and in a third row only one, as the script does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import prepare
from tests.bench.errors import BenchError
from tests.bench.ours import Program
from tests.bench.script import Script
from tests.functional import rolling
from tests.functional.instances import Wish, make
from tests.lab import hosts, reset
from tests.lab.settings import Settings

GOAL = 0.6
EACH = 3
FULL = rolling.FAKE[:-1]  # the last one is empty
OUT = 3

SCRIPT, OURS, SERIAL = "script", "ours", "ours, one host at a time"


def run(options: argparse.Namespace) -> tuple[dict[str, float | int | None], list[str]]:
    """Measure, show a table, and return the JSON object and what has failed."""
    settings = prepare.lab()
    program = prepare.client(settings)
    walls: dict[str, list[float]] = {SCRIPT: [], OURS: [], SERIAL: []}
    failures: list[str] = []
    for number in range(options.rounds):
        ways = (SCRIPT, OURS, SERIAL) if number % 2 == 0 else (SERIAL, OURS, SCRIPT)
        for way in ways:
            try:
                took = once(way, settings, program)
            except BenchError as error:
                print(f"round {number + 1}, {way} FAILED: {error}")
                failures.append(str(error))
                continue
            walls[way].append(took)
            print(f"round {number + 1}, {way}: {took:.1f} s", flush=True)
    reset.reset()
    hosts.old(*rolling.FAKE)
    medians = {way: statistics.median(found) if found else None for way, found in walls.items()}
    show(medians)
    return {
        "hosts": len(rolling.FAKE),
        "instances": EACH * len(FULL),
        "script_s": _rounded(medians[SCRIPT]),
        "ours_s": _rounded(medians[OURS]),
        "ours_over_script": ratio(medians[OURS], medians[SCRIPT]),
        "serial_over_script": ratio(medians[SERIAL], medians[SCRIPT]),
    }, failures


def once(way: str, settings: Settings, program: Path) -> float:
    """Do the job once from the same beginning; return its wall time in seconds."""
    reset.reset()
    hosts.mend()
    hosts.old(*rolling.FAKE)
    names = [(f"roll-{host}-{number}", host) for host in FULL for number in range(EACH)]
    make([Wish(name, host) for name, host in names])
    with tempfile.TemporaryDirectory(prefix="upgrade-flows-bench-") as folder:
        start = time.monotonic()
        if way == SCRIPT:
            Script(program, settings).upgrade(rolling.FAKE)
        else:
            ours(Program(settings, Path(folder)), OUT if way == OURS else 1)
        took = time.monotonic() - start
    wrong = {
        host for host in rolling.FAKE if rolling.software(host)["kernel"] != rolling.NEW_KERNEL
    }
    lost = {name for name, _ in names} - {
        name for name, (_, status) in rolling.standing().items() if status == "ACTIVE"
    }
    if wrong or lost:
        raise BenchError(f"{way}: old hosts: {sorted(wrong)}; lost instances: {sorted(lost)}")
    return took


def ours(program: Program, out: int) -> None:
    """Plan and run, each typed as a command."""
    settings = program.folder / "settings.json"  # JSON is YAML
    settings.write_text(json.dumps(rolling.ssh_settings()))
    plan = program.folder / "plan.json"
    scope = [word for host in rolling.FAKE for word in ("--host", host)]
    program.type(
        "plan", "hosts", *scope, "--plugin", "ssh", "--settings", str(settings),
        "--at-a-time", str(out), "--prefer", "time", "-o", str(plan),
    )  # fmt: skip
    program.type("run", str(plan), "--yes")


def show(medians: dict[str, float | None]) -> None:
    """Print the medians and their ratios to the script."""
    table = Table(title=f"{len(rolling.FAKE)} hosts from old to new", title_style="")
    for heading in ("way", "wall time", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for way, median in medians.items():
        found = ratio(median, medians[SCRIPT])
        goal = ""
        if way == OURS:
            goal = f"<= {GOAL} {'met' if found is not None and found <= GOAL else 'MISSED'}"
        said = "failed" if median is None else f"{median:.1f} s"
        table.add_row(way, said, "" if found is None else f"{found:.2f}", goal)
    Console().print(table)


def ratio(one: float | None, other: float | None) -> float | None:
    """Return one over the other, where both are known."""
    return None if one is None or not other else round(one / other, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
