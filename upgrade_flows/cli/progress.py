"""What happens in a run, as it happens: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.reports import tables, text, words

#: how many subjects a live table shows: those that move, then the last ones that ended
ROWS = 20

MOVING = (State.CHANGING, State.UNDOING, State.SETTLING)

#: what Ctrl-C does, as it is said below the table
PARKS = "Ctrl-C finishes the current steps and parks"

SAID = {
    "started": "started",
    "finished": "done",
    "failed": "failed",
    "reverting": "being undone",
    "reverted": "undone",
    "residue": "could not be undone",
}


class Progress:
    """Observes an engine; a context, so that the terminal is left as it was.

    It may be called from several threads.

    :param hint: what Ctrl-C does.
    """

    def __init__(self, plan: Plan, stream: TextIO, hint: str = PARKS) -> None:
        self._names = {action.subject: action.name or action.subject for action in plan.actions}
        self._noun = words.noun(plan.request.capability).capitalize()
        self._states: dict[str, str] = {}
        self._steps: dict[str, str] = {}
        self._stream, self._hint = stream, hint
        self._lock = threading.RLock()  # a signal may come while we hold it
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._stream.isatty():
            self._live = Live(
                console=self._console(), refresh_per_second=8, get_renderable=self._table
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def begin_from(self, states: Mapping[str, str], steps: Mapping[str, str]) -> None:
        """Take note of where the subjects of a run stand that has begun already.

        :param steps: what their last steps are, for those that are in work.
        """
        with self._lock:
            self._states = {subject: str(state) for subject, state in states.items()}
            self._steps = dict(steps)

    def __call__(self, event: Any) -> None:
        """Take note of an event: a step's (``event.step``), or a subject's new state."""
        with self._lock:
            if event.subject not in self._names:
                return
            verb = words.safe(event.step.partition(":")[0])
            said = SAID.get(event.what, event.what) if verb else event.what
            if verb:
                self._steps[event.subject] = f"{verb} {said}"
            else:
                self._states[event.subject] = event.what
                self._steps.pop(event.subject, None)
            if self._live is None:
                self._line(event, verb, said)

    def say(self, line: str) -> None:
        """Print a line above the live table, or below the lines so far."""
        if self._live is not None:
            self._live.console.print(line)
        else:
            self._write(line)

    def _line(self, event: Any, verb: str, said: str) -> None:
        at = words.moment(event.time).split()[1]
        detail = f": {words.detail(event.detail)}" if event.detail else ""
        what = f"{verb} {said}" if verb else said
        self._write(f"{at} {words.safe(self._names[event.subject])}: {what}{detail}")

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError:
            pass  # nobody reads along any more; the run goes on, and the journal has it all

    def _console(self) -> Console:
        return tables.console(self._stream)

    def _table(self) -> Group:
        with self._lock:
            states, steps = dict(self._states), dict(self._steps)
        ended = [subject for subject in states if states[subject] not in MOVING]
        moving = [subject for subject in states if states[subject] in MOVING]
        shown = moving[:ROWS] + ended[-max(0, ROWS - len(moving)) :] if states else []
        result = tables.table((self._noun, "State", "Step"))
        for subject in shown[:ROWS]:
            state = states[subject]
            result.add_row(
                words.safe(self._names[subject]),
                Text(state, style=text.colour(state)),
                steps.get(subject, ""),
            )
        waits = (State.PARKED, State.QUARANTINED, State.HELD)
        left = sum(state in waits for state in states.values())
        counts = f"{len(ended) - left} of {len(self._names)} done, {len(moving)} in work"
        return Group(result, Text(f"{counts}; {self._hint}"))
