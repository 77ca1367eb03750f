"""The real command line and real conductors, killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conductors.fleet import Fleet
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan

NAMES = ("one", "two", "three")
SECONDS = (0.5, 2.5)  # between kills of conductors
LIMIT_S = 900  # for a run or a roll back
PROGRAM = "import sys; from upgrade_flows.cli.main import main; sys.exit(main())"


class CommandLine:
    """The ``upgrade-flows`` command, killed after a while until it has been killed enough.

    :param seconds: between which and which it is killed.
    """

    def __init__(
        self,
        clouds_yaml: Path,
        journal: str,
        dice: random.Random,
        seconds: tuple[float, float],
        options: tuple[str, ...] = (),
    ) -> None:
        self.journal, self.dice, self.seconds, self.options = journal, dice, seconds, options
        self.environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds_yaml)}
        self.kills = 0

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        common = ["--os-cloud", "lab-admin", "--journal", self.journal, *self.options]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, *common, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def killed_or_done(self, *arguments: str) -> bool:
        """Return True if the command ended by itself before it was killed."""
        process = self.start(*arguments)
        try:
            process.communicate(timeout=self.dice.uniform(*self.seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            self.kills += 1
            return False
        return True

    def to_its_end(self, *arguments: str, timeout: float = 900) -> tuple[int, str]:
        """Return exit code and output of a command that nobody kills."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output


class Killer:
    """Kills one conductor after the other while something goes on, and starts them again.

    :param seconds: between which and which a kill follows another.
    :param most: after so many nobody is killed any more.
    """

    def __init__(
        self,
        fleet: Fleet,
        dice: random.Random,
        seconds: tuple[float, float] = SECONDS,
        most: int = 1000,
    ) -> None:
        self.fleet, self.dice, self.seconds, self.most = fleet, dice, seconds, most
        self.kills = 0
        self._starting: list[threading.Thread] = []

    def until(self, ended: Callable[[], bool]) -> None:
        """Kill until something has ended; leave all conductors alive."""
        end = time.monotonic() + LIMIT_S
        while not ended():
            assert time.monotonic() < end, "it did not end"
            time.sleep(self.dice.uniform(*self.seconds))
            alive = [name for name in NAMES if self.fleet.alive(name) and not self._busy(name)]
            if len(alive) < 2 or self.kills >= self.most or ended():
                continue  # one is left to work, as an operator would see to
            name = self.dice.choice(alive)
            self.fleet.kill(name)
            self.kills += 1
            thread = threading.Thread(target=self.fleet.start, args=(name,), name=name)
            thread.start()
            self._starting.append(thread)
        for thread in self._starting:
            thread.join(120)
        self._starting.clear()

    def _busy(self, name: str) -> bool:
        return any(thread.name == name and thread.is_alive() for thread in self._starting)


class Operator:
    """Gives orders with the real command line, and reads the journal."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        lines = fleet.config.read_text().splitlines()
        url = next(line for line in lines if line.startswith("url = postgresql"))[6:]
        self.journal = Journal.open(url, fleet.folder / "journal.key")

    def type(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, "--config-file",
             str(self.fleet.config), *words],
            env=self.fleet.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, plan: Plan) -> str:
        """Submit a plan and return the id of its run."""
        path = self.fleet.folder / "plan.json"
        path.write_text(plan.to_json())
        self.type("submit", str(path), "--yes")
        return self.journal.runs()[0].id

    def ended(self, run_id: str) -> Callable[[], bool]:
        return lambda: self.journal.run(run_id).state not in ("pending", "running")

    def outcomes(self, run_id: str) -> dict[str, Any]:
        """Return what became of each subject, by its name."""
        records = self.journal.subjects(run_id)
        actions = self.journal.run(run_id).plan.actions
        return {action.name: records[action.subject] for action in actions}
