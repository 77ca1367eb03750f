"""The flows of ``recreate``, one for each strategy, from the least to the most disruptive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskflow import flow

from upgrade_flows.errors import RequestError
from upgrade_flows.flows import sequence
from upgrade_flows.flows.recreate import tasks
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import identity, ports, probes, servers, volumes
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
    if action.strategy != "cold-migrate":
        return None
    subject = action.subject
    return sequence.of(f"settle:{subject}", servers.ConfirmMigration(ctx, subject))


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
        _watch(ctx, action),
        servers.StopServer(ctx, subject),
        [
            ports.RebindPort(ctx, port["id"], details["host"], port["wanted"], mode_of)
            for port in details["ports"]
            if port["bound"] != port["wanted"]
        ],
        servers.StartServer(ctx, subject),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _measure(ctx, action),
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
        _watch(ctx, action),
        servers.NoteDown(ctx, subject),
        servers.MigrateServer(ctx, subject, details["host"], details["target_host"]),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _measure(ctx, action),
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
        _watch(ctx, action),
        servers.ShelveServer(ctx, subject, host),
        servers.UnshelveServer(ctx, subject, host),
        _await_ports(ctx, action),
        servers.UnlockServer(ctx, subject),
        _measure(ctx, action),
        _compare(ctx, action),
    )


def recreate(ctx: Context, action: Action) -> flow.Flow:
    """Delete an instance and create it again, on the same host, from its own disk and ports.

    ::

        record ── lock ── stop ── carry root disk ─┬─ keep volume ─┬─ release ports
                                                   └─ keep volume ─┘       │
        compare ── drop tag ── delete flags ── await ports ── power ── create ── delete original

    How the root disk is carried is the storage plugin's business: a volume is used as it is
    (strategy ``recreate``), a local disk by way of a verified snapshot (``snapshot``).

    The original cannot be parked beside its replacement.  Nova detaches no root volume, and
    allows one record of a port among all existing instances (``virtual_interfaces``), so a port
    can be adopted only when its first holder is gone.  Undoing this rebuilds the original from
    its record, with the same disks, volumes and ports and a new UUID, which is reported.
    """
    subject, details = action.subject, action.details
    where = (details["host"], details["flavor_id"])
    return sequence.of(
        f"{action.strategy}:{subject}",
        identity.RecordIdentity(ctx, subject, ctx.plugins.mode_of),
        servers.LockServer(ctx, subject),
        _watch(ctx, action),
        servers.StopServer(ctx, subject),
        ctx.plugins.storage[details["storage"]].carry(ctx, subject),
        [volumes.KeepVolume(ctx, volume, subject) for volume in details["volumes"]],
        *_release_ports(ctx, action),
        tasks.DeleteOriginal(ctx, subject, *where),
        tasks.CreateReplacement(ctx, subject, *where),
        tasks.RestorePower(ctx, subject),
        _await_ports(ctx, action),
        [volumes.RestoreDeleteFlag(ctx, volume) for volume in details["volumes"]],
        tasks.DropTag(ctx, subject),
        _measure(ctx, action),
        _compare(ctx, action),
    )


def _release_ports(ctx: Context, action: Action) -> list[Any]:
    """Release ports one after the other, the last NIC first: undoing returns them in order."""
    return [
        ports.ReleasePort(ctx, port["id"], action.subject)
        for port in reversed(action.details["ports"])
    ]


def _await_ports(ctx: Context, action: Action) -> list[Any]:
    return [ports.AwaitPort(ctx, port["id"]) for port in action.details["ports"]]


def _watch(ctx: Context, action: Action) -> list[Any]:
    """Watch the guest from before it goes down, if the plan says where to ask."""
    port = action.details.get("probe_port")
    return [probes.WatchGuest(ctx, action.subject, port)] if port else []


def _measure(ctx: Context, action: Action) -> list[Any]:
    port = action.details.get("probe_port")
    return [probes.MeasureSilence(ctx, action.subject, port)] if port else []


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
    "snapshot": recreate,
}
