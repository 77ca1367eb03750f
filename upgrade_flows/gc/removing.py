"""Removes left-overs, one kind after the other, and tells what could not be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.gc.things import Kind, Thing

#: seconds within which something that is deleted must be gone
GONE_S = 600.0

#: seconds within which a volume must be free whose server has gone
FREE_S = 30.0


def remove(cloud: Cloud, left: Iterable[Thing]) -> Iterator[tuple[Thing, str]]:
    """Remove things in the order of their kinds; yield each with why not, empty if it is gone.

    What cannot be removed keeps no other from being removed.
    """
    order = list(Kind)
    for thing in sorted(left, key=lambda thing: order.index(thing.kind)):
        try:
            REMOVERS[thing.kind](cloud, thing.id)
        except errors.NotFound:
            pass
        except errors.UpgradeFlowsError as exc:
            yield thing, str(exc)
            continue
        yield thing, ""


def _server(cloud: Cloud, server_id: str) -> None:
    cloud.compute.delete(server_id)
    _gone(cloud, f"server {server_id}", lambda: cloud.compute.server(server_id).status)


def _port(cloud: Cloud, port_id: str) -> None:
    holder = cloud.network.port(port_id).device_id
    if holder:  # Neutron would delete it under its server
        raise errors.StepFailed(f"port {port_id} belongs to {holder}")
    cloud.network.delete_port(port_id)


def _snapshot(cloud: Cloud, snapshot_id: str) -> None:
    cloud.volumes.delete_snapshot(snapshot_id)
    _gone(cloud, f"snapshot {snapshot_id}", lambda: cloud.volumes.snapshot(snapshot_id).status)


def _volume(cloud: Cloud, volume_id: str) -> None:
    wait.until(
        cloud.clock,
        f"volume {volume_id} to be free",
        lambda: cloud.volumes.volume(volume_id).status,
        lambda now: now not in ("in-use", "detaching"),
        deadline_s=FREE_S,
    )
    cloud.volumes.delete(volume_id)
    _gone(cloud, f"volume {volume_id}", lambda: cloud.volumes.volume(volume_id).status)


def _unlock(cloud: Cloud, server_id: str) -> None:
    cloud.compute.unlock(server_id)


def _gone(cloud: Cloud, what: str, fetch: Callable[[], str]) -> None:
    """Wait until something that is being deleted is gone."""

    def status() -> str:
        try:
            return fetch()
        except errors.NotFound:
            return ""

    wait.until(
        cloud.clock,
        f"{what} to be gone",
        status,
        lambda now: now in ("", "DELETED", "SOFT_DELETED"),
        lambda now: "it cannot be deleted" if now == "error_deleting" else None,
        deadline_s=GONE_S,
    )


REMOVERS: dict[Kind, Callable[[Cloud, str], None]] = {
    Kind.SERVER: _server,
    Kind.PORT: _port,
    Kind.SNAPSHOT: _snapshot,
    Kind.VOLUME: _volume,
    Kind.IMAGE: lambda cloud, image_id: cloud.images.delete(image_id),
    Kind.KEY: lambda cloud, name: cloud.compute.delete_keypair(name),
    Kind.HOLD: lambda cloud, consumer: cloud.placement.release(consumer),
    Kind.LOCK: _unlock,
}
