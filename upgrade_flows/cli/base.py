"""What our commands share: help with examples, the scope options, and how a run is found."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cliff import _argparse, command, lister

from upgrade_flows.errors import RequestError
from upgrade_flows.model.request import Scope

if TYPE_CHECKING:
    from upgrade_flows.cli.app import UpgradeFlows
    from upgrade_flows.cli.settings import Settings
    from upgrade_flows.cli.wiring import Wiring
    from upgrade_flows.cloud.api import Cloud


class HelpFormatter(_argparse.SmartHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples as they are written."""


class Parts:
    """Gives a command the parts that it works with, under their own types."""

    app: Any
    examples: tuple[str, ...] = ()

    def get_epilog(self) -> str:
        """Return the examples, one below the other."""
        return "\n".join(["examples:", *(f"  {line}" for line in self.examples)])

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command, with its options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)  # type: ignore[misc]
        parser.formatter_class = HelpFormatter
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the command."""

    @property
    def application(self) -> UpgradeFlows:
        """The application that the command runs in."""
        app: UpgradeFlows = self.app
        return app

    @property
    def settings(self) -> Settings:
        """What command line and configuration say."""
        return self.application.settings

    @property
    def wiring(self) -> Wiring:
        """The other parts of the library."""
        return self.application.wiring

    def connect(self) -> Cloud:
        """Return the cloud, with credentials that were checked."""
        cloud = self.wiring.connect(self.settings.cloud, self.settings.region)
        cloud.check_credentials()
        return cloud

    def journal(self) -> Any:
        """Return the journal, open."""
        return self.wiring.journal(self.settings.journal, self.settings.key_file)

    def dispatcher(self, journal: Any, cloud_id: str) -> Any:
        """Return what gives orders on submitted runs; a context."""
        return self.wiring.dispatcher(journal, cloud_id, self.settings.board)

    def say(self, line: str) -> None:
        """Tell the operator on stderr what is being done, if they sit at a terminal."""
        if self.application.stderr.isatty():
            self.application.stderr.write(line + "\n")

    def reading(self, *what: object) -> None:
        """Tell which part of the cloud is being read."""
        self.say("reading " + " ".join(str(item) for item in what))


class Command(Parts, command.Command):
    """A command that prints what it likes and returns an exit code."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, with its settings (and with them the logging) in place."""
        _ = self.settings
        return super().run(parsed_args)


class Lister(Parts, lister.Lister):
    """A command that prints a table (``-f json|yaml|csv|table|value``)."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, with its settings (and with them the logging) in place."""
        _ = self.settings
        return super().run(parsed_args)


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which servers are meant."""
    group = parser.add_argument_group(
        "scope", "Which servers are meant; those that all given options have in common."
    )
    for option, metavar, what in (
        ("--server", "SERVER", "Name or id of a server"),
        ("--host", "HOST", "Name of a compute host"),
        ("--project", "PROJECT", "Id of a project"),
    ):
        group.add_argument(
            option, metavar=metavar, nargs="+", action="extend", default=[],
            help=f"{what}; several may be given.",
        )  # fmt: skip
    group.add_argument("--all", action="store_true", help="All servers of the cloud.")


def scope_of(parsed: argparse.Namespace) -> Scope:
    """Return the scope that the options say, which may be empty."""
    return Scope(
        servers=tuple(parsed.server),
        hosts=tuple(parsed.host),
        projects=tuple(parsed.project),
        everything=parsed.all,
    )


def is_empty(scope: Scope) -> bool:
    """Whether no scope option was given."""
    return scope == Scope()


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a run."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="Id of the run, or the beginning of it (default: the newest run).",
    )


def find_run(journal: Any, wanted: str | None) -> Any:
    """Return the run that is meant: the newest, or the one whose id begins like that.

    :raises RequestError: there is none, or more than one.
    """
    runs = list(journal.runs())
    if not runs:
        raise RequestError("the journal holds no run yet; 'upgrade-flows run PLAN' starts one")
    if wanted is None:
        return max(runs, key=lambda run: run.created)
    found = [run for run in runs if run.id == wanted] or [
        run for run in runs if run.id.startswith(wanted)
    ]
    if not found:
        raise RequestError(
            f"the journal holds no run {wanted!r}; 'upgrade-flows status --all' lists them"
        )
    if len(found) > 1:
        ids = ", ".join(sorted(run.id for run in found))
        raise RequestError(f"{wanted!r} is the beginning of several runs: {ids}")
    return found[0]
