"""The command line of the private servers: python -m tests.services."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import services

EXAMPLES = """\
examples:
  python -m tests.services install redis postgresql      as root, once
  python -m tests.services up redis postgresql --folder DIR
  python -m tests.services status --folder DIR
  python -m tests.services down --folder DIR             data stays: up goes on with it

`up` writes what runs to DIR/services.json.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    options = parser().parse_args(arguments)
    try:
        return options.function(options) or 0
    except services.ServiceError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m tests.services",
        description="Private servers for tests, benchmarks and demos.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = result.add_subparsers(required=True, metavar="COMMAND")

    install = commands.add_parser("install", help="install the Debian packages of servers")
    _add_names(install)
    install.set_defaults(function=_install)

    up = commands.add_parser("up", help="start servers that stay, and print their URLs")
    _add_names(up)
    _add_folder(up)
    up.set_defaults(function=_up)

    down = commands.add_parser("down", help="end the servers of a folder")
    _add_folder(down)
    down.set_defaults(function=_down)

    status = commands.add_parser("status", help="tell what answers; fails unless all do")
    _add_folder(status)
    status.set_defaults(function=_status)
    return result


def _add_names(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", nargs="+", metavar="NAME", choices=services.NAMES)


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--folder", type=Path, required=True, metavar="DIR")


def _install(options: argparse.Namespace) -> None:
    installed = services.install(*options.names)
    print("installed: " + (" ".join(installed) or "nothing, all is there"))


def _up(options: argparse.Namespace) -> None:
    for name in options.names:
        service = services.start(name, options.folder / name)
        _note(options.folder)
        print(f"{name} {service.url}", flush=True)


def _down(options: argparse.Namespace) -> None:
    for service in _services(options.folder):
        service.stop()
        print(f"{service.name} ended")
    _summary(options.folder).unlink(missing_ok=True)


def _status(options: argparse.Namespace) -> int:
    states = []
    for service in _services(options.folder):
        states.append(_state(service))
        print(f"{service.name} {states[-1]} {service.url}")
    return 0 if states and set(states) == {"answers"} else 1


def _state(service: services.Service) -> str:
    if service.pid is None:
        return "down"
    return "answers" if service.answers() else "silent"


def _services(folder: Path) -> Iterator[services.Service]:
    """Yield the servers that were ever started in a folder."""
    for name in services.NAMES:
        if (folder / name / "service.json").exists():
            yield services.find(name, folder / name)


def _note(folder: Path) -> None:
    """Write down what runs; the URLs have passwords, so nobody else may read it."""
    found = {
        service.name: {
            "url": service.url,
            "pid": service.pid,
            "port": service.port,
            "log": str(service.log),
        }
        for service in _services(folder)
        if service.pid
    }
    path = _summary(folder)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(found, file, indent=2)


def _summary(folder: Path) -> Path:
    return folder / "services.json"


if __name__ == "__main__":
    sys.exit(main())
