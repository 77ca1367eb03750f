"""From a stored action to the flow that does it, the same one at every resume."""

from __future__ import annotations

import enum
from typing import Any

from taskflow import flow

from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action
from upgrade_flows.steps.base import Context


class Phase(enum.StrEnum):
    """The two flows that each subject has."""

    CHANGE = "change"
    SETTLE = "settle"


def stays(action: Action) -> bool:
    """Whether a change that fails is left where it is, rather than undone at once."""
    return bool(getattr(capability.get(action.capability), "stays", False))


def flow_for(
    ctx: Context, action: Action, phase: Phase, outcome: dict[str, Any]
) -> flow.Flow | None:
    """Build a flow of an action; None where a settling has nothing to do.

    Pure: everything comes from the action and, for settling, from the outcome of the change.
    """
    module = capability.get(action.capability)
    if phase is Phase.CHANGE:
        return module.change(ctx, action)
    return module.settle(ctx, action, outcome)
