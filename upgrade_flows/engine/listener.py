"""The one place where start, end and failure of steps are written down and logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from taskflow import states as tf
from taskflow.listeners import base
from taskflow.types import failure

from upgrade_flows.engine.machine import Engine
from upgrade_flows.engine.records import Event

LOG = logging.getLogger(__name__)

#: called with every event of a run, in the thread of its subject
Observer = Callable[[Event], None]

#: writes an event: ``note(what, detail, step)``
Note = Callable[[str, str, str], None]

_WHAT = {
    tf.RUNNING: "started",
    tf.SUCCESS: "finished",
    tf.FAILURE: "failed",
    tf.REVERTING: "reverting",
    tf.REVERTED: "reverted",
    tf.REVERT_FAILURE: "residue",
}


class StepListener(base.Listener):
    """Turns the engine's notifications into events of the journal."""

    def __init__(self, engine: Engine, subject: str, note: Note) -> None:
        super().__init__(engine)
        self._subject, self._note = subject, note

    def _task_receiver(self, state: str, details: dict[str, Any]) -> None:
        what = _WHAT.get(state)
        if what is None:
            return
        step, result = details["task_name"], details.get("result")
        detail = result.exception_str if isinstance(result, failure.Failure) else ""
        if state == tf.REVERTED and isinstance(result, dict) and result.get("residue"):
            what, detail = "residue", _why(result["residue"])
        log = LOG.warning if what in ("failed", "residue") else LOG.info
        log("%s: %s %s%s", self._subject, step, what, f": {detail}" if detail else "")
        self._note(what, detail, step)


def _why(left: Any) -> str:
    items = left if isinstance(left, list) else [left]
    return "; ".join(": ".join(filter(None, (i.get("call"), i.get("why")))) for i in items)
