"""How good and how fast rolling upgrades are planned, on clouds that are made up.

Every plan is replayed by the validator and measured against its own lower bound and against what
others do.  Memory and CPU are those of a process that plans one cloud.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.errors import BenchError
from tests.bench.rolling import others
from tests.bench.rolling.cases import Case, bounded, loose
from tests.bench.rolling.clouds import cloud
from upgrade_flows.planning.rolling import Roll, plan
from upgrade_flows.planning.rolling.check import check

SIZES = (100, 1_000, 10_000)
GOALS = {
    "makespan_over_bound": 1.15,
    "moves_per_instance": 1.06,
    "violations": 0,
    "plan_s_10000": 20.0,
    "rss_mib_10000": 2048.0,
}


@dataclass
class Found:
    """What came of one case."""

    case: Case
    instances: int
    roll: Roll
    broken: list[str]
    others: dict[str, Roll]

    def over(self, name: str) -> float:
        """Return how many times as long another one takes."""
        return self.others[name].makespan / self.roll.makespan if self.roll.makespan else 1.0

    @property
    def ratio(self) -> float:
        """The makespan divided by its bound."""
        return self.roll.gap + 1


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Measure; return the JSON object, and the goals that were missed."""
    tight = [measure(case, compare=True) for case in bounded(options.most)]
    show("at most 5 % of the hosts out of service", tight)
    wide = [measure(case, compare=False) for case in loose(options.most)]
    show("20 % or no limit: time against moves", wide)
    costs = {size: cost(size, options.rounds) for size in SIZES if size <= options.most}
    show_costs(costs)
    last = costs.get(SIZES[-1])
    found = {
        "makespan_over_bound": round(max(one.ratio for one in tight), 3),
        "moves_per_instance": round(max(one.roll.moves_per_instance for one in tight), 3),
        "violations": sum(len(one.broken) + len(one.roll.stuck) for one in tight + wide),
        "plan_s_10000": round(last["cpu_s"], 1) if last else None,
        "rss_mib_10000": round(last["rss_mib"]) if last else None,
        "serial_over_ours": round(min(one.over("serial") for one in tight), 2),
        "watcher_over_ours": round(min(one.over("watcher") for one in tight), 2),
    }
    missed = []
    for name, goal in GOALS.items():
        value = found[name]
        if value is not None:
            met = value <= goal
            missed += [] if met else [name]
            print(f"{name}: {value} (goal: <= {goal}) {'met' if met else 'MISSED'}")
    for fewer, more in itertools.pairwise(costs):
        growth = costs[more]["cpu_s"] / costs[fewer]["cpu_s"]
        ideal = _n_log_n(costs[more]["instances"]) / _n_log_n(costs[fewer]["instances"])
        print(f"from {fewer:,} to {more:,} hosts: CPU x {growth:.1f}, n log n is x {ideal:.1f}")
    return found, missed


def measure(case: Case, compare: bool) -> Found:
    """Plan one cloud, replay the plan, and let others plan it too."""
    fleet, rules = cloud(case.recipe), case.rules
    roll = plan(fleet, rules)
    broken = check(fleet, rules, roll)
    rolls = {}
    if compare:
        rolls = {
            "serial": others.batches(fleet, rules, 1),
            "batches": others.batches(fleet, rules, rules.limits.out_of_service),
            "watcher": others.watcher(fleet, rules),
        }
        for name, other in rolls.items():
            if len(other.left) > len(roll.left):
                raise BenchError(
                    f"{name} leaves {len(other.left)} hosts as they are: not comparable"
                )
            if case.recipe.hosts <= 1_000 and (wrong := check(fleet, rules, other)):
                raise BenchError(f"{name} is not played by the rules: {wrong[0]}")
    return Found(case, len(fleet.instances), roll, broken, rolls)


def cost(hosts: int, rounds: int) -> dict[str, Any]:
    """Plan one cloud in processes of its own; return the round that was disturbed least."""
    command = [sys.executable, "-m", "tests.bench.rolling.cost", str(hosts)]
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"planning {hosts} hosts failed: {done.stderr.strip()[-500:]}")
        found.append(json.loads(done.stdout))
    return min(found, key=lambda one: one["cpu_s"])


def _n_log_n(size: int) -> float:
    return size * math.log(size)


def show(title: str, found: list[Found]) -> None:
    """Print the cases."""
    table = Table(title=title, title_style="")
    table.add_column("hosts", justify="right")
    for heading in ("full", "mix", "out", "prefer", "note", "by"):
        table.add_column(heading)
    for heading in ("instances", "makespan s", "/ bound", "moves", "twice", "broken", "left"):
        table.add_column(heading, justify="right")
    compared = ("serial", "batches", "watcher") if found and found[0].others else ()
    for name in compared:
        table.add_column(f"{name} x", justify="right")
        table.add_column("moves", justify="right")
    for one in found:
        recipe, roll = one.case.recipe, one.roll
        out = "-" if one.case.out is None else f"{one.case.out:.0%}"
        rows = [
            f"{recipe.hosts:,}", f"{recipe.fill:.0%}", recipe.mix, out, one.case.prefer,
            one.case.note, roll.bound.by, f"{one.instances:,}", f"{roll.makespan:,}",
            f"{one.ratio:.3f}", f"{roll.moves_per_instance:.3f}", f"{len(roll.twice):,}",
            str(len(one.broken)), str(len(roll.left)),
        ]  # fmt: skip
        for name in compared:
            rows += [f"{one.over(name):.2f}", f"{one.others[name].moves_per_instance:.2f}"]
        table.add_row(*rows)
    Console(soft_wrap=False, width=190).print(table)


def show_costs(costs: dict[int, dict[str, Any]]) -> None:
    """Print what planning costs."""
    table = Table(title="one plan, 5 % out, 60 % full", title_style="")
    for heading in ("hosts", "instances", "CPU s", "us an instance", "MiB"):
        table.add_column(heading, justify="right")
    for hosts, cost_ in costs.items():
        table.add_row(
            f"{hosts:,}", f"{cost_['instances']:,}", f"{cost_['cpu_s']:.2f}",
            f"{cost_['cpu_s'] / cost_['instances'] * 1e6:.0f}", f"{cost_['rss_mib']:.0f}",
        )  # fmt: skip
    Console(soft_wrap=False).print(table)
