"""The same job by ``upgrade-flows``: plan, run, commit, each typed as a command."""

from __future__ import annotations

import json
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
        result, plan = self._carry_out(
            server_id, "recreate", "--server", server_id, "--strategy", strategy
        )
        return str(result["server_id"]), plan.action(server_id).declares

    def live_update(
        self, server_id: str, image: str, workload: str, settings: dict[str, Any], probe: str
    ) -> dict[str, Any]:
        """Boot an instance's successor from an image; return calls and blackout as reported."""
        file = self.folder / "settings.json"  # JSON is YAML
        file.write_text(json.dumps(settings))
        result, _ = self._carry_out(
            server_id,
            *("live-update", "--server", server_id, "--image", image, "--workload", workload),
            *("--settings", str(file), "--probe", probe, "--same-host-only", "--grace", "0"),
        )
        return dict(result["moved"])

    def _carry_out(self, server_id: str, *words: str) -> tuple[dict[str, Any], Plan]:
        """Plan, run and commit, and note the steps; return the outcome and the plan."""
        plan = self.folder / "plan.json"
        self.type("plan", *words, "-o", str(plan))
        self.type("run", str(plan), "--yes")
        self.type("commit", "--yes")
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
        return result, Plan.from_json(plan.read_text())

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
