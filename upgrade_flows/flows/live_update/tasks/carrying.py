"""Move ports and data volumes from one of the two instances to the other, side by side."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.live_update.tasks import plugging
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import AttachedVolume, Port, Volume
from upgrade_flows.steps import creating, volumes, waiting
from upgrade_flows.steps.base import Context

#: seconds that a call takes at least: to ask earlier costs the services what they work with
HEAD_S = 0.5

#: seconds between two looks, at first: a guest is silent for as long as its port takes, and its
#: volumes are mostly earlier
PORT_S, VOLUME_S = 0.1, 0.2

#: Nova's instance actions about ports
INTERFACES = ("attach_interface", "detach_interface")


class Carrier:
    """Brings everything that belongs to the workload to one server, wherever it is now.

    What is there already stays: a second attempt, after a crash, does the rest.  A port that
    Nova made itself is deleted by Nova when it is detached; it is made again with the same MAC,
    addresses, floating IPs and all that its owner set, under another id.

    :param before: as ``RecordIdentity`` provides it.
    :param floating: by port: id, address and fixed address of each floating IP.
    :param volumes: ids of the data volumes, in the order of their devices.
    """

    def __init__(
        self,
        ctx: Context,
        before: dict[str, Any],
        floating: dict[str, list[list[str]]],
        volumes: list[str],
    ) -> None:
        self.ctx = ctx
        self.ports = [
            codec.from_plain(Port, before["ports"][port["id"]])
            for port in before["identity"]["ports"]
        ]
        self.floating = floating
        held = {one.volume_id: one for one in creating.volumes_of(before["identity"])}
        self.volumes = [held[volume_id] for volume_id in volumes]
        self.calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def bring(
        self,
        source: str,
        target: str,
        flags: bool,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict[str, str]:
        """Bring ports and volumes from one server to another; return the ports' ids by old id.

        :param flags: whether volumes get the delete flags that were recorded; otherwise none.
        :param meanwhile: is called when the source has let go of everything, and ends before
            this does; the calls that plug it in at the target are under way then.
        :raises CloudError: something did not move; the rest may have.
        """
        disks = [one if flags else creating.without_flag(one) for one in self.volumes]
        width, plug_volume = self.ctx.settings.calls_at_a_time, partial(self._plug_volume, source)
        with ThreadPoolExecutor(width, thread_name_prefix="carry") as pool:
            free_volumes = [pool.submit(self._free_volume, one, source) for one in disks]
            found = pool.submit(self._found, target).result()
            free_ports = [
                pool.submit(self._free_port, port, now, source, target)
                for port, now in zip(self.ports, found, strict=True)
            ]
            both = [
                pool.submit(self._in_order, free_volumes, disks, target, plug_volume),
                pool.submit(self._in_order, free_ports, self.ports, target, self._plug_port),
            ]
            also = pool.submit(self._when_free, [*free_volumes, *free_ports], meanwhile)
            _, ids = [future.result() for future in both]
            also.result()  # the guest gets what the machine can do first
            waits = [
                pool.submit(self._finish_port, port, port_id, target)
                for port, port_id in zip(self.ports, ids, strict=True)
            ]
            for future in waits:
                future.result()
        return {port.id: port_id for port, port_id in zip(self.ports, ids, strict=True)}

    def _in_order(
        self,
        free: list[Future[Any]],
        items: list[Any],
        target: str,
        plug: Callable[[Any, Any, str], str],
    ) -> list[str]:
        """Plug items in one after the other, each as soon as it is free; the guest counts them."""
        return [
            plug(item, future.result(), target) for future, item in zip(free, items, strict=True)
        ]

    @staticmethod
    def _when_free(free: list[Future[Any]], call: Callable[[], None]) -> None:
        for future in free:
            future.result()
        call()

    # volumes

    def _free_volume(self, volume: AttachedVolume, source: str) -> Volume:
        cloud, volume_id = self.ctx.cloud, volume.volume_id
        seen = volumes.at_rest(self.ctx, volume_id)
        if source not in {one.server_id for one in seen.attachments}:
            return seen
        with self._timed("detach volume", volume_id):
            cloud.compute.detach_volume(source, volume_id)
            return wait.until(
                cloud.clock,
                f"volume {volume_id} to leave server {source}",
                lambda: cloud.volumes.volume(volume_id),
                lambda now: now.status == "available",
                lambda now: (
                    # Nova and Cinder call it in-use again when the guest has not answered
                    "the guest does not let go of it"
                    if now.status == "in-use" or now.status.startswith("error")
                    else None
                ),
                deadline_s=self.ctx.settings.volume_s,
                first_s=VOLUME_S,
                most_s=0.25,
                head_s=HEAD_S,
            )

    def _plug_volume(self, source: str, volume: AttachedVolume, seen: Volume, target: str) -> str:
        cloud, volume_id = self.ctx.cloud, volume.volume_id
        if target in {one.server_id for one in seen.attachments} and seen.status == "in-use":
            return volume_id
        with self._timed("attach volume", volume_id):
            if seen.status == "available":
                plugging.attach_volume(self.ctx, volume, source, target)
            wait.until(
                cloud.clock,
                f"volume {volume_id} to be attached to server {target}",
                lambda: cloud.volumes.volume(volume_id),
                lambda now: (
                    now.status == "in-use" and target in {at.server_id for at in now.attachments}
                ),
                lambda now: (
                    f"it is {now.status}"
                    if now.status == "available" or now.status.startswith("error")
                    else None
                ),
                deadline_s=self.ctx.settings.volume_s,
                first_s=VOLUME_S,
                most_s=0.25,
                head_s=HEAD_S,
            )
        return volume_id

    # ports

    def at_rest(self, server_id: str) -> None:
        """Wait until Nova has done what it was told to do about a server's ports.

        Nova tells of a detachment that is under way only in the instance's actions.
        """
        wait.until(
            self.ctx.cloud.clock,
            f"the ports of server {server_id} to be at rest",
            lambda: self.ctx.cloud.compute.actions(server_id),
            lambda actions: all(
                one.finish is not None for one in actions if one.action in INTERFACES
            ),
            deadline_s=self.ctx.settings.port_s,
        )

    def _found(self, target: str) -> list[tuple[Port | None, bool]]:
        """Return each port as it is now, and whether it is at the target and may stay there.

        One that comes before others is plugged in before them, or the guest would count them
        anew: after a move that was broken off the others have to leave once more.
        """
        found = [self.find(port) for port in self.ports]
        there = [port is not None and port.device_id == target for port in found]
        return [(port, all(there[: number + 1])) for number, port in enumerate(found)]

    def _free_port(
        self, port: Port, found: tuple[Port | None, bool], source: str, target: str
    ) -> Port | None:
        now, stays = found
        if now is None or not now.device_id or stays:
            return now
        if now.device_id not in (source, target):
            raise errors.StepFailed(f"port {now.id} belongs to {now.device_id} now")
        with self._timed("detach port", port.id):
            self.ctx.cloud.compute.detach_port(now.device_id, now.id)
            return wait.until(
                self.ctx.cloud.clock,
                f"port {now.id} to leave server {now.device_id}",
                lambda: self.find(port),
                lambda seen: seen is None or not seen.device_id,
                deadline_s=self.ctx.settings.port_s,
                first_s=PORT_S,
                most_s=0.25,
                head_s=HEAD_S,
            )

    def _plug_port(self, port: Port, now: Port | None, target: str) -> str:
        network = self.ctx.cloud.network
        if now is None:
            with self._timed("create port", port.id):
                # Nova refuses a port that bears another name than its server's
                now = network.create_port(dataclasses.replace(port, dns_name=""))
        for floating_id, _, fixed in self.floating.get(port.id, ()):
            held = [ip for ip in network.floating_ips(now.id) if ip.id == floating_id]
            if not held:
                with self._timed("associate floating IP", floating_id):
                    network.associate(floating_id, now.id, fixed)
        if now.device_id != target:
            with self._timed("attach port", port.id):
                plugging.attach_port(self.ctx, now, target)
        return now.id

    def _finish_port(self, port: Port, port_id: str, target: str) -> None:
        """Wait until a port of a running server is plugged; give it the name that it had."""
        network = self.ctx.cloud.network
        if self.ctx.cloud.compute.server(target).status == "ACTIVE":
            now = waiting.port_active(self.ctx, port_id)
        else:
            now = network.port(port_id)
        if now.dns_name != port.dns_name:
            network.set_dns_name(port_id, port.dns_name)

    def find(self, port: Port) -> Port | None:
        """Return the port as it is now, under its old id or a new one; None if there is none."""
        network = self.ctx.cloud.network
        try:
            return network.port(port.id)
        except errors.NotFound:
            found = network.ports(mac_address=port.mac_address)
            return next((one for one in found if one.network_id == port.network_id), None)

    @contextmanager
    def _timed(self, call: str, item: str) -> Iterator[None]:
        clock = self.ctx.cloud.clock
        started, began = clock.time(), clock.monotonic()
        yield
        entry = {
            "call": call,
            "item": item,
            "started": round(started, 3),
            "seconds": round(clock.monotonic() - began, 3),
        }
        with self._lock:
            self.calls.append(entry)


def unavoidable_s(calls: list[dict[str, Any]]) -> float:
    """Return the seconds that the calls take if one follows the other."""
    return round(sum(float(call["seconds"]) for call in calls), 3)
