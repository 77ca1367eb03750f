"""What each way to upgrade an instance may change of it, in memory and on the lab alike.

The fields are those of ``upgrade_flows.model.identity.Identity``, written down here once more on
purpose: what a strategy declares is under test.  ``WORDS`` says how a field shows in what a
cloud's services tell, as patterns of paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from upgrade_flows.model.report import State

#: the fields that may differ from the original, by strategy and moment
MAY_DIFFER: dict[str, dict[str, frozenset[str]]] = {
    "changed": {
        "rebind": frozenset({"vif_modes"}),
        "cold-migrate": frozenset({"vif_modes", "host", "status"}),
        "shelve": frozenset({"vif_modes"}),
        "recreate": frozenset({"vif_modes", "id", "user_id"}),
        "snapshot": frozenset({"vif_modes", "id", "user_id", "image_id"}),
        "live-update": frozenset({"id", "user_id", "image_id", "name", "tags", "flags"}),
    },
    "rolled back": {
        "rebind": frozenset(),
        "cold-migrate": frozenset(),
        "shelve": frozenset(),
        # these two delete the original, and rebuild it from its own disk
        "recreate": frozenset({"id", "user_id"}),
        "snapshot": frozenset({"id", "user_id", "image_id"}),
        "live-update": frozenset(),
    },
    "committed": {
        "rebind": frozenset({"vif_modes"}),
        "cold-migrate": frozenset({"vif_modes", "host"}),
        "shelve": frozenset({"vif_modes"}),
        "recreate": frozenset({"vif_modes", "id", "user_id"}),
        "snapshot": frozenset({"vif_modes", "id", "user_id", "image_id"}),
        "live-update": frozenset({"id", "user_id", "image_id"}),
    },
}

#: where a rollback ends, by strategy
ROLLED_BACK = {
    "rebind": State.UNDONE,
    "cold-migrate": State.UNDONE,
    "shelve": State.UNDONE,
    "recreate": State.RESIDUE,
    "snapshot": State.RESIDUE,
    "live-update": State.UNDONE,
}

#: how a field shows, by who tells: OpenStack's own APIs, or ``FakeCloud.state``
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "openstack": {
        "vif_modes": ("ports.*.binding:vif_type", "ports.*.binding:vif_details*"),
        "host": (
            "server.OS-EXT-SRV-ATTR:host",
            "server.OS-EXT-SRV-ATTR:hypervisor_hostname",
            "server.hostId",
            "ports.*.binding:host_id",
        ),
        "status": ("server.status", "server.OS-EXT-STS:vm_state", "server.progress"),
        "id": (
            "server.id",
            "server.created",
            "server.OS-EXT-SRV-ATTR:instance_name",
            "server.OS-EXT-SRV-ATTR:reservation_id",
            "ports.*.device_id",
            "volumes.*.serverId",
            "volumes.*.id",
        ),
        "user_id": ("server.user_id",),
        "image_id": ("server.image*",),
        "name": ("server.name",),
        "tags": ("server.tags",),
        "flags": (
            "volumes.*.delete_on_termination",
            "server.os-extended-volumes:volumes_attached",
        ),
    },
    "fake": {
        "vif_modes": ("ports.*.vif_type", "ports.*.vif_details*"),
        "host": (
            "server.host",
            "server.hypervisor_hostname",
            "server.allocations*",
            "ports.*.binding_host",
        ),
        "status": ("server.status", "server.vm_state", "server.power_state"),
        "id": ("server.id", "ports.*.device_id", "volumes.*.attachments"),
        "user_id": ("server.user_id",),
        "image_id": ("server.image*",),
    },
}


def unexpected(
    differences: Mapping[str, Any],
    strategy: str,
    moment: str,
    words: str,
    also: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return of the differences, by path, those that the strategy must not make.

    :param also: further fields that may differ in this case.
    """
    fields = MAY_DIFFER[moment][strategy] | also
    if "user_id" in fields:
        differences = {
            path: values
            for path, values in differences.items()
            if path != "server.tags" or not owner_alone(*values)
        }
    patterns = [pattern for field in fields for pattern in WORDS[words][field]]
    return {
        path: values
        for path, values in differences.items()
        if not any(fnmatchcase(path, pattern) for pattern in patterns)
    }


#: begins the tag that names the owner of an instance that we have created
OWNER = "upgrade-flows-owner="


def marked(tags: Iterable[str]) -> list[str]:
    """Return the tags of ours that say that something is not finished."""
    return [tag for tag in tags if "upgrade-flows" in tag and not tag.startswith(OWNER)]


def owner_alone(before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether nothing has come to the tags but one that says whose it is."""
    came = sorted(set(after) - set(before))
    return set(before) <= set(after) and bool(came) and all(tag.startswith(OWNER) for tag in came)
