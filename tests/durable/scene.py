"""Conductors in processes of their own, with a journal, a board and a stage to watch them on."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests import services
from tests.durable.toy import Deed, Stage
from upgrade_flows.engine import boards
from upgrade_flows.engine.boards import open_board
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan

#: what makes a board one that no other test sees, behind the URL of its server
SPACE = {"redis": "?namespace=", "etcd": "?path=", "zookeeper": "/"}

#: how long owners and claims live in these tests; a killed one's work goes on 1 s later
TTL_S = 4.0

#: how long anything may take that is waited for, on a busy machine
LONG_S = 90.0

T = TypeVar("T")


def until(what: str, probe: Callable[[], T], seconds: float = LONG_S) -> T:
    """Ask until the answer is true, and return it; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.01)
    return found


class Scene:
    """One journal, one board, and the conductors that work on them."""

    def __init__(
        self,
        folder: Path,
        server: services.Service,
        database: services.Database,
        journal_url: str,
        stack: contextlib.ExitStack,
    ) -> None:
        self.folder, self.server, self.database, self.stack = folder, server, database, stack
        self.stage = Stage(folder / "stage")
        self.stage.order()
        self.journal_url, self.key = journal_url, folder / "key"
        self.journal = Journal.open(journal_url, self.key)
        stack.callback(self.journal.close)
        self.vault = self.journal.vault  # makes the key, which all processes read
        self.orders = Orders(self.journal, "toy")
        self.board_url = f"{server.url}{SPACE[server.name]}test-{secrets.token_hex(4)}"
        self.board = open_board(self.board_url, "tests")
        stack.callback(self.board.close)
        self.processes: dict[str, subprocess.Popen[str]] = {}

    # conductors ------------------------------------------------------------------------------

    def begin(self, *owners: str, ttl: float = TTL_S, jobs: int = 2, sweep: float = 10.0) -> None:
        """Start conductors, and wait until they work.

        An owner's name is not one of a process, so that the others find out by the TTL alone.
        """
        for owner in owners:
            self.launch(owner, ttl, jobs, sweep)
        for owner in owners:
            until(f"{owner} is ready", lambda owner=owner: self.ready(owner))

    def launch(self, owner: str, ttl: float = TTL_S, jobs: int = 2, sweep: float = 10.0) -> None:
        """Start a conductor."""
        options = {
            "journal": self.journal_url, "key": self.key, "board": self.board_url,
            "stage": self.stage.folder, "owner": owner, "ttl": ttl, "jobs": jobs, "sweep": sweep,
        }  # fmt: skip
        argv = [sys.executable, "-m", "tests.durable.toy_conductor"]
        argv += [f"--{name}={value}" for name, value in options.items()]
        with open(self.folder / f"{owner}.log", "w") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        self.processes[owner] = process
        self.stack.callback(self.kill, owner)

    def ready(self, owner: str) -> bool:
        """Whether a conductor works."""
        log = self.log(owner)
        assert self.processes[owner].poll() is None, log[-3000:]
        return "ready\n" in log

    def log(self, owner: str) -> str:
        """Return what a conductor has said."""
        return (self.folder / f"{owner}.log").read_text()

    def kill(self, owner: str) -> float:
        """Kill a conductor at once, stopped or not; return when."""
        now = time.time()
        self.processes[owner].kill()
        self.processes[owner].wait(30)
        return now

    def send(self, owner: str, signum: signal.Signals) -> None:
        """Send a signal to a conductor that lives."""
        assert self.processes[owner].poll() is None, self.log(owner)[-3000:]
        self.processes[owner].send_signal(signum)

    def end(self, owner: str) -> None:
        """Have a conductor end by itself, in good order."""
        self.send(owner, signal.SIGTERM)
        assert self.processes[owner].wait(30) == 0, self.log(owner)[-3000:]

    # runs ------------------------------------------------------------------------------------

    def submit(self, plan: Plan) -> str:
        """Submit a run as the command line does."""
        run = self.orders.start(plan, submitted=True)
        self.post(run)
        return run

    def post(self, run: str) -> None:
        """Put on the board what should be in progress now."""
        jobs = self.journal.claims.decide(run).jobs
        self.board.post([boards.Job(run, job.subject, str(job.work)) for job in jobs])

    def reaches(self, run: str, state: str, seconds: float = LONG_S) -> None:
        """Wait until a run stands so, and its jobs are off the board."""
        try:
            until(f"run {state}", lambda: self.journal.run(run).state == state, seconds)
            until("the board is empty", lambda: not self.board.listed(), 40)
        except AssertionError as exc:
            counts, listed = self.journal.counts(run), self.board.listed()
            ends = {owner: self.log(owner)[-1500:] for owner in self.processes}
            logs = "".join(f"\n--- {owner}\n{text}" for owner, text in ends.items())
            raise AssertionError(f"{exc}; {counts}, listed: {listed}{logs}") from None

    # deeds -----------------------------------------------------------------------------------

    def begun(self, what: str, owner: str | None = None) -> Deed | None:
        """Return the last beginning of a step (``restore:a do``), of one owner or not."""
        found = [
            deed for deed in self.stage.deeds() if deed.what == what and owner in (None, deed.owner)
        ]
        return found[-1] if found else None

    def await_deed(self, what: str, owner: str | None = None) -> Deed:
        """Wait for the beginning of a step."""
        return until(f"{what} begins", lambda: self.begun(what, owner))

    def taken_over(self, subject: str, owner: str, seconds: float = LONG_S) -> Deed:
        """Wait until somebody else goes on with an owner's subject; return the first deed."""

        def found() -> Deed | None:
            deeds = [deed for deed in self.stage.deeds() if deed.subject == subject]
            first = next(index for index, deed in enumerate(deeds) if deed.owner == owner)
            return next((deed for deed in deeds[first:] if deed.owner != owner), None)

        return until(f"{subject} is taken over from {owner}", found, seconds)

    def last_of(self, owner: str) -> set[str]:
        """Return the last step that an owner began of each subject: it may have been under way."""
        return set({d.subject: d.what for d in self.stage.deeds() if d.owner == owner}.values())

    def unrecorded(self, run: str) -> list[Deed]:
        """Return the deeds that began before, or without, being on record."""
        recorded: dict[tuple[str, str], list[float]] = {}
        for event in self.journal.events(run):
            verb = {"started": "do", "reverting": "undo"}.get(event.what)
            recorded.setdefault((f"{event.step} {verb}", event.owner), []).append(event.time)
        missing, seen = [], Counter[tuple[str, str]]()
        for deed in self.stage.deeds():
            key = (deed.what, deed.owner)
            seen[key] += 1
            if sum(at <= deed.time for at in recorded.get(key, [])) < seen[key]:
                missing.append(deed)
        return missing
