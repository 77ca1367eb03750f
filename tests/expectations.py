"""What each strategy of ``recreate`` may change of an instance, in memory and on the lab alike.

The fields are those of ``upgrade_flows.model.identity.Identity``, written down here once more on
purpose: what a strategy declares is under test.  ``WORDS`` says how a field shows in what a
cloud's services tell, as patterns of paths.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    },
    "rolled back": {
        "rebind": frozenset(),
        "cold-migrate": frozenset(),
        "shelve": frozenset(),
        # these two delete the original, and rebuild it from its own disk
        "recreate": frozenset({"id", "user_id"}),
        "snapshot": frozenset({"id", "user_id", "image_id"}),
    },
    "committed": {
        "rebind": frozenset({"vif_modes"}),
        "cold-migrate": frozenset({"vif_modes", "host"}),
        "shelve": frozenset({"vif_modes"}),
        "recreate": frozenset({"vif_modes", "id", "user_id"}),
        "snapshot": frozenset({"vif_modes", "id", "user_id", "image_id"}),
    },
}

#: where a rollback ends, by strategy
ROLLED_BACK = {
    "rebind": State.UNDONE,
    "cold-migrate": State.UNDONE,
    "shelve": State.UNDONE,
    "recreate": State.RESIDUE,
    "snapshot": State.RESIDUE,
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
    differences: Mapping[str, Any], strategy: str, moment: str, words: str
) -> dict[str, Any]:
    """Return of the differences, by path, those that the strategy must not make."""
    patterns = [
        pattern for field in MAY_DIFFER[moment][strategy] for pattern in WORDS[words][field]
    ]
    return {
        path: values
        for path, values in differences.items()
        if not any(fnmatchcase(path, pattern) for pattern in patterns)
    }
