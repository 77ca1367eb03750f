"""The command line of the benchmarks: python -m tests.bench."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
from types import FrameType

from tests.bench import BENCHMARKS
from tests.bench.errors import BenchError
from tests.lab.errors import LabError


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, or list them."""
    options = parser().parse_args(arguments)
    if options.name is None:
        for name, text in BENCHMARKS.items():
            print(f"{name:12} {text}")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    benchmark = importlib.import_module(f"tests.bench.{options.name}")
    try:
        found, failures = benchmark.run(options)
    except (BenchError, LabError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found))
    return 1 if failures else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="What we do against what others do; without NAME, a list."
        " The last line of the output is one JSON object.",
    )
    names = result.add_subparsers(dest="name", metavar="NAME")
    added = {name: names.add_parser(name, description=text) for name, text in BENCHMARKS.items()}
    for command in added.values():
        command.add_argument(
            "--rounds", type=int, default=3, help="how often (default: %(default)s)"
        )
    recreate, durable = added["recreate"], added["durable"]
    recreate.add_argument("--steps", action="store_true", help="show where the time goes")
    recreate.add_argument(
        "--only", choices=("fake", "guest"), help="these hosts only; the rest of the JSON is null"
    )
    live_update = added["live_update"]
    live_update.add_argument("--steps", action="store_true", help="show where the time goes")
    live_update.add_argument(
        "--only",
        choices=("ours", "hand", "criu"),
        help="this way only; the rest of the JSON is null",
    )
    durable.add_argument(
        "--steps", type=int, default=200, help="how many a flow has (default: %(default)s)"
    )
    added["checks"].add_argument(
        "--hosts", type=int, default=10_000, help="hosts of the cloud (default: %(default)s)"
    )
    added["planner"].add_argument(
        "--most", type=int, default=10_000, help="hosts of the largest cloud (default: %(default)s)"
    )
    return result


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
