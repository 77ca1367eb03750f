"""The same job by ``upgrade-flows``: plan, run, commit, each typed as a command."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import byhand
from tests.bench.errors import BenchError
from tests.lab.settings import Settings
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan

PROGRAM = Path(sys.executable).with_name("upgrade-flows")
DEADLINE_S = 600.0


@dataclass
class Program:
    """``upgrade-flows`` with a journal of its own; ``steps`` are its commands and their seconds."""

    settings: Settings
    folder: Path
    cloud: str = "lab-admin"
    steps: list[tuple[str, float]] = field(default_factory=list)

    def recreate(self, server_id: str, strategy: str) -> tuple[str, tuple[str, ...]]:
        """Bring an instance into its host's mode; return its id now, and what was declared."""
        plan = self.folder / "plan.json"
        scope = ("--server", server_id, "--strategy", strategy)
        self.type("plan", "recreate", *scope, "-o", str(plan))
        self.type("run", str(plan), "--yes")
        self.type("commit", "--yes")
        action = Plan.from_json(plan.read_text()).action(server_id)
        journal = Journal.open(self._journal)
        try:
            run = journal.runs()[0]
            result: dict[str, Any] = journal.subject(run.id, server_id).result
            self.steps += [
                (record.step.partition(":")[0], record.ended - record.started)
                for record in journal.steps(run.id, server_id)
                if record.started is not None and record.ended is not None
            ]
        finally:
            journal.close()
        return str(result["server_id"]), action.declares

    @property
    def _journal(self) -> str:
        return f"sqlite:///{self.folder}/journal.db"

    def type(self, *words: str) -> None:
        """Type a command, and wait until it has ended.

        :raises BenchError: its exit code is not 0.
        """
        start = time.monotonic()
        options = ("--journal", self._journal, "--log-file", str(self.folder / "log"))
        done = subprocess.run(
            [PROGRAM, *options, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=byhand.environment(self.settings, self.cloud),
            timeout=DEADLINE_S,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise BenchError(f"upgrade-flows {' '.join(words)} (exit {done.returncode}):\n{said}")
        self.steps.append((f"upgrade-flows {words[0]}", time.monotonic() - start))
