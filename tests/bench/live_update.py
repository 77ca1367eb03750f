"""``live_update``: a guest gets a new kernel with a surrogate, and by the recipe typed by hand.

Both guests serve HTTP from a disk of data at an address of their own, asked every 10 ms; the
longest silence counts.  Beside it: the calls that no move can do without, as the run's report has
them, and the same calls on an idle guest, one after the other.  A third guest's processes move
with their memory, and a connection to them that lasts.  Medians of several rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import live_guests, live_session, live_table, prepare
from tests.bench.byhand import Operator
from tests.bench.errors import BenchError
from tests.bench.live_guests import LiveGuest
from tests.bench.ours import Program
from tests.lab.hosts.probe import Probe
from tests.lab.settings import Settings

OURS, HAND, CRIU = WAYS = ("ours", "hand", "criu")
HOST = "virt1"


@dataclass
class Result:
    """What one update cost: seconds, but for ``load`` (that of the machine when it began).

    :param blackout: the longest silence of the guest.
    :param reported: what the run's report says of it; None by hand.
    :param alone: the calls that no move can do without, each done alone; by hand only.
    """

    blackout: float
    wall: float
    load: float
    steps: list[tuple[str, float]]
    kernels: tuple[str, str]
    reported: dict[str, Any] | None = None
    alone: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Results:
    """All results, by way."""

    by_way: dict[str, list[Result]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def median(self, way: str, what: str) -> float | None:
        """Return the median of a measure; None if a way has failed once."""
        values = [measures(one)[what] for one in self.by_way[way] if what in measures(one)]
        return statistics.median(values) if values and not self.failures[way] else None


def measures(result: Result) -> dict[str, float]:
    """Return all that was measured of one update, by name."""
    found = {"blackout": result.blackout, "wall": result.wall}
    if result.alone:
        found["alone"] = sum(took for _, took in result.alone)
    if result.reported is not None:
        calls = result.reported["calls"]
        begin = min(call["started"] for call in calls)
        found |= {
            "reported": result.reported["blackout_s"],
            "unavoidable": result.reported["unavoidable_s"],
            "span": max(call["started"] + call["seconds"] for call in calls) - begin,
        }
    return found


def run(options: argparse.Namespace) -> tuple[dict[str, float | None], list[str]]:
    """Measure, show a table, and return the JSON object and what has failed."""
    settings = prepare.lab()
    prepare.guests()
    program = prepare.client(settings)
    live_guests.clean()
    results = Results()
    for number in range(options.rounds):
        ways = WAYS if number % 2 == 0 else (HAND, OURS, CRIU)
        for turn, way in enumerate(ways):
            if options.only in (None, way):
                measure(way, number, number * len(WAYS) + turn, settings, program, results)
    live_table.show(results, options.steps)
    blackout, unavoidable = (results.median(OURS, what) for what in ("blackout", "unavoidable"))
    by_hand = results.median(HAND, "blackout")
    found = {
        "blackout_s": _rounded(blackout),
        "unavoidable_s": _rounded(unavoidable),
        "recipe_over_ours": _rounded(by_hand / blackout if by_hand and blackout else None),
        "criu_gap_s": _rounded(results.median(CRIU, "blackout")),
    }
    return found, [why for ways in results.failures.values() for why in ways]


def measure(
    way: str, number: int, guest: int, settings: Settings, program: Path, results: Results
) -> None:
    """Do the job once, in one way, on a guest of its own."""
    try:
        workload = "criu" if way == CRIU else ""
        with live_guests.serving(f"{way}-{number + 1}", HOST, guest, workload) as made:
            result = carry(made, settings) if way == CRIU else do(way, made, settings, program)
    except BenchError as error:
        print(f"round {number + 1}, {way} FAILED: {error}", flush=True)
        results.failures[way].append(str(error))
        return
    results.by_way[way].append(result)
    print(
        f"round {number + 1}, {way}: silent {result.blackout:.2f} s, job {result.wall:.1f} s,"
        f" {' -> '.join(result.kernels)}; load {result.load:.2f}",
        flush=True,
    )


def do(way: str, guest: LiveGuest, settings: Settings, program: Path) -> Result:
    """Update one guest, and make sure that it is the same one with another kernel.

    :raises BenchError: it is not.
    """
    before = live_guests.ask(guest.address)
    alone = live_guests.calls_alone(guest) if way == HAND else []
    reported = None
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="upgrade-flows-bench-") as folder,
        Probe(guest.address, port=live_guests.APP_PORT, path="/state") as probe,
    ):
        start = time.monotonic()
        worker: Operator | Program
        if way == HAND:
            worker = Operator(program, settings)
            worker.recreate(guest.subject)
        else:
            worker = Program(settings, Path(folder))
            reported = worker.live_update(
                *(guest.id, live_guests.NEW_IMAGE, "hooks", live_guests.settings()),
                probe=f"http:{live_guests.APP_PORT}/state",
            )
        live_guests.ask(guest.address)
        wall = time.monotonic() - start
    after = live_guests.ask(guest.address)
    _check(way, guest, before, after)
    kernels = (str(before["kernel"]), str(after["kernel"]))
    return Result(probe.http.longest, wall, load, worker.steps, kernels, reported, alone)


def carry(guest: LiveGuest, settings: Settings) -> Result:
    """Update one guest whose processes move, with one connection all the while.

    :raises BenchError: the connection was lost, or something of what was in memory.
    """
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="upgrade-flows-bench-") as folder,
        live_session.Session(guest.address) as session,
    ):
        (pid, old, memory), count = session.who(), session.count()
        worker, start = Program(settings, Path(folder)), time.monotonic()
        reported = worker.live_update(
            *(guest.id, live_guests.NEW_IMAGE, "criu"),
            settings={**live_session.SETTINGS, "ssh": live_guests.settings()["ssh"]},
            probe=f"tcp:{live_session.PORT}",
        )
        wall = time.monotonic() - start
        (now, new, carried), further = session.who(), session.count()
    if (now, carried, further) != (pid, memory, count + 1) or session.lost() or new == old:
        raise BenchError(
            f"{guest.subject.name}: process {pid} is {now}, memory {memory} is {carried}, it"
            f" counted from {count} to {further}, lost {session.lost()} lines; {old} is {new}"
        )
    return Result(session.gap, wall, load, worker.steps, (old, new), reported)


def _check(way: str, guest: LiveGuest, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Make sure that data, MAC and address are as before, and with ours that the kernel is new."""
    wrong = []
    if after["count"] != guest.count:
        wrong.append(f"it has counted to {after['count']}, and had to {guest.count}")
    if (after["kernel"] == before["kernel"]) == (way == OURS):
        wrong.append(f"its kernel was {before['kernel']} and is {after['kernel']}")
    live_guests.take_commands(guest.address)
    macs = live_guests.command(guest.address, "cat /sys/class/net/*/address").split()
    if guest.mac not in macs:
        wrong.append(f"its MACs are {macs}, not {guest.mac}")
    if wrong:
        raise BenchError(f"{guest.subject.name}, {way}: {'; '.join(wrong)}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
