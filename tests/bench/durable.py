"""``durable``: what a step costs that survives a crash, on every kind of database.

The same steps that do nothing are carried out by our engine, by TaskFlow's own (on its own SQL
backend, and on ours), and by DBOS; below them all is the floor, an INSERT and a COMMIT for each
step.  All run on the same private servers, in changing order, over several rounds; medians
count.  Each measurement is a process of its own, and warm when the clock starts.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from tests import services
from tests.bench.durability import floor, ours, peer_dbos, stock, table
from tests.bench.durability.measure import Sample, apart
from tests.bench.errors import BenchError

DATABASES = ("sqlite", "postgresql", "mariadb")
AT_A_TIME = 16
STOCK_PART = 0.15  # of the steps: TaskFlow's own backend takes about 25 ms for each
FLOOR, SEQUENTIAL, WIDE = "floor", "ours", f"ours, {AT_A_TIME} at a time"
DBOS = "DBOS"


@dataclass(frozen=True)
class Contender:
    """One way to carry steps out; its ``measure`` takes a database's URL and ``arguments``.

    ``times`` is how often it is measured in a round: what is over soon sees little of what else
    the machine does.
    """

    name: str
    steps: int
    measure: Callable[..., Sequence[Sample]]
    arguments: tuple[int, ...]
    times: int = 1

    @property
    def schema(self) -> str:
        """The database that it shares with nobody that has other tables."""
        return self.measure.__module__.rpartition(".")[2] + (
            "_journal" if self.measure is stock.on_ours else ""
        )


@dataclass
class Results:
    """All samples from one kind of database, and why there are none of some contenders."""

    database: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def median(self, name: str, what: str) -> float | None:
        """Return the median of a measure; None if it is not known, or a round failed."""
        values = [getattr(sample, what) for sample in self.samples.get(name, ())]
        if name in self.failures or not values or None in values:
            return None
        return statistics.median(values)

    def over_floor(self, name: str) -> float | None:
        """Return the wall time of a step over that of the floor."""
        wall, below = self.median(name, "wall_ms"), self.median(FLOOR, "wall_ms")
        return None if wall is None or not below else wall / below

    @property
    def found(self) -> dict[str, float | None]:
        """What the JSON object says of this database."""
        values = {
            "seq_over_floor": self.over_floor(SEQUENTIAL),
            "wide_over_floor": self.over_floor(WIDE),
            "cpu_ms_per_step": self.median(SEQUENTIAL, "cpu_ms"),
            "commits_per_step": self.median(SEQUENTIAL, "commits"),
        }
        return {name: None if value is None else round(value, 3) for name, value in values.items()}


def run(options: argparse.Namespace) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    """Measure, show a table, and return the JSON object and what has failed."""
    if options.steps < 1 or options.rounds < 1:
        raise BenchError("there is nothing to measure: at least 1 round of 1 step")
    results = [Results(database) for database in DATABASES]
    stock.prepare()
    try:
        services.install("postgresql", "mariadb")
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-durable-"))
            found = stack.enter_context(services.running("postgresql", "mariadb", folder=folder))
            _measure(
                Places(Path(folder), found), contenders(options.steps), options.rounds, results
            )
    except services.ServiceError as error:
        raise BenchError(str(error)) from error
    table.show(results, contenders(options.steps), FLOOR)
    failures = [f"{r.database}, {n}: {why}" for r in results for n, why in r.failures.items()]
    return {result.database: result.found for result in results}, failures


def contenders(steps: int) -> list[Contender]:
    """Return who is compared."""
    few = max(1, round(steps * STOCK_PART))
    return [
        Contender(FLOOR, steps, floor.floor, (steps,), times=4),
        Contender(SEQUENTIAL, steps, ours.linear, (steps,), times=2),
        Contender(WIDE, steps, ours.wide, (steps, AT_A_TIME), times=2),
        Contender("ours, taken back", steps, ours.reverted, (steps,)),
        Contender("TaskFlow", few, stock.linear, (few,)),
        Contender(f"TaskFlow, {AT_A_TIME} at a time", few, stock.wide, (few, AT_A_TIME)),
        Contender("TaskFlow on our backend", few, stock.on_ours, (few,)),
        Contender(DBOS, steps, peer_dbos.workflow, (steps,)),
    ]


class Places:
    """Where the contenders keep their records."""

    def __init__(self, folder: Path, servers: dict[str, services.Service]) -> None:
        self._folder, self._servers = folder, servers
        self._urls: dict[tuple[str, str], str] = {}

    def url(self, database: str, schema: str) -> str:
        """Return the URL of a database, which is made when it is first asked for."""
        key = database, schema
        if key not in self._urls:
            self._urls[key] = self._make(*key)
        return self._urls[key]

    def _make(self, database: str, schema: str) -> str:
        server = self._servers.get(database)
        if server is None:
            path = self._folder / f"{schema}.db"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # whoever opens it, keeps it
            return f"sqlite:///{path}"
        assert isinstance(server, services.Database)
        return server.create_database(schema)


def _measure(
    places: Places, everyone: list[Contender], rounds: int, results: list[Results]
) -> None:
    for number in range(rounds):
        for result in results:
            turns = [contender for contender in everyone for _ in range(contender.times)]
            random.shuffle(turns)
            for contender in turns:
                if contender.name == DBOS and (why := peer_dbos.absent(result.database)):
                    result.absent[DBOS] = why
                    continue
                url = places.url(result.database, contender.schema)
                try:
                    found = apart(contender.measure, url, *contender.arguments)
                except BenchError as error:
                    result.failures[contender.name] = str(error)
                    continue
                result.samples.setdefault(contender.name, []).extend(found)
            said = ", ".join(
                f"{c.name} {result.samples[c.name][-1].wall_ms:.2f}"
                for c in everyone
                if c.name in result.samples
            )
            print(f"round {number + 1}, {result.database}, ms/step: {said}", flush=True)
