"""Each strategy's steps and their order, as text: python -m tests.flows.outlines records them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskflow import flow as tf_flow

from tests.flows import capture_scenes, live_scenes, rolling_scenes
from tests.flows.scenes import action_for, cloud_with, context
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows import capability
from upgrade_flows.model.plan import Action

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "outlines"

#: one case for each strategy
OUTLINED = ("rebind", "cold-migrate", "shelve", "recreate", "snapshot")
HOST = "host-upgrade"
#: the cases of a live update, by the names of their outlines
LIVE = {"live-update": "image-hot", "live-update-volume": "volume-update"}
CAPTURE = {"capture-image": "image-data-stopped", "capture-volumes": "volume-data-stopped"}


def outline(case: str) -> str:
    """Return the steps of a strategy: one stage below the other, each after all of the one above.

    A number begins a stage; the steps of one stage do not wait for each other.
    """
    if case == HOST:
        return _outline_of_a_host()
    if case in CAPTURE:
        return _outline_of_a_capture(CAPTURE[case])
    if case in LIVE:
        return _outline_of_a_live_update(LIVE[case])
    cloud, server = cloud_with(case)
    action = action_for(case, cloud, server)
    module = capability.get("recreate")
    parts = [
        ("change", module.change(context(cloud), action)),
        ("settle", module.settle(context(cloud), action, {"server_id": "replacement"})),
    ]
    return _told(parts, action)


def _outline_of_a_host() -> str:
    cloud = FakeCloud(hosts=("h1", "h2"))
    (action,) = rolling_scenes.plan_for(cloud, "h1").actions
    module, ctx = capability.get("host_upgrade"), rolling_scenes.context(cloud)
    return _told(
        [("change", module.change(ctx, action)), ("settle", module.settle(ctx, action, {}))],
        action,
    )


def _outline_of_a_live_update(case: str) -> str:
    cloud, server = live_scenes.cloud_with(case)
    action = live_scenes.action_for(case, cloud, server)
    module, ctx = capability.get("live_update"), live_scenes.context(cloud, action)
    outcome = {"server_id": "surrogate"}
    return _told(
        [("change", module.change(ctx, action)), ("settle", module.settle(ctx, action, outcome))],
        action,
    )


def _outline_of_a_capture(case: str) -> str:
    cloud, server = capture_scenes.cloud_with(case)
    action = capture_scenes.action_for(case, cloud, server)
    module, ctx = capability.get("capture"), context(cloud)
    return _told(
        [("change", module.change(ctx, action)), ("settle", module.settle(ctx, action, {}))],
        action,
    )


def _told(parts: list[tuple[str, Any]], action: Action) -> str:
    lines = []
    for title, flow in parts:
        lines.append(title)
        if flow is None:
            lines.append("      nothing to do")
            continue
        for number, steps in enumerate(stages(flow), start=1):
            for index, step in enumerate(steps):
                mark = f"{number:4}" if index == 0 else " " * 4
                lines.append(f"{mark}  {in_words(step.name, action)}")
    return "\n".join(lines) + "\n"


def stages(flow: tf_flow.Flow) -> Iterator[list[Any]]:
    """Yield the steps of a flow by how many others they have to wait for at least."""
    before: dict[Any, list[Any]] = defaultdict(list)
    for first, second, _ in flow.iter_links():
        before[second].append(first)
    depth: dict[Any, int] = {}
    for node, _ in flow.iter_nodes():  # in topological order
        depth[node] = max((depth[first] + 1 for first in before[node]), default=0)
    for level in sorted(set(depth.values())):
        nodes = [node for node in depth if depth[node] == level]
        if steps := [node for node in nodes if not isinstance(node, tf_flow.Flow)]:
            yield steps
        for node in nodes:
            if isinstance(node, tf_flow.Flow):
                yield from stages(node)


def in_words(name: str, action: Action) -> str:
    """Return a step's name with the ids of its subject in words."""
    verb, _, subject = name.partition(":")
    ports = [port["id"] for port in action.details.get("ports", ())]
    held = action.details.get("volumes", ())
    volumes = [one["volume_id"] if isinstance(one, dict) else one for one in held]
    if subject in ports:
        return f"{verb} (port {ports.index(subject) + 1})"
    if subject in volumes:
        return f"{verb} (volume {volumes.index(subject) + 1})"
    return verb


def main() -> None:
    """Record all outlines anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for case in (*OUTLINED, HOST, *LIVE, *CAPTURE):
        (FOLDER / f"{case}.txt").write_text(outline(case), encoding="utf-8")


if __name__ == "__main__":
    main()
