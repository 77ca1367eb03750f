"""What several checks of the cloud look at: each listing is read once for all of them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from upgrade_flows.checks.base import Sources
from upgrade_flows.cloud.api import Migration
from upgrade_flows.model.inventory import Server

A = TypeVar("A")
B = TypeVar("B")

WORKERS = 8

#: the statuses of migration records that have not ended, as Nova names them
OPEN = (
    "accepted",
    "finished",
    "migrating",
    "post-migrating",
    "pre-migrating",
    "preparing",
    "queued",
    "running",
    "reverting",
    "confirming",
)
#: those that ended otherwise than they should
BROKEN = ("cancelled", "error", "failed")


def servers(sources: Sources) -> dict[str, Server]:
    """Return all servers by their ids."""
    return sources.once(
        "servers", lambda: {server.id: server for server in sources.cloud.compute.servers()}
    )


def migrations(sources: Sources, statuses: Iterable[str]) -> list[Migration]:
    """Return the migration records of some statuses."""
    found: list[Migration] = []
    for status in statuses:
        found += sources.once(
            f"migrations {status}",
            lambda status=status: tuple(sources.cloud.compute.migrations_in(status)),  # type: ignore[misc]
        )
    return found


def concurrently(call: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Return ``call`` of each item, in order, made by a few threads at a time."""
    if len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(WORKERS, len(items))) as pool:
        return list(pool.map(call, items))


def epoch(text: str) -> float:
    """Return a time as services write it, UTC where they do not say, as epoch seconds."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def ago(seconds: float) -> str:
    """Return how long ago something was, roughly."""
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} seconds"
