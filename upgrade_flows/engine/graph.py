"""A TaskFlow flow as the order that its steps have, and where each of their arguments comes from.

TaskFlow's own compiler and selector grow with the square of a flow's size; this grows with the
number of its links, and uses the public interface of flows and atoms alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from taskflow import flow as tf_flow
from taskflow import task

from upgrade_flows.errors import PluginError


@dataclass
class Node:
    """A step, or the begin or end of a flow (which has no ``step`` and does nothing)."""

    index: int
    path: tuple[int, ...]
    step: task.Task | None = None
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)

    #: symbol → (index of the step that provides it, key into its result or None for all of it)
    sources: dict[str, tuple[int, Any]] = field(default_factory=dict)


class Graph:
    """The nodes of a flow, each behind those that it needs.

    :raises PluginError: the flow has what cannot be carried out: a retry, a decider, two steps
        of one name, a circle, or a step that needs what no step before it provides.
    """

    def __init__(self, flow: tf_flow.Flow) -> None:
        self.name: str = flow.name
        self._nodes: list[Node] = []
        self._links: list[tuple[int, int]] = []
        self._add(flow, ())
        self.nodes = self._ordered()
        self.steps: dict[str, int] = {}
        for node in self.nodes:
            if node.step is None:
                continue
            if self.steps.setdefault(node.step.name, node.index) != node.index:
                raise PluginError(f"flow {self.name} has two steps named {node.step.name}")
        self._connect()

    def step_nodes(self) -> Iterator[tuple[Node, task.Task]]:
        """Return the nodes that do something, in an order in which they could be done."""
        for node in self.nodes:
            if node.step is not None:
                yield node, node.step

    def provider(self, symbol: str) -> tuple[int, Any] | None:
        """Return the last step that provides a symbol, and the key into its result."""
        found = None
        for node, step in self.step_nodes():
            if symbol in step.save_as:
                found = node.index, step.save_as[symbol]
        return found

    def _add(self, item: Any, path: tuple[int, ...]) -> tuple[int, int]:
        """Add a flow or a step; return the indexes of its begin and of its end."""
        if isinstance(item, task.Task):
            node = self._node(path, item)
            return node.index, node.index
        if not isinstance(item, tf_flow.Flow) or item.retry is not None:
            raise PluginError(
                f"flow {self.name} holds {item!r}: only tasks and flows without retry can be"
                " carried out"
            )
        begin = self._node(path)
        inner = (*path, begin.index)
        ends: dict[Any, tuple[int, int]] = {}
        for child, _ in item.iter_nodes():
            ends[child] = self._add(child, inner)
            self._links.append((begin.index, ends[child][0]))
        end = self._node(path)
        for _, last in ends.values():
            self._links.append((last, end.index))
        for first, second, data in item.iter_links():
            if data.get("decider") is not None:
                raise PluginError(f"flow {item.name} has a decider, which cannot be carried out")
            self._links.append((ends[first][1], ends[second][0]))
        if not ends:
            self._links.append((begin.index, end.index))
        return begin.index, end.index

    def _node(self, path: tuple[int, ...], step: task.Task | None = None) -> Node:
        node = Node(len(self._nodes), path, step)
        self._nodes.append(node)
        return node

    def _ordered(self) -> list[Node]:
        """Return the nodes in an order that the links allow, with indexes to match."""
        sorter: TopologicalSorter[int] = TopologicalSorter({n.index: () for n in self._nodes})
        for first, second in self._links:
            sorter.add(second, first)
        try:
            order = list(sorter.static_order())
        except CycleError as exc:
            raise PluginError(f"flow {self.name} goes in a circle") from exc
        place = {old: new for new, old in enumerate(order)}
        for first, second in set(self._links):
            self._nodes[first].after.append(place[second])
            self._nodes[second].before.append(place[first])
        for node in self._nodes:
            node.index = place[node.index]
        return [self._nodes[old] for old in order]

    def _connect(self) -> None:
        """Find out where each argument comes from: the nearest step before that provides it."""
        providers: dict[str, list[int]] = {}
        seen = [0] * len(self.nodes)  # the steps before each node, as bits
        for node in self.nodes:
            for index in node.before:
                seen[node.index] |= seen[index] | 1 << index
            step = node.step
            if step is None:
                continue
            wanted = {*step.rebind.values(), *step.revert_rebind.values()}
            for symbol in wanted:
                nearest = None
                for index in providers.get(symbol, ()):
                    if seen[node.index] >> index & 1:
                        near = _common(node.path, self.nodes[index].path), index
                        nearest = max(nearest or near, near)
                if nearest is not None:
                    source = self.nodes[nearest[1]].step
                    assert source is not None
                    node.sources[symbol] = nearest[1], source.save_as[symbol]
            self._refuse_missing(node, step)
            for symbol in step.save_as:
                providers.setdefault(symbol, []).append(node.index)

    def _refuse_missing(self, node: Node, step: task.Task) -> None:
        known = {*node.sources, *(step.inject or {})}
        needed = {step.rebind[a] for a in step.rebind if step.rebind[a] not in step.optional}
        needed |= {
            step.revert_rebind[a]
            for a in step.revert_rebind
            if step.revert_rebind[a] not in step.revert_optional
        }
        if needed - known:
            raise PluginError(
                f"step {step.name} of flow {self.name} needs {', '.join(sorted(needed - known))},"
                " which no step before it provides"
            )


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Return how many flows two steps are both in."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
