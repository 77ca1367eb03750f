"""Reading and re-aiming a stored flow: what was done, what is to be reverted, what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows.engine.machine import left_by
from upgrade_flows.model import codec
from upgrade_flows.model.report import Residue

#: saves a flow with all of its atoms in one transaction
Save = Callable[[models.FlowDetail], None]

_REVERTIBLE = (tf.RUNNING, tf.SUCCESS, tf.FAILURE, tf.REVERTING, tf.REVERT_FAILURE)


def untouched(detail: models.FlowDetail) -> bool:
    """Whether no step of the flow ever began."""
    return all(atom.state == tf.PENDING for atom in detail)


def revertible(detail: models.FlowDetail) -> bool:
    """Whether there are steps that did something which is not reverted yet."""
    return any(atom.state in _REVERTIBLE for atom in detail)


def mark_for_undo(detail: models.FlowDetail, save: Save) -> None:
    """Aim a flow backwards, in one transaction, whatever state it is in.

    Every step is to be reverted: a pending one then never runs, a RUNNING one is reverted
    without a result, a REVERTING one again.  A step whose revert was refused goes back to the
    state that it had before, while those that were reverted stay so.
    """
    for atom in detail:
        atom.intention = tf.REVERT
        if atom.state == tf.REVERT_FAILURE or _left(atom):
            atom.state = tf.FAILURE if atom.failure is not None else tf.SUCCESS
            atom.revert_results = atom.revert_failure = None
    if detail.state != tf.REVERTED or revertible(detail):
        detail.state = tf.SUSPENDED
    save(detail)


def mark_for_retry(detail: models.FlowDetail, save: Save) -> None:
    """Let the failed steps of a flow that is never reverted run again."""
    failed = [atom for atom in detail if atom.state == tf.FAILURE]
    for atom in failed:
        atom.state, atom.failure, atom.intention = tf.PENDING, None, tf.EXECUTE
    if failed:
        detail.state = tf.SUSPENDED
        save(detail)


def give_up_on_stuck(detail: models.FlowDetail, why: str, save: Save) -> None:
    """Leave behind the steps whose revert cannot even begin, so that the others are reverted.

    Where none is to blame, all are left behind, which is better than to try for ever.
    """
    stuck = [a for a in detail if a.state in (tf.RUNNING, tf.REVERTING, tf.REVERT_FAILURE)]
    for atom in stuck or [a for a in detail if a.state in _REVERTIBLE]:
        atom.state, atom.revert_failure = tf.REVERTED, None
        atom.revert_results = left_by(atom.name, why)
    detail.state = tf.SUSPENDED
    save(detail)


def residues(detail: models.FlowDetail) -> tuple[Residue, ...]:
    """Return what the reverts of a flow left behind."""
    found = [codec.from_plain(Residue, item) for atom in detail for item in _left(atom)]
    found += [
        Residue(atom.name, f"revert of {atom.name}", atom.revert_failure.exception_str)
        for atom in detail
        if atom.state == tf.REVERT_FAILURE and atom.revert_failure is not None
    ]
    return tuple(found)


def first_failure(detail: models.FlowDetail) -> str:
    """Return the step that failed and its error, or an empty string."""
    for atom in detail:
        if atom.failure is not None:
            return f"{atom.name}: {atom.failure.exception_str}"
    return ""


def _left(atom: models.AtomDetail) -> list[Any]:
    result = atom.revert_results
    if atom.state != tf.REVERTED or not isinstance(result, dict) or not result.get("residue"):
        return []
    left = result["residue"]
    return left if isinstance(left, list) else [left]
