"""The two flows of a live update: everything that can be undone, and giving up the way back."""

from __future__ import annotations

from typing import Any

from taskflow import flow

from upgrade_flows.flows import sequence
from upgrade_flows.flows.live_update.tasks import (
    booting,
    cutting,
    holding,
    preparing,
    proving,
    settling,
    surrogate,
)
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import identity, images, probes, servers
from upgrade_flows.steps.base import Context


def change(ctx: Context, action: Action) -> flow.Flow:
    """Boot a surrogate with the update beside an instance, and move the workload to it.

    ::

        record ── lock ── check ── way back ── make room ── hold room ── boot disk ── own port
                                                                                        │
        quiesce ── prepare ─────────────── ready ─────────────── boot surrogate ────────┘
           │
           └── move ports and volumes ── resume ── probe ── freeze original ── compare

    The workload does not serve between ``quiesce`` and ``probe``; everything else is done before
    or after.  Until ``settle`` the original is there, frozen or stopped, with its own root disk:
    undoing this moves ports and volumes back to it and lets it run on.
    """
    details = action.details
    return sequence.of(
        f"live-update:{action.subject}",
        identity.RecordIdentity(ctx, action.subject, ctx.plugins.mode_of),
        preparing.RecordGuest(ctx, action),
        servers.LockServer(ctx, action.subject),
        preparing.CheckWorkload(ctx, action),
        _way_back(ctx, action),
        *[preparing.MigrateAway(ctx, action, move) for move in details["moves"]],
        holding.HoldRoom(ctx, action),
        *_boot_disk(ctx, action),
        surrogate.CreateHealthPort(ctx, action),
        booting.boot_step(ctx, action),
        surrogate.AwaitReady(ctx, action),
        cutting.PrepareWorkload(ctx, action),
        _watch(ctx, action),
        *_cut_over(ctx, action),
        [cutting.FreezeOriginal(ctx, action)] if details["cut"] == "hot" else [],
        surrogate.DetachHealthPort(ctx, action),
        _measure(ctx, action),
        proving.CompareSurrogate(ctx, action),
    )


def settle(ctx: Context, action: Action, outcome: dict[str, Any]) -> flow.Flow:
    """Delete the original; what of it is still wanted becomes the surrogate's.

    ::

        delete original ── delete flags ── name ── delete own port ── keep way back

    The copy of the old root disk stays for a while longer (``grace_s``).
    """
    return sequence.of(
        f"settle:{action.subject}",
        settling.DeleteOriginal(ctx, action, outcome),
        settling.TakeFlags(ctx, action, outcome),
        settling.TakeName(ctx, action, outcome),
        settling.DeleteHealthPort(ctx, action, outcome),
        settling.KeepWayBack(ctx, action, outcome),
    )


def _way_back(ctx: Context, action: Action) -> Any:
    root = action.details["root"]
    if root is None:
        return images.SnapshotServer(ctx, action.subject, provides="way_back")
    return preparing.SnapshotRoot(ctx, action, root["volume_id"])


def _boot_disk(ctx: Context, action: Action) -> list[Any]:
    """Make the surrogate's root disk, where Nova does not make it of the image by itself."""
    if action.details["boot"] == "image":
        return []
    steps: list[Any] = [surrogate.CreateBootVolume(ctx, action)]
    if action.details["update"]:
        steps.append(surrogate.UpdateBootVolume(ctx, action))
    return steps


def _cut_over(ctx: Context, action: Action) -> list[Any]:
    """Order what happens while the workload does not serve.

    A stopped original lets go of its volumes; on the way back the surrogate is stopped then,
    too.  A surrogate that does not notice what is plugged into it while it runs is stopped
    before, and boots with all of it.
    """
    cold, restart = action.details["cut"] == "cold", action.details["restart"]
    if restart:
        there = [cutting.StartSurrogate(ctx, action)]
    else:
        there = [cutting.StopSurrogateOnTheWayBack(ctx, action)] if cold else []
    return [
        [cutting.StopSurrogate(ctx, action)] if restart else [],
        cutting.QuiesceWorkload(ctx, action),
        [cutting.StopOriginal(ctx, action)] if cold else [],
        cutting.MoveResources(ctx, action),
        there,
        cutting.ResumeWorkload(ctx, action),
        cutting.ProbeWorkload(ctx, action),
    ]


def _watch(ctx: Context, action: Action) -> list[Any]:
    """Watch the guest from before it goes quiet, where a probe says at which port."""
    port = watched_port(action)
    return [probes.WatchGuest(ctx, action.subject, port)] if port else []


def _measure(ctx: Context, action: Action) -> list[Any]:
    port = watched_port(action)
    return [probes.MeasureSilence(ctx, action.subject, port)] if port else []


def watched_port(action: Action) -> int | None:
    """Return the first TCP port that a probe of the plan asks at, or None."""
    for probe in action.details["probes"]:
        port = probe.get("tcp") or ("http" in probe and probe.get("port", 80))
        if port:
            return int(port)
    return None
