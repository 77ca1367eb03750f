"""Orders on submitted runs, given to the journal and told to the job board.

The journal holds the order, so it is given even if the board does not answer: conductors look into
the journal every few seconds.  The board makes them look at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from upgrade_flows import errors
from upgrade_flows.engine import boards
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.scheduler import RunState
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.plan import Plan
from upgrade_flows.reports.follow import OPEN

#: how often it is looked whether a run is parked, in seconds
LOOK_S = 0.5


class Dispatcher:
    """Gives orders on the runs of one cloud; a context, which closes the board.

    ``complaint`` is what the board said when it did not answer, or empty.

    :param open_board: connects to the board; None: there is none, conductors look by themselves.
    :raises RequestError: the board's URL cannot be understood.
    :raises PluginError: the board's driver is not installed.
    """

    def __init__(
        self,
        journal: Journal,
        cloud_id: str,
        open_board: Callable[[], boards.Board] | None = None,
    ) -> None:
        self._journal, self._orders = journal, Orders(journal, cloud_id)
        self._board: boards.Board | None = None
        self.complaint = ""
        if open_board is not None:
            try:
                self._board = open_board()
            except errors.BoardError as exc:
                self.complaint = str(exc)

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._board is not None:
            self._board.close()

    def submit(self, plan: Plan) -> str:
        """Record a run that conductors are to carry out, and return its id.

        :raises PlanChanged: the plan was edited, or is for another cloud.
        :raises SubjectBusy: another run has one of the subjects.
        """
        run_id = self._orders.start(plan, submitted=True)
        self._tell(run_id)
        return run_id

    def resume(self, run_id: str) -> None:
        """Let a run go on, also with what was quarantined in it."""
        self._orders.resume(run_id)
        self._tell(run_id)

    def rollback(self, run_id: str, subjects: Sequence[str] | None = None) -> None:
        """Have what was done to the subjects taken back; without subjects, withdraw the run.

        :raises RequestError: a named subject has nothing that can be taken back.
        """
        self._orders.rollback(run_id, subjects)
        self._tell(run_id)

    def commit(self, run_id: str, subjects: Sequence[str] | None = None) -> None:
        """Have the way back of the subjects given up.

        :raises RequestError: a named subject is not changed.
        """
        self._orders.commit(run_id, subjects)
        self._tell(run_id)

    def skip(self, run_id: str, subjects: Sequence[str]) -> None:
        """Let a run go on without subjects, which are left as they are.

        :raises RequestError: a named subject is not waiting for anybody's decision.
        """
        self._orders.skip(run_id, subjects)
        self._tell(run_id)

    def pause(self, run_id: str) -> None:
        """Let nothing more begin in a run; nothing is done to one that is parked already.

        :raises RequestError: the run has ended.
        """
        state = self._orders.record(run_id).state
        if state in OPEN:
            self._orders.pause(run_id)
        elif state != RunState.PARKED:
            raise errors.RequestError(
                f"run {run_id} is {state}: nothing is being done in it that could be paused"
            )

    def stopped(
        self, run_id: str, wait_s: float, sleep: Callable[[float], object] = time.sleep
    ) -> str:
        """Wait until nothing is in work in a paused run, at most so long; return its state."""
        end = time.monotonic() + wait_s
        while True:
            state = self._orders.conclude(run_id)
            left = end - time.monotonic()
            if state not in OPEN or left <= 0:
                return state
            sleep(min(LOOK_S, left))

    def _tell(self, run_id: str) -> None:
        """List what is due; where nothing is, note where the run stands."""
        jobs = self._journal.claims.decide(run_id).jobs
        if not jobs:
            self._orders.conclude(run_id)
        elif self._board is not None:
            try:
                self._board.post([boards.Job(run_id, job.subject, str(job.work)) for job in jobs])
            except errors.BoardError as exc:
                self.complaint = str(exc)
