"""Takes one job and does it, in this process: what the command line and conductors share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.engine.leases import Keeper
from upgrade_flows.engine.notes import Notes
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.runner import Manner, Runner
from upgrade_flows.engine.scheduler import Job, Work
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Context, Plugins, Settings
from upgrade_flows.steps.vault import Vault

#: called with the id of the run and with every event when it is on record
RunObserver = Callable[[str, Event], None]


@dataclass(frozen=True)
class Tools:
    """What every flow of this process is built with."""

    cloud: Cloud
    plugins: Plugins
    settings: Settings
    vault: Vault


class Worker:
    """Does jobs, one in each thread that calls."""

    def __init__(
        self,
        journal: Journal,
        tools: Tools,
        keeper: Keeper,
        manner: Manner,
        observer: RunObserver | None = None,
    ) -> None:
        self._journal, self._tools, self._keeper = journal, tools, keeper
        self._manner, self._observer = manner, observer

    def do(
        self,
        run_id: str,
        job: Job,
        works: Sequence[Work] | None = None,
        without: Container[str] = (),
    ) -> State | None:
        """Do a job if it is its turn, and return where its subject stands then; else None.

        :raises SubjectBusy: somebody else has the subject, or took it from us meanwhile.
        :raises PlanChanged: the run is of another cloud.
        :raises JournalError: the journal did not answer for too long, or refuses a record.
        """
        tools, clock = self._tools, self._tools.cloud.clock
        observer = functools.partial(self._observer, run_id) if self._observer else None
        taken = self._journal.claims.take(
            run_id, job, self._keeper, clock.time(), works, without, tools.cloud.id
        )
        if taken is None:
            return None
        try:
            ledger = self._journal.ledger(taken, clock.time, observer)
            lease, manner = taken.lease, self._manner
            notes = Notes(
                ledger, self._journal.claims, self._keeper,
                lambda: lease.recalled or manner.parking(),
            )  # fmt: skip
            ctx = Context(run_id, tools.cloud, tools.plugins, tools.settings, tools.vault, notes)
            return Runner(self._journal, ctx, taken, ledger, manner).run()
        finally:
            self._keeper.forget(taken.lease)
