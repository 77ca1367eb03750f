"""Bring conductors up beside the lab: python -m tests.conductors up [NAME...]."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.conductors.fleet import Fleet
from tests.lab import cloud
from tests.lab.errors import LabError
from tests.services.errors import ServiceError

FOLDER = Path("/var/lib/upgrade-flows-conductors")
NAMES = ("conductor-1", "conductor-2")


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.conductors", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--purge", action="store_true", help="down: forget their runs, too")
    options = parser.parse_args(arguments)
    fleet = Fleet(FOLDER)
    try:
        if options.command == "up":
            up(fleet, options.names or list(NAMES))
        elif options.command == "down":
            fleet.down()
            if options.purge:
                shutil.rmtree(FOLDER, ignore_errors=True)
        else:
            for name in fleet.names():
                print(f"{name}: {'works' if fleet.alive(name) else 'has ended'}")
    except (LabError, ServiceError) as error:
        print(f"conductors: {error}", file=sys.stderr)
        return 1
    return 0


def up(fleet: Fleet, names: list[str]) -> None:
    """Bring up the lab, the servers and the conductors; what is up already stays."""
    cloud.up()
    fleet.furnish()
    for name in names:
        if not fleet.alive(name):
            fleet.start(name)
        print(f"{name} works; its log: {fleet.folder / name / 'log'}", flush=True)
    print(f"their configuration, and that of upgrade-flows: {fleet.config}")


if __name__ == "__main__":
    sys.exit(main())
