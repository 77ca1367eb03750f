"""The flows of ``recreate``, one for each strategy, from the least to the most disruptive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskflow import flow

from upgrade_flows.errors import RequestError
from upgrade_flows.flows import sequence
from upgrade_flows.flows.recreate import tasks
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import identity, ports, servers, volumes
from upgrade_flows.steps.base import Context


def change(ctx: Context, action: Action) -> flow.Flow:
    """Build the flow that brings one instance into its host's VIF mode.

    :raises RequestError: the action's strategy is none of ours.
    """
    try:
        build = BUILDERS[action.strategy]
    except KeyError:
        raise RequestError(f"recreate has no strategy {action.strategy!r}") from None
    return build(ctx, action)


def settle(ctx: Context, action: Action, outcome: dict[str, Any]) -> flow.Flow | None:
    """Build the flow that gives up the way back, or None where there is nothing to give up."""
    subject, details = action.subject, action.details
    name = f"settle-{action.strategy}:{subject}"
    stages: list[Any] = []
    if action.strategy == "cold-migrate":
        stages.append(servers.ConfirmMigration(ctx, subject))
    if action.strategy == "snapshot":
        stages.append(servers.DeleteParked(ctx, subject, outcome["server_id"]))
    if action.strategy in ("recreate", "snapshot") and details["key_name"]:
        stages.append(tasks.DeleteKeypair(ctx, subject, details["key_name"]))
    return sequence.of(name, *stages) if stages else None


def rebind(ctx: Context, action: Action) -> flow.Flow:
    """Plug a stopped instance's ports anew, in place.

    ::

        record ── lock ── stop ─┬─ rebind port ─┬─ start ── await ports ── unlock ── compare
                                └─ rebind port ─┘

    Everything is kept: UUID, disks, addresses, host and allocation.  If a step fails the ports
    are bound back and the instance is started; if the host's agent no longer offers the old
    mode the instance runs in the new one, and that is reported.
    """
    subject, details = action.subject, action.details
    mode_of = ctx.plugins.mode_of
    return sequence.of(
        f"rebind:{subject}",
        identity.RecordIdentity(ctx, subject, mode_of),
        servers.LockServer(ctx, subject),
        servers.StopServer(ctx, subject),
        [
            ports.RebindPort(ctx, port["id"], details["host"], port["wanted"], mode_of)
            for port in details["ports"]
            if port["bound"] != port["wanted"]
        ],
        servers.StartServer(ctx, subject),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _compare(ctx, action),
    )


def cold_migrate(ctx: Context, action: Action) -> flow.Flow:
    """Move an instance, off, to a host that is in the wanted mode already.

    ::

        record ── lock ── migrate ── await ports ── unlock ── compare

    Until ``settle`` confirms the migration the source keeps the disk and the allocation, and
    Nova's own revert brings the instance back.
    """
    subject, details = action.subject, action.details
    return sequence.of(
        f"cold-migrate:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        servers.NoteDown(ctx, subject),
        servers.MigrateServer(ctx, subject, details["host"], details["target_host"]),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _compare(ctx, action),
    )


def shelve(ctx: Context, action: Action) -> flow.Flow:
    """Take an instance off its host and bring it back there, with its ports bound anew.

    ::

        record ── lock ── shelve ── unshelve ── await ports ── unlock ── compare

    UUID, ports and volumes are kept; a local root disk goes through Glance.  Undone by
    unshelving it on its host.
    """
    subject, host = action.subject, action.details["host"]
    return sequence.of(
        f"shelve:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        servers.ShelveServer(ctx, subject, host),
        servers.UnshelveServer(ctx, subject, host),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _compare(ctx, action),
    )


def recreate(ctx: Context, action: Action) -> flow.Flow:
    """Delete a volume-backed instance and create it again from the same volumes and ports.

    ::

        record ── lock ── key ── stop ─┬─ keep volume ─┬─ release ports ── delete original
                                       └─ keep volume ─┘                         │
        compare ── drop tag ── delete flags ── await ports ── power ── create replacement

    Nova does not detach a root volume, so the original cannot be parked: undoing this rebuilds
    it from its record, with the same volumes and ports and a new UUID.
    """
    subject, details = action.subject, action.details
    where = (details["host"], details["flavor_id"])
    return sequence.of(
        f"recreate:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        tasks.ImportKeypair(ctx, subject),
        servers.StopServer(ctx, subject),
        [volumes.KeepVolume(ctx, volume, subject) for volume in details["volumes"]],
        *_release_ports(ctx, action),
        ctx.plugins.storage[details["storage"]].carry(ctx, subject),
        tasks.DeleteOriginal(ctx, subject, *where),
        *_replace(ctx, action),
    )


def snapshot(ctx: Context, action: Action) -> flow.Flow:
    """Replace an image-backed instance by one booted from its snapshot; park the original.

    ::

        record ── lock ── key ── rename ── stop ── snapshot ─┬─ detach volume ─┬─ release ports
                                                             └─ detach volume ─┘       │
        compare ── drop tag ── delete flags ── await ports ── power ── create replacement

    The original is stopped and nothing more: undoing this gives it its ports and volumes back
    and starts it.  ``settle`` deletes it.
    """
    subject, details = action.subject, action.details
    return sequence.of(
        f"snapshot:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        tasks.ImportKeypair(ctx, subject),
        servers.RenameServer(ctx, subject),
        servers.StopServer(ctx, subject),
        ctx.plugins.storage[details["storage"]].carry(ctx, subject),
        [volumes.DetachVolume(ctx, volume, subject) for volume in details["volumes"]],
        *_release_ports(ctx, action),
        *_replace(ctx, action),
    )


def _replace(ctx: Context, action: Action) -> list[Any]:
    subject, details = action.subject, action.details
    return [
        tasks.CreateReplacement(ctx, subject, details["host"], details["flavor_id"]),
        tasks.RestorePower(ctx, subject),
        _await_ports(ctx, action),
        [volumes.RestoreDeleteFlag(ctx, volume) for volume in details["volumes"]],
        tasks.DropTag(ctx, subject),
        _compare(ctx, action),
    ]


def _release_ports(ctx: Context, action: Action) -> list[Any]:
    """Release ports one after the other, the last NIC first: undoing attaches them in order."""
    return [
        ports.ReleasePort(ctx, port["id"], action.subject)
        for port in reversed(action.details["ports"])
    ]


def _await_ports(ctx: Context, action: Action) -> list[Any]:
    return [ports.AwaitPort(ctx, port["id"]) for port in action.details["ports"]]


def _compare(ctx: Context, action: Action) -> identity.CompareIdentity:
    wanted = {port["id"]: port["wanted"] for port in action.details["ports"]}
    return identity.CompareIdentity(
        ctx, action.subject, ctx.plugins.mode_of, action.declares, wanted
    )


BUILDERS: dict[str, Callable[[Context, Action], flow.Flow]] = {
    "rebind": rebind,
    "cold-migrate": cold_migrate,
    "shelve": shelve,
    "recreate": recreate,
    "snapshot": snapshot,
}
