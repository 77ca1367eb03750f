"""Why an instance cannot be updated live: one function a rule, and all of them are asked.

A rule returns a reason, or None.  Where the second instance goes is not for a rule to say:
that is ``placing``.
"""

from __future__ import annotations

from collections.abc import Callable

from upgrade_flows.flows.instance_rules import (
    has_a_working_host,
    has_its_flavor,
    has_its_key,
    has_its_networks,
    has_known_ports,
    has_no_task,
    is_nobodys_resource,
    is_not_locked,
    we_are_let_into_its_project,
)
from upgrade_flows.flows.live_update.case import Case, device_classes
from upgrade_flows.model.inventory import Quota, Room, Volume

Rule = Callable[[Case], str | None]

GIB = 1 << 30

#: extra specs of a flavor by which an instance has something that stays at its host
KEPT = {"hw:pmem": "persistent memory", "accel:device_profile": "an accelerator"}


def is_active(case: Case) -> str | None:
    if case.server.status == "ACTIVE":
        return None
    return f"its status is {case.server.status}: only what runs can be updated while it runs"


def has_no_passed_through_ports(case: Case) -> str | None:
    direct = [p.port.id for p in case.ports if p.port.vnic_type != "normal"]
    if not direct:
        return None
    said = f"port {', '.join(direct)} is passed through to the guest (SR-IOV)"
    room = case.ledger.room(case.server.host) or Room()
    kinds = device_classes(room.capacity)
    free = sum(room.capacity[kind] - room.used.get(kind, 0) for kind in kinds)
    if not kinds or free >= len(direct):
        return f"{said}: it cannot be moved to another instance while both run"
    shown = ", ".join(f"{k} {room.used.get(k, 0)} of {room.capacity[k]} used" for k in kinds)
    return f"{said}: there is no room for two on {case.server.host} ({shown})"


def can_have_its_devices_twice(case: Case) -> str | None:
    specs = case.server.flavor.extra_specs
    for spec, what in KEPT.items():
        if spec in specs:
            return f"it has {what} of its host ({spec}={specs[spec]}), which stays there"
    kinds = device_classes(case.ledger.classes)
    if not case.devices or len(kinds) == 1:
        return None  # whether there are two is for Placement to say
    shown = f"Placement shows several kinds ({', '.join(kinds)})" if kinds else "Placement has none"
    return (
        "its flavor passes a PCI device through"
        f" (pci_passthrough:alias={specs['pci_passthrough:alias']}), and whether there is another"
        f" one for the second instance is not known: {shown}"
    )


def has_no_vtpm(case: Case) -> str | None:
    new = case.new.properties if case.new else {}
    properties = {**case.properties, **new}
    if "hw:tpm_version" in case.server.flavor.extra_specs or "hw_tpm_version" in properties:
        return "its virtual TPM would be lost"
    return None


def can_give_its_ports_away(case: Case) -> str | None:
    if not case.ports:
        return "it has no port: nobody could notice the update, nor ask the new instance"
    trunks = [p.port.id for p in case.ports if p.port.trunk_id]
    if trunks:
        return (
            f"port {', '.join(trunks)} is the parent of a trunk: Nova may delete the port when it"
            " is unplugged, and its subports with it"
        )
    return None


def loses_no_disk(case: Case) -> str | None:
    flavor, lost = case.server.flavor, []
    if flavor.ephemeral_gb:
        lost.append(f"its ephemeral disk of {flavor.ephemeral_gb} GiB")
    if flavor.swap_mb:
        lost.append(f"its swap disk of {flavor.swap_mb} MiB")
    if not lost:
        return None
    return f"{' and '.join(lost)} would be lost: no disk of a flavor can be unplugged"


def has_known_volumes(case: Case) -> str | None:
    held = {one.volume_id for one in case.server.volumes}
    unknown = sorted(held - {volume.id for volume in case.inventory.volumes})
    if unknown:
        return f"volume {', '.join(unknown)} is not known to Cinder"
    if case.server.volume_backed and case.root is None:
        return "which of its volumes is the root disk cannot be told"
    busy = [f"{v.id} is {v.status}" for v in _volumes(case) if v.status != "in-use"]
    return f"volume {', '.join(busy)}, and must be in-use" if busy else None


def shares_no_volume(case: Case) -> str | None:
    shared = []
    for volume in case.data:
        others = [one for one in volume.attachments if one.server_id != case.server.id]
        if others:
            shared.append(f"{volume.id} (also at {', '.join(one.server_id for one in others)})")
    if not shared:
        return None
    return f"other instances hold the same volume: {', '.join(shared)}"


def has_no_encrypted_volume(case: Case) -> str | None:
    encrypted = [volume.id for volume in _volumes(case) if volume.encrypted]
    if not encrypted:
        return None
    return (
        f"volume {', '.join(encrypted)} is encrypted: its key is its owner's, and without it it"
        " could be plugged in neither there nor back"
    )


def has_a_root_that_can_be_updated(case: Case) -> str | None:
    if case.options.update and not case.server.volume_backed:
        return "its root disk is no volume: it cannot be cloned and updated"
    return None


def has_a_usable_image(case: Case) -> str | None:
    image, server = case.new, case.server
    if image is None:
        return None
    if image.status != "active":
        return f"image {image.name} is {image.status}"
    if image.visibility == "private" and image.owner not in ("", server.project_id):
        return f"image {image.name} is private, and belongs to another project than the instance"
    if case.mapping is not None and not server.volume_backed:
        return f"image {image.name} boots from a volume, and the instance does not"
    disk = case.root.size_gb if case.root else server.flavor.disk_gb
    if server.volume_backed and case.root is None:
        return None
    needed = max(image.min_disk, -(-(image.size or 0) // GIB))
    if case.mapping is not None:
        needed = max(needed, int(case.mapping.get("volume_size") or 0))
    if needed > disk and (disk or server.volume_backed):
        return f"image {image.name} needs a disk of {needed} GiB, and its root disk has {disk}"
    return None


def fits_its_quota(case: Case) -> str | None:
    quota = case.inventory.quotas.get(case.server.project_id)
    if quota is None:
        return None
    needed = needs(case)
    alone = [
        _over(quota, name, most) for name, most in needed.items() if not quota.room(name, most)
    ]
    project = case.server.project_id
    if alone:
        return f"project {project} has no quota for a second instance: {', '.join(alone)}"
    group = case.group
    most = quota.limits.get("server_group_members", -1)
    if group is not None and 0 <= most <= len(group.members):
        return f"project {project} may have no more than {most} members in a server group"
    charged = case.ledger.charged[project]
    after = {name: amount + charged[name] for name, amount in needed.items()}
    over = [_over(quota, name, most) for name, most in after.items() if not quota.room(name, most)]
    if over:
        return (
            f"project {project} has no quota for it beside the others of this plan:"
            f" {', '.join(over)}"
        )
    return None


def needs(case: Case) -> dict[str, int]:
    """Return what the surrogate takes of its project's quotas, until the original is gone.

    A volume-backed one has a root volume of its own, and the snapshot that is the way back.
    """
    flavor = case.server.flavor
    found = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb, "ports": 1}
    if case.root is not None:
        found |= {"volumes": 1, "snapshots": 1, "gigabytes": 2 * case.root.size_gb}
    return found


#: (finding id, rule, remedy)
RULES: tuple[tuple[str, Rule, str], ...] = (
    ("UF-LU-001", is_active, "start, unpause or resume it first, or leave it out"),
    ("UF-LU-002", has_no_task, "wait until Nova is done with it, and plan again"),
    ("UF-LU-003", is_not_locked, "ask its owner, then: openstack server unlock {server}"),
    ("UF-LU-004", has_a_working_host, "repair the host: openstack compute service list"),
    ("UF-LU-005", has_known_ports, "install the network plugin for it, or leave it out"),
    ("UF-LU-006", has_no_passed_through_ports, "give it a normal port, or leave it out"),
    ("UF-LU-007", can_have_its_devices_twice, "leave it out; its device cannot be carried"),
    ("UF-LU-008", has_no_vtpm, "leave it out; what the TPM holds cannot be carried"),
    ("UF-LU-009", can_give_its_ports_away, "leave it out"),
    ("UF-LU-010", loses_no_disk, "move what is on it to a volume, or resize without that disk"),
    ("UF-LU-011", has_known_volumes, "openstack server volume list {server}"),
    ("UF-LU-012", shares_no_volume, "detach it from the others, or leave this one out"),
    ("UF-LU-013", has_no_encrypted_volume, "leave it out"),
    ("UF-LU-014", is_nobodys_resource, "let its owner replace it, or leave it out"),
    ("UF-LU-015", has_its_flavor, "resize it to a flavor that exists, or leave it out"),
    ("UF-LU-016", has_its_networks, "openstack port list --server {server}"),
    ("UF-LU-017", has_its_key, "let its owner create the key again"),
    ("UF-LU-018", we_are_let_into_its_project, "get a role there, and plan again"),
    ("UF-LU-019", has_a_usable_image, "use another image"),
    ("UF-LU-020", has_a_root_that_can_be_updated, "give an image instead: --image"),
    ("UF-LU-021", fits_its_quota, "raise the quota, or commit others first and plan again"),
)


def _volumes(case: Case) -> tuple[Volume, ...]:
    return (*((case.root,) if case.root else ()), *case.data)


def _over(quota: Quota, name: str, amount: int) -> str:
    used, limit = quota.used.get(name, 0), quota.limits.get(name, -1)
    return f"{name} ({used} of {limit} used, {amount} more are needed)"
