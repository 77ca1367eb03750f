"""The engine at work in simulated time: each host in a thread, all of them by one clock."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from concurrent import futures
from typing import Any

from upgrade_flows.cloud.fake.shared_clock import SharedClock
from upgrade_flows.engine.operations import LOOK_S, Doing, Engine
from upgrade_flows.engine.records import Event

#: how long nothing is asked while nothing happens, in simulated seconds
STILL_S = 60.0

#: what is told of instances that have not moved yet: it lets no host begin
_BEGINNING = ("moving", "forced", "aborted")


class SimulatedEngine(Engine):
    """An engine for a cloud with a ``SharedClock``: its jobs and its main loop sleep by that.

    Everything else is the engine's: journal, schedule, leases, flows.  Steps of one subject run
    one after the other.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        clock = self._tools.cloud.clock
        if not isinstance(clock, SharedClock):
            raise TypeError("time can be simulated by a shared clock only")
        self._clock = clock
        self._width = 1
        self._news = False
        self.events: list[Event] = []

    def _observe(self, run_id: str, event: Event) -> None:
        self.events.append(event)
        if event.what not in _BEGINNING:
            self._news = self._news or not event.step or event.step.startswith("prove-empty:")
        super()._observe(run_id, event)

    def _pool(self, width: int) -> futures.Executor:
        self._width = width
        return self._clock.threads()

    def _wait(self, flying: Collection[Doing]) -> Iterable[Doing]:
        """Look as often as the engine does, but let nothing be decided while it cannot matter.

        That is while as many are at work as may be, or nothing has happened.
        """
        self._news = False
        late = self._clock.time() + STILL_S
        while not (done := self._clock.wait(flying, LOOK_S)):
            if len(flying) < self._width and (self._news or self._clock.time() >= late):
                break
        return done

    def _idle(self, seconds: float) -> None:
        self._clock.sleep(seconds)


def told(events: list[Event], what: str) -> list[tuple[Event, dict[str, Any]]]:
    """Return the events of a kind that drains tell, each with what it says."""
    return [(event, json.loads(event.detail)) for event in events if event.what == what]
