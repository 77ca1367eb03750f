"""``upgrade-flows simulate``: play a rolling upgrade through without touching a cloud."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from upgrade_flows.cli import base, files
from upgrade_flows.model import codec
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.reports import html, tables

if TYPE_CHECKING:
    from upgrade_flows.simulation import SimulationReport

#: what somebody who reads the log later would take for real
LOGGER = "upgrade_flows.engine"

FAULTS = ("migrations_fail", "migrations_stuck", "hosts_fail", "slower")

ENDED = (State.CHANGED, State.HELD, State.FAILED, State.RESIDUE, State.REFUSED)


class Simulate(base.Command):
    """Play the plan of a rolling upgrade through: what if something goes wrong?

    Hosts and instances of the plan are put into a cloud in memory, and what 'run' would do is done
    there, in simulated time and with the faults that you ask for: the whole of it takes seconds.
    No cloud is asked and nothing is changed.  It says whether the run comes to its end and how long
    it takes, which hosts would be held, which instances could not be moved, and whether a limit was
    ever exceeded.  The same seed brings the same misfortunes.
    Exit code: 0, also if hosts fail, because that is the answer; 2 if there is none.
    """

    examples = (
        "upgrade-flows simulate plan.json",
        "upgrade-flows simulate plan.json --migrations-fail 0.02 --hosts-fail 0.01",
        "upgrade-flows simulate plan.json --migrations-stuck 0.05 --seed 7 -f json",
        "upgrade-flows simulate plan.json --slower 2 --report what-if.html",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the plan, the faults, and what is written."""
        parser.add_argument(
            "plan", metavar="PLAN", help="File that 'plan hosts' has written its plan to."
        )
        group = parser.add_argument_group("faults", "What is to go wrong.")
        for option, metavar, default, what in (
            ("--migrations-fail", "SHARE", 0.0,
             "Probability with which each live migration fails (0 to 1)."),
            ("--migrations-stuck", "SHARE", 0.0,
             "Share of instances whose live migrations never converge (0 to 1)."),
            ("--hosts-fail", "SHARE", 0.0,
             "Share of hosts that do not come back from their reboot (0 to 1)."),
            ("--slower", "FACTOR", 1.0,
             "Migrations, upgrades and reboots take so many times longer."),
        ):  # fmt: skip
            group.add_argument(option, metavar=metavar, type=float, default=default, help=what)
        group.add_argument(
            "--seed", metavar="N", type=int,
            help="What chance is drawn from (default: another one each time, which is printed).",
        )  # fmt: skip
        parser.add_argument(
            "-f", "--format", choices=("text", "json"), default="text",
            help="What to print (default: text).",
        )  # fmt: skip
        parser.add_argument(
            "--report", metavar="FILE", help="File to write the run's report to, as HTML."
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read, play, show and write."""
        plan = files.read_plan(parsed_args.plan)
        faults = {name: getattr(parsed_args, name) for name in FAULTS}
        seed = secrets.randbelow(1 << 31) if parsed_args.seed is None else parsed_args.seed
        steps = self.settings.steps
        with _unlogged():
            found = self.wiring.simulate(plan, {**faults, "seed": seed}, steps, self._follow(plan))
        if parsed_args.report:
            files.write_private(parsed_args.report, html.page(found.report))
        out = self.application.stdout
        if parsed_args.format == "json":
            out.write(json.dumps(as_plain(found), indent=2, sort_keys=True) + "\n")
        else:
            tables.show(tables.console(out), found.parts())
        return 0

    def _follow(self, plan: Plan) -> Callable[[Any], None]:
        """Return what tells how far it has come, each tenth of the hosts."""
        states: Counter[str] = Counter()
        tenth = max(1, len(plan.actions) // 10)

        def follow(event: Any) -> None:
            if event.step or event.what not in ENDED:
                return
            states[event.what] += 1
            if states.total() % tenth == 0:
                others = {what: n for what, n in states.items() if what != State.CHANGED}
                also = "".join(f", {n} {what}" for what, n in others.items())
                self.say(f"{states[State.CHANGED]} of {len(plan.actions)} hosts upgraded{also}")

        return follow


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what is only simulated out of the log."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def as_plain(found: SimulationReport) -> dict[str, Any]:
    """Return a simulation as plain JSON; the run's report is not part of it."""
    plain: dict[str, Any] = codec.to_plain(found)
    del plain["report"]
    return plain | {"complete": found.complete}
