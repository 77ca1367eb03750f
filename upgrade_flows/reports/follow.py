"""A run as it happens, read from the journal: for whoever looks on, from wherever that may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upgrade_flows.engine.records import Event, RunRecord
from upgrade_flows.engine.scheduler import RunState

if TYPE_CHECKING:
    from upgrade_flows.engine.store import Journal

#: how often the journal is read, in seconds
POLL_S = 1.0

#: how many numbers are read again: an event may get its number before one that is seen earlier
BEHIND = 500

#: states of a run in which something is being done, or about to be
OPEN = (RunState.PENDING, RunState.RUNNING)


@dataclass(frozen=True)
class Look:
    """What a look at the journal found: the run as it is, and what is new since the last one."""

    run: RunRecord
    events: tuple[Event, ...]


def looks(
    journal: Journal,
    run_id: str,
    after: int,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Look]:
    """Look at a run once a second until it has ended or is parked, and yield each look.

    :param after: the number of the last event that is not wanted (``Journal.last_event``).
    :raises RequestError: there is no such run, or it was purged meanwhile.
    """
    last, seen = after, set[int]()
    while True:
        run = journal.run(run_id)  # before its events, so that none is missed at the end
        found = journal.numbered_events(run_id, after=max(after, last - BEHIND))
        new = [(number, event) for number, event in found if number not in seen]
        last = max([last, *(number for number, _ in found)])
        seen = {number for number, _ in found}
        yield Look(run, tuple(event for _, event in new))
        if run.state not in OPEN:
            return
        sleep(POLL_S)
