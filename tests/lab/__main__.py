"""The command line of the lab: python -m tests.lab."""

from __future__ import annotations

import argparse
import sys

from openstack.exceptions import SDKException

from tests.lab import agents
from tests.lab.agents.modes import MODES
from tests.lab.errors import LabError
from tests.lab.settings import Settings

EXAMPLES = """\
examples:
  python -m tests.lab up                    a cloud from nothing, or what is missing of it
  eval "$(python -m tests.lab env)"         let openstack commands talk to it
  python -m tests.lab agent fake1 fake2 --mode dpdkvhostuserclient --wait
  python -m tests.lab reset                 remove what tests have left
  python -m tests.lab down --keep-state     stop it; `up` comes back with all its servers
  python -m tests.lab down --purge          stop it and forget everything, downloads too

Everything lives below $UPGRADE_FLOWS_LAB (/var/lib/upgrade-flows-lab).
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    options = parser().parse_args(arguments)
    try:
        return options.function(options) or 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
    except SDKException as error:
        print(f"lab: {error}; the services' logs: {Settings.load().log}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description="A real OpenStack 2025.1 on this machine, for the tests.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = result.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="bring the lab up, or what is missing of it")
    up.set_defaults(function=_up)

    down = commands.add_parser("down", help="stop the lab and forget its data")
    down.add_argument("--keep-state", action="store_true", help="keep data: up continues")
    down.add_argument("--purge", action="store_true", help="forget virtualenv and downloads too")
    down.set_defaults(function=_down)

    status = commands.add_parser("status", help="tell what runs; fails unless everything does")
    status.set_defaults(function=_status)

    reset = commands.add_parser("reset", help="remove what is not part of the seed")
    reset.set_defaults(function=_reset)

    agent = commands.add_parser("agent", help="change what the network agents of hosts report")
    agent.add_argument("hosts", nargs="+", metavar="HOST")
    agent.add_argument("--mode", choices=MODES, default="ovs")
    agent.add_argument("--socket-dir", default="/var/lib/vhost_sockets")
    agent.add_argument("--bridge", default="br-int")
    agent.add_argument("--dead", action="store_true", help="let the agents report no more")
    agent.add_argument("--wait", action="store_true", help="return when Neutron knows")
    agent.set_defaults(function=_agent)

    env = commands.add_parser("env", help="print what a shell needs to use the lab")
    env.set_defaults(function=_env)
    return result


def _up(options: argparse.Namespace) -> None:
    from tests.lab import cloud

    cloud.up()


def _down(options: argparse.Namespace) -> None:
    from tests.lab import cloud

    cloud.down(keep_state=options.keep_state, purge=options.purge)


def _status(options: argparse.Namespace) -> int:
    from tests.lab import status

    return 0 if status.show() else 1


def _reset(options: argparse.Namespace) -> None:
    from tests.lab.reset import reset

    print(f"{reset()} things removed")


def _agent(options: argparse.Namespace) -> None:
    for host in options.hosts:
        agents.set_mode(
            host,
            options.mode,
            wait=False,
            socket_dir=options.socket_dir,
            bridge=options.bridge,
            alive=not options.dead,
        )
    if options.wait:
        agents.wait_reported(*options.hosts)


def _env(options: argparse.Namespace) -> None:
    print(f"export OS_CLIENT_CONFIG_FILE={Settings.load().clouds_yaml}")
    print("export OS_CLOUD=lab-admin")


if __name__ == "__main__":
    sys.exit(main())
