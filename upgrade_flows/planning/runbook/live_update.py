"""By hand: booting the update beside an instance, and moving its workload there."""

from __future__ import annotations

import shlex
from typing import Any

from upgrade_flows.model.plan import Action
from upgrade_flows.planning.runbook.live_facts import NEW, Facts
from upgrade_flows.planning.runbook.live_moves import (
    move_port,
    move_volume,
    port_id_of,
    start_new,
    stop_new,
)
from upgrade_flows.planning.runbook.step import HandStep, plain

LIVE = "openstack --os-compute-api-version 2.56 server migrate --live-migration"


def steps_of(action: Action) -> list[HandStep]:
    """Return what is done by hand for an instance, up to the end of its original."""
    facts = Facts(action)
    return [
        _record(facts),
        _lock(facts),
        _keep(facts),
        *_make_room(facts),
        *_boot_disk(facts),
        _health_port(facts),
        _boot(facts),
        _ready(facts),
        *stop_new(facts),
        *_quiet(facts),
        *(move_volume(facts, volume) for volume in facts.volumes),
        *(move_port(facts, port) for port in facts.ports),
        *start_new(facts),
        _resume(facts),
        *_freeze(facts),
        _drop_health_port(facts),
        _verify(facts),
        _commit(facts),
        _end_of_grace(facts),
    ]


def _record(facts: Facts) -> HandStep:
    shows = (
        f"openstack port show {port_id_of(port)} -f json > port-{port_id_of(port)}.json"
        for port in facts.ports
    )
    return HandStep(
        "Record the identity of the server: Nova may delete a port when it is unplugged, and these"
        " files are all that makes it again",
        (
            f"openstack server show {facts.server} -f json > server.json",
            f"openstack server volume list {facts.server} --long -f json > volumes.json",
            f"openstack floating ip list -f json > floating-{facts.server}.json",
            *shows,
        ),
        "The files are there and name the metadata, the tags, the user data, every volume with its"
        " device, and every port with its MAC, addresses, security groups and floating IP.",
    )


def _lock(facts: Facts) -> HandStep:
    lock = "openstack --os-compute-api-version 2.73 server lock --reason 'live update'"
    return HandStep(
        "Lock the server against its owner",
        (f"{lock} {facts.server}",),
        f"`openstack server show {facts.server} -c locked` says `True`.",
        (f"openstack server unlock {facts.server}",),
    )


def _keep(facts: Facts) -> HandStep:
    kept = facts.way_back
    if facts.root:
        root = shlex.quote(str(facts.root["volume_id"]))
        return HandStep(
            "Snapshot the root volume: the way back that outlives the change",
            (f"openstack volume snapshot create --force --volume {root} {kept}",),
            f"`openstack volume snapshot show {kept} -c status` says `available`.",
            (f"openstack volume snapshot delete {kept}",),
        )
    return HandStep(
        "Snapshot the root disk: the way back that outlives the change",
        (f"openstack server image create --name {kept} --wait {facts.server}",),
        f"`openstack image show {kept} -c status -c size` says `active` and a size that is not 0.",
        (f"openstack image delete {kept}",),
    )


def _make_room(facts: Facts) -> list[HandStep]:
    return [
        HandStep(
            f"Make room on {plain(str(move['source']))}: migrate"
            f" {plain(str(move.get('name') or move['server']))} away, live",
            (_migrate(move["server"], move["target"]),),
            f"`openstack server show {shlex.quote(str(move['server']))} -c OS-EXT-SRV-ATTR:host`"
            f" says {plain(str(move['target']))}, and the status is the one of before.",
            (_migrate(move["server"], move["source"]),),
        )
        for move in facts.moves
    ]


def _migrate(server: Any, host: Any) -> str:
    return f"{LIVE} --host {shlex.quote(str(host))} --wait {shlex.quote(str(server))}"


def _boot_disk(facts: Facts) -> list[HandStep]:
    """Return how the surrogate's root volume is made, where it gets one."""
    if not facts.root:
        return []
    disk, kind = facts.boot_disk, facts.root.get("volume_type")
    source = f"--image {facts.image}" if facts.image else f"--snapshot {facts.way_back}"
    if facts.root.get("snapshot"):  # an image of no bytes refers to it
        source = f"--snapshot {shlex.quote(str(facts.root['snapshot']))}"
    options = f"{source} --size {int(facts.root['size_gb'])}"
    options += f" --type {shlex.quote(str(kind))}" if kind else ""
    make = HandStep(
        "Make the new root volume",
        (f"openstack --os-project-id {facts.project} volume create {options} {disk}",),
        f"`openstack volume show {disk} -c status -c bootable` says `available` and `true`.",
        (f"openstack volume delete {disk}",),
    )
    if not facts.update:
        return [make]
    update = HandStep(
        f"Plug it into the original and update it there, as the plugin {facts.plugin} would:"
        " nothing runs from it yet",
        (
            f"openstack server add volume {facts.server} {disk}",
            facts.told("original", "mount it, and install the update into it"),
            f"openstack server remove volume {facts.server} {disk}",
        ),
        f"The new kernel is in it, and `openstack volume show {disk} -c status` says `available`.",
        (f"openstack server remove volume {facts.server} {disk}",),
    )
    return [make, update]


def _health_port(facts: Facts) -> HandStep:
    return HandStep(
        "Make the port by which the new instance is asked before it has the original's",
        (
            f"openstack port create --project {facts.project} --network {facts.network}"
            f" {facts.health}",
        ),
        f"`openstack port show {facts.health} -c fixed_ips` says its address.",
        (f"openstack port delete {facts.health}",),
    )


def _boot(facts: Facts) -> HandStep:
    disk = f"--volume {facts.boot_disk}" if facts.root else f"--image {facts.image or '$IMAGE'}"
    more = f" --hint group={shlex.quote(facts.group)}" if facts.group else ""
    more += f" --key-name {shlex.quote(facts.key)}" if facts.key else ""
    return HandStep(
        "Boot the new instance beside the original",
        (
            f"openstack --os-compute-api-version 2.90 --os-project-id {facts.project}"
            f" server create --flavor {facts.flavor} {disk} --port {facts.health}{more}"
            f" --host {facts.host} --wait {facts.surrogate}",
        ),
        "The status is `ACTIVE`. Add `--property`, `--tag`, `--user-data`, `--hostname`,"
        " `--description` and `--use-config-drive` as server.json has them; note the new id as"
        " `$NEW`.",
        (f"openstack server delete --wait {NEW}",),
    )


def _ready(facts: Facts) -> HandStep:
    wanted = facts.probes("ready") or "it has booted: its console shows the login"
    return HandStep(
        "See that the new instance is fit to take over",
        (
            f"openstack server show {NEW} -c status -c addresses",
            f"openstack console log show {NEW}",
        ),
        f"At its own address: {wanted}.",
    )


def _quiet(facts: Facts) -> list[HandStep]:
    if not facts.cold:
        return [
            HandStep(
                f"End the service as the plugin {facts.plugin} would, flush, and unmount the data"
                " volumes: the blackout begins",
                (facts.told("original", "end the service, and unmount the data volumes"),),
                "Nothing of the workload runs in the original, and no data volume is mounted.",
                ("# in the original: mount the data volumes, and start the service",),
            )
        ]
    return [
        HandStep(
            "Stop the original: the blackout begins",
            (f"openstack server stop {facts.server}",),
            f"`openstack server show {facts.server} -c status` says `SHUTOFF`.",
            (f"openstack server start {facts.server}",),
        )
    ]


def _resume(facts: Facts) -> HandStep:
    wanted = facts.probes("probes") or "it serves at its addresses"
    return HandStep(
        f"Bring the workload up in the new instance as the plugin {facts.plugin} would: the"
        " blackout ends",
        (facts.told("new instance", "start the service, if it has not started by itself"),),
        f"At the original's addresses: {wanted}.",
        ("# in the new instance: end the service, and unmount the data volumes",),
    )


def _freeze(facts: Facts) -> list[HandStep]:
    if facts.cold:
        return []
    return [
        HandStep(
            "Freeze the original: it keeps its memory, and does nothing",
            (f"openstack server pause {facts.server}",),
            f"`openstack server show {facts.server} -c status` says `PAUSED`.",
            (f"openstack server unpause {facts.server}",),
        )
    ]


def _drop_health_port(facts: Facts) -> HandStep:
    return HandStep(
        "Take the new instance's own port off it",
        (f"openstack server remove port {NEW} {facts.health}",),
        f"`openstack port list --server {NEW}` shows the original's ports only.",
        (f"openstack server add port {NEW} {facts.health}",),
    )


def _verify(facts: Facts) -> HandStep:
    return HandStep(
        "Compare the new instance with what was recorded",
        (
            f"openstack server show {NEW} -f json",
            f"openstack server volume list {NEW} --long -f json",
            f"openstack port list --server {NEW} --long -f json",
        ),
        "But for ids, host, image and name all is as in the files. Until here everything can be"
        " taken back: undo the steps, the last one first.",
    )


def _commit(facts: Facts) -> HandStep:
    keep = "openstack --os-compute-api-version 2.85 server volume update --preserve-on-termination"
    root = shlex.quote(str(facts.root.get("volume_id")))
    left = f"its root volume {root}" if facts.root else facts.way_back
    return HandStep(
        "Delete the original, and give the new instance its name",
        (
            *([f"{keep} {facts.server} {root}"] if facts.root else []),
            f"openstack server delete --wait {facts.server}",
            f"openstack server set --name {facts.name} {NEW}",
            f"openstack port delete {facts.health}",
        ),
        "Every data volume is still attached to the new instance, and every port is `ACTIVE`.",
        no_undo=f"cannot be undone: of the original there is {left} alone",
    )


def _end_of_grace(facts: Facts) -> HandStep:
    if facts.root:
        root = shlex.quote(str(facts.root["volume_id"]))
        commands = [f"openstack volume snapshot delete {facts.way_back}"]
        if facts.root.get("delete_on_termination"):  # else it is its owner's
            commands.append(f"openstack volume delete {root}")
    else:
        commands = [f"openstack image delete {facts.way_back}"]
    return HandStep(
        f"Delete the old disk, {facts.grace_s / 3600:.0f} hours later",
        tuple(commands),
        "It is gone.",
        no_undo="cannot be undone",
    )
