"""Graph flows whose order is told by stages: one after the other, side by side within one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from taskflow.patterns import graph_flow


def of(name: str, *stages: Any) -> graph_flow.Flow:
    """Return a graph flow in which each stage waits for all of the one before.

    A stage is a step, a flow, or a list of them that do not depend on each other; an empty
    list is no stage.  Data flows as TaskFlow works it out; the links are for safety.
    """
    groups = [list(s) if isinstance(s, Sequence) else [s] for s in stages]
    groups = [group for group in groups if group]
    flow = graph_flow.Flow(name).add(*(node for group in groups for node in group))
    for before, after in itertools.pairwise(groups):
        for first in before:
            for second in after:
                flow.link(first, second)
    return flow
