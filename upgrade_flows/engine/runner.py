"""Runs one subject: change, undo or settle, from wherever its journal says that it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from typing import Any

from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows import errors
from upgrade_flows.engine import details
from upgrade_flows.engine.claims import Taken
from upgrade_flows.engine.factory import Phase, flow_for, stays
from upgrade_flows.engine.graph import Graph
from upgrade_flows.engine.ledger import Ledger
from upgrade_flows.engine.machine import Machine
from upgrade_flows.engine.scheduler import Work
from upgrade_flows.engine.store import Journal, flow_uuid
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Context

LOG = logging.getLogger(__name__)

#: how often the steps of a settling are tried before it is left for later
SETTLE_ATTEMPTS = 3

#: says why a subject must not be touched, or None
Verify = Callable[[Action], str | None]


@dataclass(frozen=True)
class Manner:
    """How subjects are worked on, whatever the subject.

    :param parking: whether to stop after the current steps.
    :param verify: called before anything is done to a subject.
    :param pool: runs steps that do not depend on each other at the same time, ``width`` of them.
    :param most_tries: how often a subject is given up before it is quarantined; None: never,
        because an operator is looking on.
    """

    parking: Callable[[], bool] = lambda: False
    verify: Verify | None = None
    pool: futures.Executor | None = None
    width: int = 1
    most_tries: int | None = None


class Runner:
    """One subject that was taken, in the thread that calls."""

    def __init__(
        self, journal: Journal, ctx: Context, taken: Taken, ledger: Ledger, manner: Manner
    ) -> None:
        self._journal, self._ctx, self._taken = journal, ctx, taken
        self._ledger, self._manner = ledger, manner
        self._lease, self._action = taken.lease, taken.action

    def run(self) -> State:
        """Do what is wanted, and return where the subject stands then.

        :raises SubjectBusy: the lease was lost meanwhile; whoever has it goes on.
        :raises JournalError: the journal did not answer for too long.
        """
        if self._taken.state is not self._taken.before:
            self._ledger.event(str(self._taken.state))  # on record with the first step
        if self._taken.work is Work.CHANGE:
            return self._change()
        return self._undo() if self._taken.work is Work.UNDO else self._settle()

    def _change(self) -> State:
        """Do the change, or go on with it; one that fails is undone, or held as it is."""
        detail = self._stored(Phase.CHANGE)
        if detail is None or details.untouched(detail):
            try:
                reason = self._reason_to_refuse()
            except Exception as exc:
                return self._give_up(State.PARKED, _said(exc))
            if reason:
                return self._end(State.REFUSED, error=reason, over=True)
        try:
            graph = self._graph(Phase.CHANGE)
            machine, detail = self._machine(graph, detail, Phase.CHANGE)
        except Exception as exc:
            return self._give_up(State.PARKED, _said(exc))
        state = machine.run()
        if state == tf.SUSPENDED:
            return self._end(State.PARKED)
        if state == tf.SUCCESS:
            return self._end(State.CHANGED, result=_outcome(graph, detail), error="", over=True)
        if state == tf.FAILURE:
            return self._end(State.HELD, error=details.first_failure(detail))
        residue = details.residues(detail)
        return self._end(
            State.RESIDUE if residue else State.FAILED,
            error=details.first_failure(detail),
            residue=residue,
            over=True,
        )

    def _undo(self) -> State:
        """Revert what was done, last step first; what was refused before is tried again."""
        detail = self._stored(Phase.CHANGE)
        if detail is None or details.untouched(detail):
            return self._end(State.UNDONE, residue=(), over=True)
        details.aim_back(detail)
        try:
            machine, detail = self._machine(self._graph(Phase.CHANGE), detail, Phase.CHANGE)
        except Exception as exc:
            return self._give_up(State.UNDOING, _said(exc))
        self._ledger.all_steps()
        if machine.run() == tf.SUSPENDED:
            return self._end(State.UNDOING)
        residue = details.residues(detail)
        state = State.RESIDUE if residue else State.UNDONE
        return self._end(state, residue=residue, over=True)

    def _settle(self) -> State:
        """Give up the way back; tried again where it fails, never reverted."""
        try:
            graph = self._graph(Phase.SETTLE)
            if graph is None:
                return self._end(State.SETTLED, error="", over=True)
            stored = self._stored(Phase.SETTLE)
            machine, detail = self._machine(graph, stored, Phase.SETTLE)
        except Exception as exc:
            return self._give_up(State.SETTLING, _said(exc))
        for attempt in range(SETTLE_ATTEMPTS):
            if attempt:
                self._ctx.cloud.clock.sleep(2.0**attempt)
            state = machine.run()
            if state == tf.SUCCESS:
                return self._end(State.SETTLED, error="", over=True)
            if state == tf.SUSPENDED:
                return self._end(State.SETTLING)
        return self._give_up(State.SETTLING, details.first_failure(detail))

    def _graph(self, phase: Phase) -> Any:
        flow = flow_for(self._ctx, self._action, phase, self._taken.result)
        return None if flow is None else Graph(flow)

    def _machine(
        self, graph: Graph, detail: models.FlowDetail | None, phase: Phase
    ) -> tuple[Machine, models.FlowDetail]:
        stored = detail is not None
        if detail is None:
            detail = models.FlowDetail(phase, flow_uuid(*self._name, phase))
        machine = Machine(
            graph,
            detail,
            self._ledger,
            undoable=phase is Phase.CHANGE and not stays(self._action),
            parking=lambda: self._lease.recalled or self._manner.parking(),
            pool=self._manner.pool,
            width=self._manner.width,
        )
        self._ledger.open(detail, stored)
        return machine, detail

    def _give_up(self, state: State, why: str) -> State:
        """Leave the subject for another try, or for an operator if it was tried too often."""
        tries = self._taken.tries + 1
        LOG.warning("%s: %s", self._lease.subject, why)
        if self._manner.most_tries is not None and tries >= self._manner.most_tries:
            why = f"given up after {tries} tries: {why}"
            return self._end(State.QUARANTINED, error=why, tries=tries)
        return self._end(state, error=why, tries=tries)

    def _end(self, state: State, over: bool = False, **values: Any) -> State:
        """Note where the subject stands now, and let go of it.

        :param over: nothing more is wanted of it.
        """
        if over:
            values |= {"work": "", "ended": self._ctx.cloud.clock.time()}
        self._ledger.end(state, **{"tries": 0, **values})
        return state

    def _reason_to_refuse(self) -> str | None:
        if self._manner.verify is None:
            return None
        try:
            return self._manner.verify(self._action)
        except errors.CloudError as exc:
            return f"it cannot be told whether it is as it was planned: {exc}"

    @property
    def _name(self) -> tuple[str, str]:
        return self._lease.run_id, self._lease.subject

    def _stored(self, phase: Phase) -> models.FlowDetail | None:
        if self._taken.before is State.PENDING:
            return None
        return self._journal.flow(*self._name, phase)


def _outcome(graph: Graph, detail: models.FlowDetail) -> dict[str, Any]:
    """Return what the flow provides as ``outcome``, where that is a dict."""
    source = graph.provider("outcome")
    if source is None:
        return {}
    name = next(step.name for node, step in graph.step_nodes() if node.index == source[0])
    found = next(atom.results for atom in detail if atom.name == name)
    value = found if source[1] is None or found is None else found[source[1]]
    return value if isinstance(value, dict) else {}


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
