"""The engine at work in simulated time: each host in a thread, all of them by one clock."""

from __future__ import annotations

import json
from concurrent import futures
from typing import Any

from upgrade_flows.cloud.fake.shared_clock import Job, SharedClock
from upgrade_flows.engine import operations
from upgrade_flows.engine.ledger import Observer
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.runner import Verify
from upgrade_flows.engine.scheduler import IN_PROGRESS, Decision, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools, Worker
from upgrade_flows.model.plan import Plan

#: how long nothing is asked while nothing happens, in simulated seconds
STILL_S = 60.0

#: what is told of instances that have not moved yet: it lets no host begin
_BEGINNING = ("moving", "forced", "aborted")


class SimulatedEngine(operations.Engine):
    """An engine whose jobs sleep by a ``SharedClock``, and whose main loop does so, too.

    Everything else is the engine's: journal, schedule, leases, flows.  ``halted`` says why
    nothing more began, where it was so.
    """

    def __init__(
        self,
        clock: SharedClock,
        plan: Plan,
        journal: Journal,
        tools: Tools,
        verify: Verify,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(
            journal,
            tools.cloud,
            tools.plugins,
            tools.settings,
            observer=self._note,
            verify=verify,
            vault=tools.vault,
        )
        self._clock, self._told = clock, observer
        self._width = max((wave.at_a_time for wave in plan.waves), default=1)
        self._news = True
        self.halted = ""
        self.events: list[Event] = []

    def _note(self, event: Event) -> None:
        self.events.append(event)
        if event.what not in _BEGINNING:
            self._news = self._news or not event.step or event.step.startswith("prove-empty:")
        if self._told is not None:
            self._told(event)

    def _keep_going(
        self, run_id: str, works: tuple[Work, ...], worker: Worker, pool: futures.Executor
    ) -> None:
        """Do every job once, as its turn comes; raise the first error.

        As the engine does, which looks anew every two seconds; here that is left out while it
        can change nothing: as many are at work as may be, or nothing has happened.
        """
        seen: set[str] = set()
        given_up: set[str] = set()
        flying: dict[Job, str] = {}
        decision, asked = Decision(), 0.0
        while True:
            now = self._clock.time()
            late = now >= asked + STILL_S
            if not self.halted and len(flying) < self._width and (self._news or late):
                self._news, asked = False, now
                decision = self._journal.claims.decide(run_id, works, given_up, now)
                self.halted = decision.halted or ""
                for job in decision.jobs:
                    if job.subject not in seen:
                        seen.add(job.subject)
                        flying[self._begin(run_id, job, works, worker, given_up)] = job.subject
            if not flying:
                if self.halted or decision.wake is None:
                    return
                self._clock.sleep(max(decision.wake - now, 0.05))
                self._news = True
                continue
            for done in self._clock.wait(flying, operations.LOOK_S):
                self._news = True
                subject = flying.pop(done)
                if done.error is not None:
                    raise done.error
                if done.result in IN_PROGRESS:
                    given_up.add(subject)

    def _begin(
        self, run_id: str, job: Any, works: tuple[Work, ...], worker: Worker, given_up: set[str]
    ) -> Job:
        without = frozenset(given_up)
        return self._clock.start(
            lambda: worker.do(run_id, job, works, without), f"simulated-{job.subject}"
        )


def told(events: list[Event], what: str) -> list[tuple[Event, dict[str, Any]]]:
    """Return the events of a kind that drains tell, each with what it says."""
    return [(event, json.loads(event.detail)) for event in events if event.what == what]
