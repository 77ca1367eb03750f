"""Reading and re-aiming a stored flow: what was done, what is to be reverted, what is left."""

from __future__ import annotations

from typing import Any

from taskflow import states as tf
from taskflow.persistence import models

from upgrade_flows.engine.machine import REVERTIBLE, Way
from upgrade_flows.model import codec
from upgrade_flows.model.report import Residue


def untouched(detail: models.FlowDetail) -> bool:
    """Whether no step of the flow ever began."""
    return all(atom.state == tf.PENDING for atom in detail)


def aim_back(detail: models.FlowDetail) -> None:
    """Aim a flow backwards, whatever state it is in.

    A pending step then never runs, a RUNNING one is reverted without a result, a REVERTING one
    again.  A step whose revert was refused goes back to the state that it had before, while
    those that were reverted stay so.
    """
    detail.meta = {**(detail.meta or {}), "way": str(Way.BACK)}
    for atom in detail:
        if atom.state == tf.REVERT_FAILURE or _left(atom):
            atom.state = tf.FAILURE if atom.failure is not None else tf.SUCCESS
            atom.revert_results = atom.revert_failure = None
    if detail.state != tf.REVERTED or any(atom.state in REVERTIBLE for atom in detail):
        detail.state = tf.SUSPENDED


def residues(detail: models.FlowDetail) -> tuple[Residue, ...]:
    """Return what the reverts of a flow left behind."""
    return tuple(codec.from_plain(Residue, item) for atom in detail for item in _left(atom))


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
