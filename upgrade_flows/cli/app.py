"""The application: global options, settings read once, and errors left to ``main``."""

from __future__ import annotations

import argparse
import functools
from typing import Any, TextIO

from cliff import app, commandmanager

import upgrade_flows
from upgrade_flows.cli import settings
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.errors import RequestError

DESCRIPTION = """\
Plan, run, undo and report changes to the instances of an OpenStack cloud.
Credentials come from clouds.yaml or the OS_* variables of the environment.
"""

#: where cliff's own words would mislead
HELP = {
    "--verbose": "Say more on stderr; may be repeated.",
    "--quiet": "Say errors only.",
    "--log-file": "File to log to (default: upgrade-flows.log beside the default journal).",
    "--debug": "Say everything on stderr, with the traceback of an error.",
}


class UpgradeFlows(app.App):
    """``upgrade-flows``."""

    NAME = "upgrade-flows"

    def __init__(
        self,
        wiring: Wiring | None = None,
        commands: commandmanager.CommandManager | None = None,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.wiring = wiring or Wiring()
        super().__init__(
            description=DESCRIPTION,
            version=getattr(upgrade_flows, "__version__", "unknown"),
            command_manager=commands or commandmanager.CommandManager("upgrade_flows.cli"),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            deferred_help=True,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Add our options to those of every cliff application."""
        parser = super().build_option_parser(
            description, version, {"prog": self.NAME, "allow_abbrev": False}
        )
        for action in parser._actions:
            action.help = HELP.get(action.option_strings[-1], action.help)
        parser.add_argument(
            "--os-cloud",
            metavar="NAME",
            help="Entry of clouds.yaml to use (default: [cloud] name, then OS_CLOUD).",
        )
        parser.add_argument(
            "--os-region-name",
            metavar="REGION",
            help="Region to use (default: [cloud] region, then OS_REGION_NAME).",
        )
        parser.add_argument(
            "--config-file",
            metavar="FILE",
            action="append",
            default=[],
            help="Configuration file; may be repeated, the last one wins.",
        )
        parser.add_argument(
            "--config-dir",
            metavar="DIR",
            action="append",
            default=[],
            help="Directory of .conf files, read in the order of their names; may be repeated.",
        )
        parser.add_argument(
            "--journal",
            metavar="URL",
            help="SQLAlchemy URL of the journal of runs (default: [journal] url).",
        )
        return parser

    def configure_logging(self) -> None:
        """Leave logging to oslo.log, which ``settings`` sets up."""

    @functools.cached_property
    def settings(self) -> settings.Settings:
        """What command line and configuration say, read at the first use."""
        return settings.load(self.options)

    def interact(self) -> None:
        """Refuse to start a shell of our own.

        :raises RequestError: always.
        """
        raise RequestError("no command was given; 'upgrade-flows --help' lists them")

    def run_subcommand(self, argv: list[str]) -> int:
        """Run one command; its errors are ``main``'s business."""
        try:
            factory, name, arguments = self.command_manager.find_command(argv)
        except ValueError:
            return super().run_subcommand(argv)  # says which commands are meant
        command = factory(self, self.options, **_named(factory, name))
        parsed = command.get_parser(f"{self.NAME} {name}").parse_args(arguments)
        return command.run(parsed)


def _named(factory: type[Any], name: str) -> dict[str, str]:
    """Commands of cliff itself (help, complete) take their name only if they ask for it."""
    code = factory.__init__.__code__
    return {"cmd_name": name} if "cmd_name" in code.co_varnames[: code.co_argcount] else {}
