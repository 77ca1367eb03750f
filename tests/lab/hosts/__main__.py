"""The command line of the lab's hosts."""

from __future__ import annotations

import argparse
import json
import os
import sys

from tests.lab.errors import LabError
from tests.lab.hosts import control, layout, machines, power


def main() -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args()
    try:
        return options.run(options) or 0
    except (LabError, KeyError) as error:
        print(error.args[0], file=sys.stderr)
        return 1


def _exec(options: argparse.Namespace) -> None:
    argv = [*power.enter(layout.host(options.host)), *options.command]
    os.execvp(argv[0], argv)


def _status(options: argparse.Namespace) -> None:
    print(json.dumps(control.status(), indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.hosts", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add(commands, "up", "switch the hosts with real guests on", lambda _: control.up())
    _add(commands, "down", "switch them off", lambda _: control.down())
    _add(commands, "status", "show them: services, guests and switch ports", _status)
    command = _add(commands, "exec", "run a command inside a host", _exec, "host")
    command.add_argument("command", nargs=argparse.REMAINDER)
    _add(commands, "poweroff", "cut the power", lambda o: machines.power_off(o.host), "host")
    _add(commands, "poweron", "switch one host on", lambda o: machines.power_on(o.host), "host")
    command = _add(
        commands,
        "svc",
        "start, stop or kill a service",
        lambda o: machines.service(o.host, o.action, o.name),
        "host",
    )
    command.add_argument("action", choices=("start", "stop", "kill"))
    command.add_argument("name", choices=layout.SERVICES[layout.VIRT])
    command = _add(
        commands,
        "mode",
        "change the ports that a host's network agent offers",
        lambda o: control.set_mode(o.host, o.mode),
        "host",
    )
    command.add_argument("mode", choices=control.behaviour.MODES)
    return parser


def _add(commands, name: str, text: str, run, *arguments: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.set_defaults(run=run)
    for argument in arguments:
        command.add_argument(argument)
    return command


if __name__ == "__main__":
    sys.exit(main())
