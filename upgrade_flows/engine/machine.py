"""Carries a TaskFlow flow out, step by step, and backwards again.

It takes TaskFlow's flows and tasks as they are, and keeps its state in TaskFlow's flow and atom
details.  It is not TaskFlow's engine, because of what that costs (0.6 ms of CPU and four commits
for each step, growing with the square of long flows) and of what a crash and an undo need:

* What is to be done is on record before it is done: one commit holds the results of the steps
  that have ended and the beginning of those that come next.  After a kill, the steps that were
  running run again, and no others.
* A revert that raises becomes a residue, and the other steps are reverted all the same.
* A result that is not plain JSON, or is too long, fails its step with a message that says where.
* Results stay readable when their step was reverted, so that a refused undo can be tried again;
  and a flow that was reverted never runs again.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable
from concurrent import futures
from typing import Any, Protocol

from taskflow import states as tf
from taskflow.persistence import models
from taskflow.types import failure

from upgrade_flows.engine.graph import Graph, Node
from upgrade_flows.errors import JournalError, Parked, StepFailed

#: how much a step may return, as JSON: room for every database, and none for a disk image
MOST_BYTES = 1 << 20

#: states of steps that did something which is not reverted
REVERTIBLE = (tf.RUNNING, tf.SUCCESS, tf.FAILURE, tf.REVERTING, tf.REVERT_FAILURE)

_UNDER_WAY = (tf.RUNNING, tf.REVERTING)


class Way(enum.StrEnum):
    """The direction in which a flow is going; kept in its details."""

    FORWARD = "forward"
    BACK = "back"


class Record(Protocol):
    """Where the machine writes down what it does (``ledger.Ledger``)."""

    def step(self, detail: models.TaskDetail, what: str, note: str = "") -> None:
        """Take note of a step's new state; on record at the next ``commit``."""

    def flow(self) -> None:
        """Take note of the flow's new state; on record at the next ``commit``."""

    def commit(self) -> None:
        """Put everything on record, or raise and put nothing."""


class Machine:
    """One flow, from wherever its details say that it stands.

    :param undoable: whether a step that fails turns the flow round; otherwise it stops there.
    :param pool: runs steps that do not depend on each other at the same time, ``width`` of
        them; without it, one step runs after the other, in the caller's thread.
    :param parking: whether to begin no more steps.
    :raises JournalError: the flow began with other steps than this version would build.
    """

    def __init__(
        self,
        graph: Graph,
        detail: models.FlowDetail,
        record: Record,
        undoable: bool,
        parking: Callable[[], bool] = lambda: False,
        pool: futures.Executor | None = None,
        width: int = 1,
    ) -> None:
        self._graph, self._detail, self._record = graph, detail, record
        self._undoable, self._parking = undoable, parking
        self._pool, self._width = pool, width if pool is not None else 1
        stored = {atom.name: atom for atom in detail}
        if stored and stored.keys() != graph.steps.keys():
            moved = ", ".join(sorted(stored.keys() ^ graph.steps.keys()))
            raise JournalError(
                f"the flow began with other steps than it has now ({moved}): go on with the"
                " version of upgrade_flows and its plugins that began it"
            )
        self._details: dict[int, models.TaskDetail] = {
            node.index: stored[step.name] for node, step in graph.step_nodes() if stored
        }

    def run(self) -> str:
        """Go on in the flow's direction until it ends or is parked; return the flow's state.

        SUCCESS, FAILURE (of a flow that is not undoable), REVERTED or SUSPENDED.
        """
        if self._detail.state in (tf.SUCCESS, tf.REVERTED):
            return str(self._detail.state)
        if not self._details:
            self._enrol()
        self._reach(tf.RUNNING)
        state = str(tf.SUCCESS)
        if self._way is Way.FORWARD:
            state = _Pass(self, Way.FORWARD).run()
            if state == tf.FAILURE and self._undoable:
                self._detail.meta["way"] = str(Way.BACK)
                self._record.flow()  # before the first revert, or a kill would turn it round again
        if self._way is Way.BACK:
            state = _Pass(self, Way.BACK).run()
        self._reach(state)
        return state

    @property
    def _way(self) -> Way:
        return Way(self._detail.meta.get("way", Way.FORWARD))

    def _enrol(self) -> None:
        """Give every step its record."""
        for node, step in self._graph.step_nodes():
            atom = models.TaskDetail(step.name, f"{self._detail.uuid[:23]}-{node.index:012d}")
            atom.state, atom.intention, atom.version = tf.PENDING, tf.EXECUTE, "1.0"
            self._detail.add(atom)
            self._details[node.index] = atom

    def _reach(self, state: str) -> None:
        self._detail.state = state
        self._record.flow()


class _Pass:
    """One way through the graph: forward, or back over what was done."""

    def __init__(self, machine: Machine, way: Way) -> None:
        self._machine, self._way = machine, way
        self._graph, self._record = machine._graph, machine._record
        self._details = machine._details
        forward = way is Way.FORWARD
        self._done = (tf.SUCCESS,) if forward else (tf.PENDING, tf.REVERTED)
        self._blockers = [len(n.before if forward else n.after) for n in self._graph.nodes]
        self._ready: list[int] = []
        self._failed = self._parked = False

    def run(self) -> str:
        """Return SUCCESS, FAILURE, REVERTED or SUSPENDED."""
        nodes = self._graph.nodes if self._way is Way.FORWARD else self._graph.nodes[::-1]
        for node in [node for node in nodes if self._blockers[node.index] == 0]:
            self._offer(node.index)
        self._ready.reverse()  # it is taken from the end; what was under way comes first
        self._ready.sort(key=lambda index: self._details[index].state in _UNDER_WAY)
        running: dict[Any, int] = {}
        while self._ready or running:
            if not self._failed and not self._parked and not self._machine._parking():
                chosen = self._choose(self._machine._width - len(running))
                self._record.commit()
                running.update(self._start(chosen))
            if not running:
                break
            self._collect(running)
        if self._failed:
            return str(tf.FAILURE)
        if self._ready:
            return str(tf.SUSPENDED)
        return str(tf.SUCCESS if self._way is Way.FORWARD else tf.REVERTED)

    def _offer(self, index: int) -> None:
        """Add a node that waits for nothing; pass through it where there is nothing to do."""
        stack = [index]
        while stack:
            node = self._graph.nodes[stack.pop()]
            if node.step is not None and self._details[node.index].state not in self._done:
                self._ready.append(node.index)
                continue
            for following in node.after if self._way is Way.FORWARD else node.before:
                self._blockers[following] -= 1
                if self._blockers[following] == 0:
                    stack.append(following)

    def _choose(self, free: int) -> list[int]:
        """Take as many steps as there is room for, and note that they begin."""
        chosen = [self._ready.pop() for _ in range(min(free, len(self._ready)))]
        state, what = (
            (tf.RUNNING, "started") if self._way is Way.FORWARD else (tf.REVERTING, "reverting")
        )
        for index in chosen:
            detail = self._details[index]
            detail.state = state
            if self._way is Way.FORWARD:
                detail.failure = None  # of an earlier attempt
            self._record.step(detail, what)
        return chosen

    def _start(self, chosen: list[int]) -> dict[Any, int]:
        pool = self._machine._pool
        if pool is None:
            return {_Done(self._perform(index)): index for index in chosen}
        return {pool.submit(self._perform, index): index for index in chosen}

    def _perform(self, index: int) -> Any:
        """Execute or revert a step; return its result, or a Failure."""
        node = self._graph.nodes[index]
        step, detail = node.step, self._details[index]
        assert step is not None
        try:
            if self._way is Way.FORWARD:
                step.pre_execute()
                try:
                    return step.execute(**self._arguments(node, step.rebind))
                finally:
                    step.post_execute()
            arguments = self._arguments(node, step.revert_rebind)
            step.pre_revert()
            try:
                result = detail.failure if detail.failure is not None else detail.results
                return step.revert(**arguments, result=result, flow_failures=self._failures())
            finally:
                step.post_revert()
        except Exception:
            return failure.Failure()

    def _arguments(self, node: Node, names: dict[str, str]) -> dict[str, Any]:
        """Look the arguments up; an optional one that nobody provides is left out."""
        arguments = {}
        step = node.step
        assert step is not None
        for argument, symbol in names.items():
            if symbol in (step.inject or {}):
                arguments[argument] = step.inject[symbol]
            elif symbol in node.sources:
                source, key = node.sources[symbol]
                result = self._details[source].results
                arguments[argument] = result if key is None else result[key]
        return arguments

    def _failures(self) -> dict[str, failure.Failure]:
        return {d.name: d.failure for d in self._details.values() if d.failure is not None}

    def _collect(self, running: dict[Any, int]) -> None:
        """Wait until a step has ended, and take note of all that have."""
        if self._machine._pool is not None:
            futures.wait(running, return_when=futures.FIRST_COMPLETED)
        for future in [future for future in running if future.done()]:
            index = running.pop(future)
            detail = self._details[index]
            if self._way is Way.FORWARD:
                self._executed(index, detail, future.result())
            else:
                self._reverted(detail, future.result())
            if detail.state in self._done:
                self._free(index)

    def _free(self, index: int) -> None:
        node = self._graph.nodes[index]
        for following in node.after if self._way is Way.FORWARD else node.before:
            self._blockers[following] -= 1
            if self._blockers[following] == 0:
                self._offer(following)

    def _executed(self, index: int, detail: models.TaskDetail, result: Any) -> None:
        if not isinstance(result, failure.Failure):
            where = unfit(result)
            if where is not None:
                result = _as_failure(detail.name, where)
        if isinstance(result, failure.Failure) and result.check(Parked):
            self._parked = True  # it is under way, as after a crash
            self._ready.append(index)
            self._record.step(detail, "parked", result.exception_str)
        elif isinstance(result, failure.Failure):
            self._failed = True
            detail.state, detail.failure, detail.results = tf.FAILURE, result, None
            self._record.step(detail, "failed", result.exception_str)
        else:
            detail.state, detail.failure, detail.results = tf.SUCCESS, None, result
            self._record.step(detail, "finished")

    def _reverted(self, detail: models.TaskDetail, said: Any) -> None:
        if isinstance(said, failure.Failure):
            name = next(iter(said)).rpartition(".")[2]
            said = left_by(detail.name, f"{name}: {said.exception_str}")
        elif where := unfit(said):
            why = f"its revert returned something that cannot be kept ({where})"
            said = left_by(detail.name, why)
        detail.state, detail.revert_results = tf.REVERTED, said
        left = said.get("residue") if isinstance(said, dict) else None
        self._record.step(detail, "residue" if left else "reverted", _why(left))


class _Done:
    """What a pool would return, of a step that has ended already."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def done(self) -> bool:
        return True

    def result(self) -> Any:
        return self._result


def left_by(step: str, why: str) -> dict[str, Any]:
    """Return the residue of a step whose revert did not come to its end."""
    return {"residue": {"step": step, "call": f"revert of {step}", "why": why}}


def unfit(value: Any) -> str | None:
    """Return why a value cannot be kept (what is read would not equal what is stored), or None."""
    if value is None:
        return None
    where = impurity(value)
    if where is not None:
        return f"it is not plain JSON: {where}"
    if isinstance(value, (str, list, dict)):
        size = len(json.dumps(value))
        if size > MOST_BYTES:
            return f"it has {size} bytes, and {MOST_BYTES} are the most that is kept"
    return None


def impurity(value: Any, where: str = "the result") -> str | None:
    """Return where a value is not plain JSON (what is stored equals what is read), or None."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{where} is {value}"
    if type(value) is list:
        for index, item in enumerate(value):
            if found := impurity(item, f"{where}[{index}]"):
                return found
        return None
    if type(value) is dict:
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{where} has the key {key!r}"
            if found := impurity(item, f"{where}[{key!r}]"):
                return found
        return None
    return f"{where} is a {type(value).__name__}"


def _as_failure(step: str, where: str) -> failure.Failure:
    try:
        raise StepFailed(
            f"{step} returned something that cannot be kept ({where}); it could not be resumed from"
        )
    except StepFailed:
        return failure.Failure()


def _why(left: Any) -> str:
    items = left if isinstance(left, list) else [left] if left else []
    return "; ".join(": ".join(filter(None, (i.get("call"), i.get("why")))) for i in items)
