"""By hand: making an image of an instance, and seeing that it boots."""

from __future__ import annotations

import json
import shlex
from typing import Any

from upgrade_flows.model.plan import Action
from upgrade_flows.planning.runbook.step import HandStep


def steps_of(action: Action) -> list[HandStep]:
    """Return what is done by hand for an instance."""
    details = action.details
    server, name = shlex.quote(action.subject), shlex.quote(str(details["name"]))
    stop = details["stop"] and details["status"] == "ACTIVE"
    off, on = f"openstack server stop {server}", f"openstack server start {server}"
    by_nova = details["boot"] == "image"
    held = list(details["volumes"])
    down = HandStep("Stop the server: its downtime begins", (off,), _says(server, "SHUTOFF"), (on,))
    up = HandStep("Start the server", (on,), _says(server, "ACTIVE"), (off,))
    return [
        *([down] if stop else []),
        *(_snapshot(one["volume_id"]) for one in held),
        *([_by_nova(server, name)] if by_nova else []),
        *([_refer(details, name)] if held else []),
        *([up] if stop else []),
        *([_try(details, name)] if details["verify"] else []),
    ]


def _says(server: str, status: str) -> str:
    return f"`openstack server show {server} -c status` says `{status}`."


def _snapshot(volume: str) -> HandStep:
    name = shlex.quote(f"capture-{volume}")
    return HandStep(
        "Snapshot a volume",
        (f"openstack volume snapshot create --force --volume {shlex.quote(volume)} {name}",),
        f"`openstack volume snapshot show {name} -c status -c id` says `available`; note the id.",
        (f"openstack volume snapshot delete {name}",),
    )


def _by_nova(server: str, name: str) -> HandStep:
    return HandStep(
        "Snapshot the root disk",
        (f"openstack server image create --name {name} --wait {server}",),
        f"`openstack image show {name} -c status -c size` says `active` and a size that is not 0.",
        (f"openstack image delete {name}",),
    )


def _refer(details: dict[str, Any], name: str) -> HandStep:
    """Return how an image comes to refer to the snapshots; one of no bytes if all are volumes."""
    mapping = [
        {
            "source_type": "snapshot",
            "destination_type": "volume",
            "snapshot_id": f"SNAPSHOT-OF-{one['volume_id']}",
            "volume_size": one["size_gb"],
            "boot_index": one["boot_index"],
            "device_name": one["device"],
            "delete_on_termination": one["delete_on_termination"],
        }
        for one in details["volumes"]
    ]
    said = {
        **details["properties"],
        "bdm_v2": "True",
        "block_device_mapping": json.dumps(mapping, sort_keys=True),
    }
    options = " ".join(
        f"--property {shlex.quote(f'{key}={value}')}" for key, value in sorted(said.items())
    )
    undo: tuple[str, ...] = ()
    if details["boot"] == "image":
        command = f"openstack image set {options} {name}"
    else:
        formats = "--disk-format raw --container-format bare --file /dev/null"
        command = f"openstack image create {formats} {options} {name}"
        undo = (f"openstack image delete {name}",)
    return HandStep(
        "Let the image refer to the snapshots: put their ids into the command first",
        (command,),
        f"`openstack image show {name} -c status -c properties` says `active`, and the ids.",
        undo,
        no_undo="with the image",
    )


def _try(details: dict[str, Any], name: str) -> HandStep:
    temporary = shlex.quote(f"try-{details['name']}")
    network = shlex.quote(str(details["network"]))
    port = (
        f"openstack port create --network {network} --no-security-group {temporary}"
        if details["network"]
        else ""
    )
    nic = f"--port {temporary}" if port else "--nic none"
    flavor = shlex.quote(str(details["flavor_id"]))
    remove = (
        f"openstack server delete --wait {temporary}",
        *([f"openstack port delete {temporary}"] if port else []),
    )
    return HandStep(
        "Boot the image once, cut off from everything: it is a copy of somebody's instance",
        (
            *([port] if port else []),
            f"openstack server create --flavor {flavor} --image {name} {nic} --wait {temporary}",
            f"openstack server volume list {temporary}",
            *remove,
        ),
        "The status was `ACTIVE`. Volumes that were made for it and outlive it are to be deleted:"
        " `openstack volume delete`.",
        remove,
    )
