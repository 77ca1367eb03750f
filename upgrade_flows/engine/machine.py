"""TaskFlow's serial engine, held to what the journal promises.

Four things differ from the stock engine, each because of what a crash or an undo needs:

* One step at a time.  The stock engine runs all steps that are ready and saves none of their
  results before the last one ends; after a kill, all of them would run again, and a request to
  stop would wait for all of them.
* A revert that raises becomes a residue.  The stock engine would leave every earlier step
  un-reverted and raise this error instead of the original one.
* A result that is not plain JSON fails its step, with a message that says where.  The stock
  engine tries for 15 seconds to store it, and hands out something else after a resume.
* Results stay readable when their step was reverted, so that a refused undo can be tried again;
  and a flow that was reverted is never reset to run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import futurist
from taskflow import exceptions as tf_exc
from taskflow import flow as tf_flow
from taskflow import states as tf
from taskflow import storage as tf_storage
from taskflow import task
from taskflow.engines.action_engine import compiler, executor, selector
from taskflow.engines.action_engine import engine as action_engine
from taskflow.persistence import models
from taskflow.types import failure
from taskflow.utils import misc

from upgrade_flows.engine.persistence import Backend
from upgrade_flows.errors import JournalError, StepFailed


class Engine(action_engine.SerialActionEngine):
    """A serial engine that runs one step at a time and never repeats a reverted flow."""

    def __init__(
        self, flow: tf_flow.Flow, detail: models.FlowDetail, backend: Backend, undoable: bool
    ) -> None:
        super().__init__(flow, detail, backend, {"never_resolve": not undoable})
        self._task_executor = _Executor()

    def compile(self) -> None:
        """Compile the flow, once."""
        if not self._compiled:
            super().compile()
            self._runtime._selector = _OneAtATime(self._runtime)  # before anything asks for it

    def reset(self) -> None:
        """Refuse: the stock engine calls this to run a reverted flow from the beginning."""
        raise JournalError(f"flow {self.storage.flow_uuid} was reverted; it is never run again")

    def load(self) -> None:
        """Make the stored steps and the built ones meet.

        :raises JournalError: the flow began with other steps than this version would build.
        """
        self.compile()
        built = {atom.name for atom in self._runtime.iterate_nodes(compiler.ATOMS)}
        stored = {atom.name for atom in self._flow_detail}
        if stored and stored != built:
            moved = ", ".join(sorted(stored ^ built))
            raise JournalError(
                f"the flow began with other steps than it has now ({moved}): go on with the"
                " version of upgrade_flows and its plugins that began it"
            )
        self.prepare()
        self.validate()

    def symbol(self, name: str) -> Any:
        """Return what some step provided under a name, or None."""
        try:
            return self.storage.fetch(name)
        except tf_exc.NotFound:
            return None

    @misc.cachedproperty  # type: ignore[untyped-decorator]
    def storage(self) -> tf_storage.Storage:
        """TaskFlow's view of the stored flow."""

        def scopes(atom_name: str) -> Any:
            return self._runtime.fetch_scopes_for(atom_name) if self._compiled else None

        return _Storage(self._flow_detail, backend=self._backend, scope_fetcher=scopes)


class _Storage(tf_storage.Storage):
    """A storage in which the results of reverted steps can be read."""

    def _get(
        self, atom_name: str, results: str, fail: str, allowed: tuple[str, ...], key: str
    ) -> Any:
        return super()._get(atom_name, results, fail, (*allowed, tf.REVERTED), key)


class _OneAtATime(selector.Selector):
    """A selector that offers one step, and none while another one is unfinished."""

    def iter_next_atoms(self, atom: Any = None) -> Iterator[tuple[Any, Any]]:
        names = [node.name for node in self._runtime.iterate_nodes(compiler.ATOMS)]
        found = self._storage.get_atoms_states(names).values()
        if any(state in (tf.RUNNING, tf.REVERTING) for state, _ in found):
            return
        for offered in super().iter_next_atoms():
            yield offered
            if self._storage.get_atom_state(offered[0].name) != tf.IGNORE:
                return  # not skipped by a decider, so it is going to run


class _Executor(executor.SerialTaskExecutor):
    """An executor that looks at what the steps return before it is stored."""

    def execute_task(
        self, step: task.Task, uuid: str, arguments: dict[str, Any], progress_callback: Any = None
    ) -> Any:
        future = super().execute_task(step, uuid, arguments, progress_callback)
        _, result = future.result()
        where = None if isinstance(result, failure.Failure) else impurity(result)
        if where is None:
            return future
        return _finished(step, executor.EXECUTED, _as_failure(step, where))

    def revert_task(
        self, step: task.Task, uuid: str, arguments: dict[str, Any], result: Any, failures: Any,
        progress_callback: Any = None,
    ) -> Any:  # fmt: skip
        future = super().revert_task(step, uuid, arguments, result, failures, progress_callback)
        _, said = future.result()
        if isinstance(said, failure.Failure):
            why = f"{next(iter(said)).rpartition('.')[2]}: {said.exception_str}"
        elif impurity(said):
            why = f"its revert returned something that is not plain JSON ({impurity(said)})"
        else:
            return future
        return _finished(step, executor.REVERTED, left_by(step.name, why))


def left_by(step: str, why: str) -> dict[str, Any]:
    """Return the residue of a step whose revert did not come to its end."""
    return {"residue": {"step": step, "call": f"revert of {step}", "why": why}}


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


def _as_failure(step: task.Task, where: str) -> failure.Failure:
    try:
        raise StepFailed(
            f"{step.name} returned something that is not plain JSON ({where});"
            " it could not be resumed from"
        )
    except StepFailed:
        return failure.Failure()


def _finished(step: task.Task, outcome: str, result: Any) -> Any:
    future: Any = futurist.Future()
    future.set_result((outcome, result))
    future.atom = step
    return future
