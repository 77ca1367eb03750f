"""What Nova has to say before a move counts: the host, the migration's record, and no task."""

from __future__ import annotations

import calendar
import time
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Migration
from upgrade_flows.flows.host_upgrade.drain.ladder import Mover
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps.base import Context

_CAME_TO_NOTHING = ("cancelled", "error", "failed", "reverted")
_CAME_THROUGH = ("completed", "confirmed", "done")


def failed_attempts(ctx: Context, server_id: str, host: str, since: float) -> int:
    """Count the migrations of an instance from a host since a moment that came to nothing."""
    return sum(
        m.source == host and m.status in _CAME_TO_NOTHING and moment(m.created) >= int(since)
        for m in ctx.cloud.compute.migrations(server_id)
    )


def sent(ctx: Context, host: str, since: float) -> list[Migration]:
    """Return the migrations from a host that began after a moment and have not ended.

    A cold one that waits to be confirmed counts, a resize does not: that is its owner's.
    """
    return [
        m
        for m in ctx.cloud.compute.migrations_of_host(host)
        if m.source == host
        and m.destination != host
        and m.kind in ("migration", "live-migration")
        and moment(m.created) >= int(since)
    ]


def sent_before(
    ctx: Context, host: str, names: dict[str, str], since: float, known: set[str]
) -> list[dict[str, Any]]:
    """Return the moves that a process which is gone has made, as ``Drain.run`` tells its own.

    :param names: those of the instances that the host had, by their ids.
    :param known: the ids of those whose moves are known.
    """
    found = []
    for server_id, name in names.items():
        if server_id in known:
            continue
        records = [
            m
            for m in ctx.cloud.compute.migrations(server_id)
            if m.source == host and moment(m.created) >= int(since)
        ]
        made = [m for m in records if m.status in _CAME_THROUGH]
        if not made:
            continue
        failed = sum(m.status in _CAME_TO_NOTHING for m in records)
        found.append(
            {
                "instance": server_id, "name": name, "source": host,
                "target": made[-1].destination,
                "how": "live" if made[-1].kind == "live-migration" else "cold",
                "attempts": failed + 1,
                "seconds": max(0.0, moment(made[-1].updated) - moment(records[0].created)),
            }
        )  # fmt: skip
    return found


def why_it_ended(ctx: Context, mover: Mover, server: Server) -> str:
    """Say why an attempt has left an instance where it was."""
    records = ctx.cloud.compute.migrations(mover.id)
    if not records:
        return f"Nova has no record of a migration of it; {_fault(server)}"
    last = records[-1]
    if last.status in _CAME_THROUGH:
        return (
            f"migration {last.id} is {last.status}, but the instance is on {server.host} as before"
            f" (look at the log of nova-compute there, and at openstack server event list"
            f" {mover.id})"
        )
    return (
        f"migration {last.id} to {last.destination or 'no host'}: {last.status}; {_fault(server)}"
    )


def arrived(ctx: Context, mover: Mover, source: str) -> tuple[str, Server | None]:
    """Say where an instance stands that is not on its source any more.

    ``arrived``: it is through; ``confirm``: its cold migration waits to be confirmed; ``gone``:
    its owner has deleted it; ``here``: it is on the source; ``later``: something is under way;
    or why it ``failed``.
    """
    try:
        server = ctx.cloud.compute.server(mover.id)
    except errors.NotFound:
        return "gone", None
    if server.status in ("DELETED", "SOFT_DELETED"):
        return "gone", server
    if server.host == source:
        return "here", server
    if server.task_state is not None:
        return "later", server
    last = _last(ctx, mover.id, source)
    if server.status == "VERIFY_RESIZE":
        ours = last is not None and last.kind == "migration"
        return ("confirm" if ours else "arrived"), server  # a resize is its owner's to confirm
    if server.status == "ERROR":
        return f"failed on its way: it is in ERROR on {server.host}: {_fault(server)}", server
    if server.status == "SHELVED_OFFLOADED":
        return "arrived", server
    if server.status == "MIGRATING":
        return "later", server
    if last is not None and not last.ended:
        return "later", server
    return "arrived", server


def moment(text: str) -> float:
    """Return epoch seconds of a time as Nova writes it (UTC, with or without fraction)."""
    try:
        return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0


def _last(ctx: Context, server_id: str, source: str) -> Migration | None:
    ours = [m for m in ctx.cloud.compute.migrations(server_id) if m.source == source]
    return ours[-1] if ours else None


def _fault(server: Server) -> str:
    return server.fault or "Nova gives no fault"
