"""Conductors in the place of an engine: the same operations, carried out over a job board."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tests.unit.board import Listing, MemoryBoard
from upgrade_flows.engine.conductor import Conductor
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools
from upgrade_flows.model.plan import Plan
from upgrade_flows.steps.base import Settings

_NUMBERS = itertools.count()


class Conducted:
    """A conductor of its own name, with an empty board, that works until a run stands still.

    What it finds to do it finds in the journal; the board lists nothing, as if it were lost.
    """

    def __init__(
        self,
        journal: Journal,
        cloud: Any,
        plugins: Any,
        settings: Settings,
        observer: Callable[[Event], None] | None = None,
    ) -> None:
        self.cloud = cloud
        self._journal, self._observer = journal, observer
        self._tools = Tools(cloud, plugins, settings, journal.vault)
        self._orders = Orders(journal, cloud.id)

    def start(self, plan: Plan) -> str:
        """Submit a plan."""
        return self._orders.start(plan, submitted=True)

    def run(self, run_id: str) -> None:
        """Go on with whatever there is to do."""
        if not self._journal.claims.decide(run_id).jobs:
            self._orders.conclude(run_id)
            return
        owner = f"conductor-{next(_NUMBERS)}"

        def observe(_run_id: str, event: Event) -> None:
            if not event.subject:
                conductor.stop()
            elif self._observer is not None:
                self._observer(event)

        conductor = Conductor(
            self._journal, MemoryBoard(Listing(), owner), self._tools, owner=owner,
            observer=observe, jobs=1,
        )  # fmt: skip
        conductor.run()

    resume = run  # what takes over needs no order

    def rollback(self, run_id: str) -> None:
        """Want everything taken back, and do it."""
        self._orders.rollback(run_id)
        self.run(run_id)

    def commit(self, run_id: str) -> None:
        """Want the way back given up, and do it."""
        self._orders.commit(run_id)
        self.run(run_id)
