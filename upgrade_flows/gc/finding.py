"""Reads a cloud for everything that bears a mark of ours."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.flows.live_update.tasks.holding import HOLDER
from upgrade_flows.flows.live_update.tasks.settling import GIVEN, UNTIL
from upgrade_flows.gc import things
from upgrade_flows.gc.things import MAKERS, Kind, Thing
from upgrade_flows.model.inventory import Image, Port, Server, Snapshot, Volume

#: how the instances are called that are ours alone
OURS = "upgrade-flows-"


def find(cloud: Cloud, runs: Iterable[str] = ()) -> tuple[Thing, ...]:
    """Return what bears a mark of ours; nothing is changed.

    :param runs: runs that are known of; a server's mark alone does not say whose it is.
    """
    listed = _Listed(cloud)
    found = [
        *listed.ports(),
        *listed.volumes(),
        *listed.snapshots(),
        *listed.images(),
        *listed.locks(),
        *_holds(cloud, listed),
    ]
    known = {*runs, *(thing.run for thing in found)} - {""}
    marked = [*listed.servers(), *_keys(cloud)]
    whose = _whose(known, listed.subjects(), marked)
    return (*(_with_run(thing, whose) for thing in marked), *found)


class _Listed:
    """The lists of a cloud, and what of them is whose."""

    def __init__(self, cloud: Cloud) -> None:
        self.all_servers: tuple[Server, ...] = tuple(cloud.compute.servers())
        self._ports: tuple[Port, ...] = tuple(cloud.network.ports())
        self._volumes: tuple[Volume, ...] = tuple(cloud.volumes.volumes())
        self._snapshots: tuple[Snapshot, ...] = tuple(cloud.volumes.snapshots())
        self._images: tuple[Image, ...] = tuple(cloud.images.images())
        self.marked = {s.id: s for s in self.all_servers if things.short_tag_in(*s.tags)}

    def subjects(self) -> list[str]:
        """Return what steps that make servers may be called after: servers, and hosts."""
        ids = [server.id for server in self.all_servers]
        return [*ids, *sorted({server.host for server in self.all_servers} - {""})]

    def servers(self) -> Iterator[Thing]:
        """Yield the servers that bear a short tag; in use where they may be somebody's."""
        for server in self.marked.values():
            yield Thing(
                Kind.SERVER,
                server.id,
                server.name,
                run=self._run_of_what_it_holds(server),
                mark=things.short_tag_in(*server.tags),
                created=things.moment(server.created),
                used=self._somebodys(server),
            )

    def locks(self) -> Iterator[Thing]:
        """Yield the servers that a run has locked and not unlocked."""
        for server in self.all_servers:
            run = things.run_of_lock(server.locked_reason) if server.locked else ""
            if run and server.id not in self.marked:
                yield Thing(Kind.LOCK, server.id, server.name, run, created=_by_day(run))

    def ports(self) -> Iterator[Thing]:
        """Yield the ports that are called like steps."""
        for port in self._ports:
            if run := things.run_of(port.name):
                users = self._users([port.device_id])
                yield Thing(Kind.PORT, port.id, port.name, run, created=_by_day(run), **users)

    def volumes(self) -> Iterator[Thing]:
        """Yield the volumes that are called like steps, or are kept for a while.

        Not those that were given to an instance: they keep the names that we gave them.
        """
        for volume in self._volumes:
            run, until = things.run_of(volume.name), volume.metadata.get(UNTIL)
            if (run and not volume.metadata.get(GIVEN)) or until is not None:
                yield Thing(
                    Kind.VOLUME,
                    volume.id,
                    volume.name,
                    run,
                    until=things.seconds(until),
                    created=_by_day(run),
                    **self._users([at.server_id for at in volume.attachments]),
                )

    def snapshots(self) -> Iterator[Thing]:
        """Yield the snapshots that are called like steps."""
        wanted = self._snapshots_of_images()
        for snapshot in self._snapshots:
            if run := things.run_of(snapshot.name):
                yield Thing(
                    Kind.SNAPSHOT,
                    snapshot.id,
                    snapshot.name,
                    run,
                    until=things.seconds(snapshot.metadata.get(UNTIL)),
                    created=_by_day(run),
                    used=wanted.get(snapshot.id, ""),
                )

    def images(self) -> Iterator[Thing]:
        """Yield the images that are called like steps.

        Their other marks alone say nothing: Nova copies properties into images of instances.
        """
        booted: dict[str, list[str]] = defaultdict(list)
        for server in self.all_servers:
            booted[server.image_id].append(server.id)
        for image in self._images:
            if run := things.run_of(image.name):
                yield Thing(
                    Kind.IMAGE,
                    image.id,
                    image.name,
                    run,
                    until=things.seconds(image.properties.get(UNTIL)),
                    created=_by_day(run),
                    **self._users(booted[image.id]),
                )

    def _users(self, device_ids: Iterable[str]) -> dict[str, Any]:
        """Return who uses something: somebody, or a server that bears a mark of ours."""
        ids = [device_id for device_id in device_ids if device_id]
        others = [device_id for device_id in ids if device_id not in self.marked]
        used = f"server {others[0]}" if others else ""
        return {"used": used, "held_by": ids[0] if ids and not others else ""}

    def _somebodys(self, server: Server) -> str:
        """Return what of a marked server is not ours: then it may be all that is left of one."""
        if server.name.startswith(OURS):
            return ""
        ports = [port for port in self._ports if port.device_id == server.id]
        volumes = [
            volume
            for volume in self._volumes
            if any(at.server_id == server.id for at in volume.attachments)
        ]
        for kind, held in (("port", ports), ("volume", volumes)):
            for item in held:
                if not things.run_of(item.name):
                    return f"its owner: it holds {kind} {item.id}"
        return "" if ports or volumes else "its owner, perhaps: nothing that it holds is ours"

    def _run_of_what_it_holds(self, server: Server) -> str:
        names = [port.name for port in self._ports if port.device_id == server.id]
        names += [
            volume.name
            for volume in self._volumes
            if any(at.server_id == server.id for at in volume.attachments)
        ]
        return next((run for name in names if (run := things.run_of(name))), "")

    def _snapshots_of_images(self) -> dict[str, str]:
        """Return the images that refer to snapshots, by snapshot; but for left-overs."""
        found = {}
        for image in self._images:
            if things.run_of(image.name):
                continue
            for device in _mapping(image):
                if isinstance(device, dict) and device.get("snapshot_id"):
                    found[str(device["snapshot_id"])] = f"image {image.name or image.id}"
        return found


def _mapping(image: Image) -> list[Any]:
    """Return the devices that an image refers to."""
    said = image.properties.get("block_device_mapping") or []
    if isinstance(said, str):
        with contextlib.suppress(ValueError):
            said = json.loads(said)
    return said if isinstance(said, list) else []


def _keys(cloud: Cloud) -> Iterator[Thing]:
    """Yield the borrowed keys that were not given back."""
    compute = cloud.compute
    own = compute.own_user_id()
    for name in compute.keypairs(own):
        try:
            words = compute.public_key(own, name).split()
        except errors.NotFound:
            continue
        if mark := things.short_tag_in(*words):
            yield Thing(Kind.KEY, name, name, mark=mark)


def _holds(cloud: Cloud, listed: _Listed) -> Iterator[Thing]:
    """Yield the room in Placement that is held for us."""
    servers = {server.id for server in listed.all_servers}
    for host in cloud.placement.rooms():
        for consumer in cloud.placement.consumers(host):
            holder = None if consumer in servers else cloud.placement.holder(consumer)
            if holder is not None and holder[0] == HOLDER:
                run, until = things.of_hold(holder[1])
                name = f"room on {host}"
                yield Thing(Kind.HOLD, consumer, name, run, until=until, created=_by_day(run))


def _whose(known: set[str], subjects: list[str], marked: list[Thing]) -> dict[str, str]:
    """Return the runs of marks, as far as one of the known runs explains them."""
    wanted = {thing.mark for thing in marked if not thing.run}
    if not wanted:
        return {}
    tags = (
        (things.short_tag(run, f"{verb}:{subject}"), run)
        for run in known
        for verb in MAKERS
        for subject in subjects
    )
    return {tag: run for tag, run in tags if tag in wanted}


def _with_run(thing: Thing, whose: dict[str, str]) -> Thing:
    run = thing.run or whose.get(thing.mark, "")
    return dataclasses.replace(thing, run=run, created=thing.created or _by_day(run))


def _by_day(run: str) -> float | None:
    return things.day_after(run) if run else None
