"""``recreate``: the published recipe by hand against snapshot and rebind, on the same instances.

Three ways, in changing order, over several rounds; medians count.  A way that fails once has no
result: its numbers are null.  Each round makes three equal
instances on one host, in the old VIF mode, and then switches the host's agent to the new one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import identities, prepare, scene, table
from tests.bench.byhand import Operator
from tests.bench.errors import BenchError
from tests.bench.observer import GuestObserver, NoGuest, NovaObserver
from tests.bench.ours import Program
from tests.bench.scene import FAKE, GUEST, Kind, Made
from tests.functional.instances import reaches
from tests.lab import api
from tests.lab.settings import Settings

HAND, SNAPSHOT, REBIND = WAYS = ("hand", "snapshot", "rebind")
GOALS = {SNAPSHOT: 0.5, REBIND: 0.15}


@dataclass
class Result:
    """What one way cost one instance: seconds, and the fields of its identity that were lost."""

    downtime: float
    wall: float
    gap: float | None
    lost: list[str]
    steps: list[tuple[str, float]]


@dataclass
class Results:
    """All results on one kind of hosts."""

    kind: str
    by_way: dict[str, list[Result]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def median(self, way: str, what: str) -> float | None:
        """Return the median of a measure; None where it was not measured, or not every time."""
        if self.failures[way]:
            return None
        values = [getattr(result, what) for result in self.by_way[way]]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    def ratio(self, way: str, what: str) -> float | None:
        """Return a way's median over that of the recipe by hand."""
        ours, by_hand = self.median(way, what), self.median(HAND, what)
        return None if ours is None or not by_hand else round(ours / by_hand, 3)

    def losses(self, *ways: str) -> list[str] | None:
        """Return the fields that were lost, over all rounds; None if a way has failed."""
        if any(self.failures[way] for way in ways):
            return None
        return [lost for way in ways for result in self.by_way[way] for lost in result.lost]


def run(options: argparse.Namespace) -> tuple[dict[str, float | int | None], list[str]]:
    """Measure, show a table, and return the JSON object and what has failed."""
    settings = prepare.lab()
    program = prepare.client(settings)
    scene.clean()
    results = {}
    for kind in (FAKE, GUEST):
        results[kind.name] = Results(kind.name)
        if options.only in (None, kind.name):
            if kind is GUEST:
                prepare.guests()
            measure(kind, settings, program, options.rounds, results[kind.name])
            table.show(results[kind.name], HAND, GOALS)
            if options.steps:
                table.show_steps(results[kind.name])
    fake, guest = results[FAKE.name], results[GUEST.name]
    by_hand = fake.median(HAND, "downtime")
    tried = [kind for kind in results.values() if kind.by_way or any(kind.failures.values())]
    losses = [kind.losses(SNAPSHOT, REBIND) for kind in tried]
    found = {
        "by_hand_s": None if by_hand is None else round(by_hand, 2),
        "snapshot_ratio": fake.ratio(SNAPSHOT, "downtime"),
        "rebind_ratio": fake.ratio(REBIND, "downtime"),
        "guest_snapshot_ratio": guest.ratio(SNAPSHOT, "gap"),
        "guest_rebind_ratio": guest.ratio(REBIND, "gap"),
        "identity_losses": None if None in losses else sum(len(lost or ()) for lost in losses),
    }
    failures = [why for kind in results.values() for ways in kind.failures.values() for why in ways]
    return found, failures


def measure(kind: Kind, settings: Settings, program: Path, rounds: int, results: Results) -> None:
    """Do the job in every way, round after round."""
    for number in range(rounds):
        host = kind.hosts[number % len(kind.hosts)]
        turn = number % len(WAYS)
        names = {way: f"{scene.PREFIX}{kind.name}-{way}-{number + 1}" for way in WAYS}
        with scene.instances_on(kind, host, list(names.values())) as made:
            warm_up(made[names[HAND]])
            for way in (*WAYS[turn:], *WAYS[:turn]):
                try:
                    result = do(kind, way, made[names[way]], settings, program)
                except BenchError as error:
                    print(f"round {number + 1}, {kind.name} ({host}), {way} FAILED: {error}")
                    results.failures[way].append(str(error))
                    continue
                results.by_way[way].append(result)
                gap = "" if result.gap is None else f", gap {result.gap:.2f} s"
                print(
                    f"round {number + 1}, {kind.name} ({host}), {way}:"
                    f" down {result.downtime:.2f} s{gap}, job {result.wall:.2f} s",
                    flush=True,
                )


def warm_up(made: Made) -> None:
    """Stop and start one instance, so that its nova-compute has talked to Neutron lately.

    In a cloud it has: it looks after its instances once a minute.  One that was just started
    takes a second longer for its first start of an instance, whoever asks for it.
    """
    cloud = api.shared()
    cloud.compute.stop_server(made.id)
    reaches(cloud, made.id, "SHUTOFF")
    cloud.compute.start_server(made.id)
    reaches(cloud, made.id, "ACTIVE")


def do(kind: Kind, way: str, made: Made, settings: Settings, program: Path) -> Result:
    """Do the job once."""
    name = made.subject.name
    scene.check_mode(made.subject.host)
    before = identities.of(made.id)
    nova = NovaObserver(name, made.id)
    guest = (GuestObserver if kind is GUEST else NoGuest)(nova, made.address)
    worker: Operator | Program
    declared: tuple[str, ...]
    with tempfile.TemporaryDirectory(prefix=scene.PREFIX) as folder, nova, guest:
        start = time.monotonic()
        if way == HAND:
            worker = Operator(program, settings)
            worker.recreate(made.subject)
            declared = identities.MEANT
        else:
            worker = Program(settings, Path(folder))
            now_id, declared = worker.recreate(made.id, way)
        wall = time.monotonic() - start
    if way == HAND:
        now_id = _id_of(name)
    scene.check_mode(made.subject.host)
    lost = identities.lost(before, identities.of(now_id), declared)
    return Result(nova.downtime, wall, guest.gap, lost, worker.steps)


def _id_of(name: str) -> str:
    found = api.shared().compute.find_server(name, all_projects=True, ignore_missing=False)
    return str(found.id)
