"""Checks of our own making, for tests of the engine that runs them."""

from __future__ import annotations

import io

from cliff.commandmanager import CommandManager

from tests.unit.cli_samples import COMMANDS
from upgrade_flows.checks import Check, Checks, Sources
from upgrade_flows.cli.app import UpgradeFlows
from upgrade_flows.cli.main import main
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.model.check import Rule

LOW = Rule("UF-TT-001", "a light thing", "info", "It is good to know.", "Nothing.")
MIDDLE = Rule("UF-TT-002", "a thing", "warning", "It may hurt.", "run this")
HIGH = Rule("UF-TT-003", "a heavy thing", "error", "It will hurt.", "run that")


def check(run, *rules, area="toys", title="toys"):
    """Return a check that runs a function of its sources."""
    made = type("Toy", (Check,), {"area": area, "title": title, "rules": rules, "run": None})
    made.run = lambda self, sources: run(sources)
    made.__abstractmethods__ = frozenset()
    return made()


def finds(*findings, rules=(LOW, MIDDLE, HIGH), area="toys"):
    """Return a check that finds what it is told."""
    return check(lambda sources: findings, *rules, area=area)


def checks(**named):
    """Return checks by their names."""
    return Checks(named)


class ToyWiring(Wiring):
    """The real parts around checks of our own making."""

    def __init__(self, checks, cloud=None):
        self.checks = checks
        self.cloud = cloud

    def connect(self, name, region):
        return self.cloud


def command(*argv, checks=None, stderr=None, cloud=None, wiring=None):
    """Run a command; return its exit code, what it printed and what it complained of."""
    commands = CommandManager(None)
    for name, kind in COMMANDS.items():
        commands.add_command(name, kind)
    stdout, stderr = io.StringIO(), stderr or io.StringIO()
    wiring = wiring or ToyWiring(checks, cloud)
    app = UpgradeFlows(wiring, commands, io.StringIO(), stdout=stdout, stderr=stderr)
    try:
        code = main(list(argv), app)
    except SystemExit as exc:
        code = exc.code or 0
    return code, stdout.getvalue(), stderr.getvalue()


SOURCES = Sources(now=1_800_000_000.0)
