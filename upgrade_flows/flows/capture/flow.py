"""The flow of a capture; what it makes is kept, so there is nothing to settle."""

from __future__ import annotations

from typing import Any

from taskflow import flow

from upgrade_flows.flows import sequence
from upgrade_flows.flows.capture import tasks, trying
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import identity, images, servers
from upgrade_flows.steps.base import Context


def change(ctx: Context, action: Action) -> flow.Flow:
    """Copy the disks of an instance, make one image of the copies, and see that it boots.

    ::

        record ── lock ── stop ── snapshot volumes ─┬─ snapshot root disk ── refer to volumes ─┐
                                                    └─ compose image ──────────────────────────┤
                         name ── try ── unlock ── start ───────────────────────────────────────┘

    The root disk is snapshotted by Nova, or it is one of the volumes; the instance is stopped
    where the plan says so, and runs on as soon as the copies are there.  Undone by deleting the
    image and the snapshots.
    """
    subject, details = action.subject, action.details
    stop = details["stop"] and details["status"] == "ACTIVE"
    return sequence.of(
        f"capture:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        [servers.StopServer(ctx, subject)] if stop else [],
        tasks.SnapshotVolumes(ctx, action),
        *_image(ctx, action),
        [tasks.StartAgain(ctx, subject)] if stop else [],
        servers.UnlockServer(ctx, subject),
        [trying.TryImage(ctx, action)] if details["verify"] else [],
        tasks.NameImage(ctx, action),
    )


def settle(ctx: Context, action: Action, outcome: dict[str, Any]) -> flow.Flow | None:
    """Return None: the image and its snapshots are what was wanted."""
    return None


def _image(ctx: Context, action: Action) -> list[Any]:
    if action.details["boot"] == "volume":
        return [tasks.ComposeImage(ctx, action)]
    return [
        images.SnapshotServer(ctx, action.subject),
        *([tasks.ReferToVolumes(ctx, action)] if action.details["volumes"] else []),
    ]
