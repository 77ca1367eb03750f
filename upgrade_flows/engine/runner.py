"""Runs one subject: change, undo or settle, from wherever its journal says that it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows import errors
from upgrade_flows.engine import details
from upgrade_flows.engine.factory import Phase, flow_for
from upgrade_flows.engine.listener import Observer, StepListener
from upgrade_flows.engine.machine import Engine
from upgrade_flows.engine.persistence import Backend
from upgrade_flows.engine.store import Journal, flow_uuid
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Context

LOG = logging.getLogger(__name__)

#: how often the steps of a settling are tried before it is left for later
SETTLE_ATTEMPTS = 3

#: says why a subject must not be touched, or None
Verify = Callable[[Action], str | None]


class Runner:
    """One subject of one run, in the thread that calls.

    :param fence: raises when the lease is lost; then nothing more is done or written.
    :param parking: whether to stop after the current step.
    :param verify: called before anything is done to the subject.
    """

    def __init__(
        self,
        journal: Journal,
        ctx: Context,
        action: Action,
        fence: Callable[[], None],
        parking: Callable[[], bool],
        observer: Observer | None = None,
        verify: Verify | None = None,
    ) -> None:
        self._journal, self._ctx, self._action = journal, ctx, action
        self._run_id, self._subject = ctx.run_id, action.subject
        self._fence, self._parking = fence, parking
        self._observer, self._verify = observer, verify
        self._backend: Backend = journal.backend.fenced(fence)

    def change(self) -> State:
        """Do the change, or go on with it; a change that fails is undone."""
        detail = self._detail(Phase.CHANGE)
        if detail is None or details.untouched(detail):
            reason = self._reason_to_refuse()
            if reason:
                return self._reach(State.REFUSED, error=reason, ended=self._time())
            self._begin(Phase.CHANGE, State.CHANGING)
        elif self._record().state is not State.CHANGING:
            self._reach(State.CHANGING)
        detail = self._stored(Phase.CHANGE)
        if detail.state in (tf.SUCCESS, tf.REVERTED):  # killed before this was noted
            return self._conclude_change(detail)
        try:
            error = self._run(detail, Phase.CHANGE)
        except (errors.JournalError, errors.SubjectBusy):
            raise
        except Exception as exc:  # the flow cannot be built
            if not details.untouched(self._stored(Phase.CHANGE)):
                raise
            return self._reach(State.FAILED, error=_said(exc), ended=self._time())
        detail = self._stored(Phase.CHANGE)
        if detail.state == tf.FAILURE:
            self._revert(error)
            detail = self._stored(Phase.CHANGE)
        return self._conclude_change(detail, error)

    def undo(self) -> State:
        """Revert what was done, last step first; what was refused before is tried again."""
        self._reach(State.UNDOING, ended=None)
        self._revert("")
        detail = self._detail(Phase.CHANGE)
        if detail is not None and detail.state == tf.SUSPENDED and details.revertible(detail):
            return State.UNDOING
        residue = details.residues(detail) if detail is not None else ()
        state = State.RESIDUE if residue else State.UNDONE
        return self._reach(state, residue=residue, ended=self._time())

    def settle(self) -> State:
        """Give up the way back; tried again where it fails, never reverted."""
        outcome = self._record().result
        if self._flow(Phase.SETTLE, outcome) is None:
            return self._reach(State.SETTLED, error="", ended=self._time())
        if self._record().state is not State.SETTLING:
            self._begin(Phase.SETTLE, State.SETTLING)
        error = ""
        for attempt in range(SETTLE_ATTEMPTS):
            if attempt:
                self._ctx.cloud.clock.sleep(2.0**attempt)
            detail = self._stored(Phase.SETTLE)
            details.mark_for_retry(detail, self._save)
            error = self._run(detail, Phase.SETTLE, outcome)
            detail = self._stored(Phase.SETTLE)
            if detail.state == tf.SUCCESS:
                return self._reach(State.SETTLED, error="", ended=self._time())
            if detail.state == tf.SUSPENDED:
                return State.SETTLING
        return self._reach(State.SETTLING, error=error)

    def _run(self, detail: Any, phase: Phase, outcome: dict[str, Any] | None = None) -> str:
        """Run a stored flow until it ends or is parked; return what stopped it, if anything."""
        engine = self._engine(detail, phase, outcome or {})
        engine.load()
        suspended = False
        with StepListener(engine, self._subject, self._note):
            try:
                for _ in engine.run_iter():
                    if self._parking() and not suspended:
                        suspended = True
                        engine.suspend()
            except Exception as exc:
                self._fence()
                state = self._stored(phase).state
                ours = isinstance(exc, errors.JournalError)  # then FAILURE says nothing
                if state != tf.REVERTED and (ours or state != tf.FAILURE):
                    raise
                return _said(exc)
        return ""

    def _revert(self, error: str) -> None:
        """Run the change backwards until nothing is left that could be reverted."""
        detail = self._detail(Phase.CHANGE)
        if detail is None:
            return
        details.mark_for_undo(detail, self._save)
        while details.revertible(detail) or detail.state != tf.REVERTED:
            if details.untouched(detail):
                return
            error = self._run(self._stored(Phase.CHANGE), Phase.CHANGE) or error
            detail = self._stored(Phase.CHANGE)
            if detail.state != tf.FAILURE:
                return
            details.give_up_on_stuck(detail, error, self._save)

    def _conclude_change(self, detail: Any, error: str = "") -> State:
        if detail.state == tf.SUCCESS:
            engine = self._engine(detail, Phase.CHANGE, {})
            engine.load()
            outcome = engine.symbol("outcome")
            result = outcome if isinstance(outcome, dict) else {}
            return self._reach(State.CHANGED, result=result, ended=self._time(), error="")
        if detail.state == tf.SUSPENDED:
            return self._reach(State.PARKED)
        residue = details.residues(detail)
        return self._reach(
            State.RESIDUE if residue else State.FAILED,
            error=details.first_failure(detail) or error,
            residue=residue,
            ended=self._time(),
        )

    def _reason_to_refuse(self) -> str | None:
        if self._verify is None:
            return None
        try:
            return self._verify(self._action)
        except errors.CloudError as exc:
            return f"it cannot be told whether it is as it was planned: {exc}"

    def _begin(self, phase: Phase, state: State) -> None:
        self._fence()
        if self._detail(phase) is None:
            self._journal.create_flow(self._run_id, self._subject, phase, self._backend)
        uuid = flow_uuid(self._run_id, self._subject, phase)
        if phase is Phase.SETTLE:
            self._reach(state, settle_uuid=uuid, error="")
        else:
            self._reach(state, flow_uuid=uuid, started=self._time(), ended=None)

    def _reach(self, state: State, **values: Any) -> State:
        """Note where the subject stands now."""
        self._fence()
        self._journal.update_subject(self._run_id, self._subject, state=state, **values)
        self._note(str(state), str(values.get("error", "")), "")
        return state

    def _note(self, what: str, detail: str, step: str) -> None:
        event = self._journal.event(
            self._run_id, self._subject, what, detail, step, at=self._time()
        )
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception:
                LOG.exception("the observer failed on %s", event)

    def _flow(self, phase: Phase, outcome: dict[str, Any]) -> Any:
        return flow_for(self._ctx, self._action, phase, outcome)

    def _engine(self, detail: Any, phase: Phase, outcome: dict[str, Any]) -> Engine:
        flow = self._flow(phase, outcome)
        return Engine(flow, detail, self._backend, undoable=phase is Phase.CHANGE)

    def _record(self) -> Any:
        return self._journal.subject(self._run_id, self._subject)

    def _detail(self, phase: Phase) -> models.FlowDetail | None:
        return self._journal.flow(self._run_id, self._subject, phase)

    def _stored(self, phase: Phase) -> models.FlowDetail:
        detail = self._detail(phase)
        if detail is None:
            raise errors.JournalError(
                f"the journal has lost the flow of {self._subject} in run {self._run_id}:"
                " restore it from a backup"
            )
        return detail

    def _save(self, detail: models.FlowDetail) -> None:
        self._backend.get_connection().update_flow_details(detail)

    def _time(self) -> float:
        return self._ctx.cloud.clock.time()


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
