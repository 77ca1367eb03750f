"""Why an instance cannot be touched, and why a strategy is not for it: one function a rule.

A rule returns a reason, or None.  ``BLOCKERS`` hold for every strategy; ``STRATEGIES`` lists
the strategies from the least to the most disruptive, each with the rules that exclude it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from upgrade_flows.flows.recreate.case import Case
from upgrade_flows.model.inventory import Room
from upgrade_flows.model.plan import Prediction
from upgrade_flows.plugins.storage.image_backed import lost_disks
from upgrade_flows.plugins.vif import port_case

Rule = Callable[[Case], str | None]

#: statuses in which we know how to change an instance
STATUSES = ("ACTIVE", "SHUTOFF")


def is_in_a_known_status(case: Case) -> str | None:
    if case.server.status in STATUSES:
        return None
    return f"its status is {case.server.status}; it must be {' or '.join(STATUSES)}"


def has_no_passthrough(case: Case) -> str | None:
    direct = [p.port.id for p in case.ports if p.port.vnic_type != "normal"]
    if direct:
        return f"port {', '.join(direct)} is passed through to the guest (SR-IOV)"
    if any(key.startswith("pci_passthrough:") for key in case.server.flavor.extra_specs):
        return "its flavor passes a PCI device through"
    return None


#: (finding id, rule, remedy): what holds for every strategy
BLOCKERS: tuple[tuple[str, Rule, str], ...] = (
    ("UF-RC-001", is_in_a_known_status, "start, resume or stop it first, or leave it out"),
    ("UF-RC-002", has_no_task, "wait until Nova is done with it, and plan again"),
    ("UF-RC-003", is_not_locked, "ask its owner, then: openstack server unlock {server}"),
    ("UF-RC-004", has_a_working_host, "repair the host: openstack compute service list"),
    ("UF-RC-005", has_no_passthrough, "leave it out; its device cannot be carried"),
    ("UF-RC-006", has_known_ports, "install the network plugin for it, or leave it out"),
)


def can_be_bound_in_place(case: Case) -> str | None:
    for port in case.ports:
        if port.plugin is None or not port.differs:
            continue
        plugin = case.plugins.network[port.plugin]
        agent = case.host.agent if case.host else None
        if agent is not None:
            reason = plugin.rebind_refusal(port.port, plugin.wanted_mode(port.port, agent))
            if reason:
                return str(reason)
    return None


def has_an_updated_host_to_go_to(case: Case) -> str | None:
    _, reasons = target_host(case)
    return None if reasons is None else reasons


def target_host(case: Case) -> tuple[str | None, str | None]:
    """Return the host to migrate to, or why there is none.

    A host is fit if it is enabled and up, in the instance's zone, would bind every port as the
    instance's own host would now, has room, and holds no other member of an anti-affinity
    group.  Of several, the one with the most memory left.
    """
    names = case.asked_hosts or tuple(host.name for host in case.inventory.hosts)
    fit, reasons = [], []
    for name in names:
        reason = _unfit(case, name)
        if reason is None:
            fit.append(name)
        elif name != case.server.host:
            reasons.append(f"{name} {reason}")
    if fit:
        return max(fit, key=lambda name: (_memory_left(case, name), name)), None
    if not reasons:
        return None, "there is no other host"
    more = f" (and {len(reasons) - 3} more)" if len(reasons) > 3 else ""
    return None, "no other host fits: " + "; ".join(reasons[:3]) + more


def _unfit(case: Case, name: str) -> str | None:
    host = case.inventory.host(name)
    if name == case.server.host:
        return "is its own host"
    if host is None:
        return "is no compute host"
    if not host.enabled or not host.up:
        return "is disabled" if not host.enabled else "is down"
    if case.host and host.availability_zone != case.host.availability_zone:
        return f"is in zone {host.availability_zone}"
    if host.agent is None or not host.agent.alive:
        return "has no L2 agent that is alive"
    for port in case.ports:
        there = port_case(case.plugins, port.port, host.agent).wanted
        if there != port.wanted:
            return f"would bind port {port.port.id} as {there}"
    if not case.budget.fits(name, case.resources):
        return "has not enough room in Placement"
    if case.group and case.group.policy == "anti-affinity":
        others = {s.id for s in case.inventory.servers_on(name)} & set(case.group.members)
        if others:
            return f"holds another member of its group {case.group.name}"
    if case.group and case.group.policy == "affinity" and len(case.group.members) > 1:
        return f"would part it from its affinity group {case.group.name}"
    return None


def _memory_left(case: Case, name: str) -> int:
    room = case.inventory.rooms[name]
    taken = case.budget.taken[name]["MEMORY_MB"]
    return room.capacity.get("MEMORY_MB", 0) - room.used.get("MEMORY_MB", 0) - taken


def host_takes_instances(case: Case) -> str | None:
    if case.host and case.host.enabled:
        return None
    return (
        f"its host {case.server.host} is disabled, and Nova places nothing on a disabled host,"
        " also not when it is named"
    )


def loses_no_disk(case: Case) -> str | None:
    return lost_disks(case.server)


def has_no_vtpm(case: Case) -> str | None:
    properties = case.image.properties if case.image else {}
    if "hw:tpm_version" in case.server.flavor.extra_specs or "hw_tpm_version" in properties:
        return "its virtual TPM would be lost"
    return None


def is_volume_backed(case: Case) -> str | None:
    return None if case.server.volume_backed else "its root disk is no volume"


def is_image_backed(case: Case) -> str | None:
    return "its root disk is a volume" if case.server.volume_backed else None


def storage_carries_it(case: Case) -> str | None:
    if case.storage is None:
        return "no storage plugin knows its root disk"
    reason = case.plugins.storage[case.storage].refusal(case.server, case.volumes)
    return None if reason is None else str(reason)


def image_still_exists(case: Case) -> str | None:
    if case.server.image_id and case.image is None:
        return f"its image {case.server.image_id} does not exist any more"
    return None


def fits_its_group(case: Case) -> str | None:
    if case.group is None or case.group.policy != "anti-affinity":
        return None
    others = {s.id for s in case.inventory.servers_on(case.server.host)} - {case.server.id}
    if not others & set(case.group.members):
        return None
    return (
        f"another member of its anti-affinity group {case.group.name} is on {case.server.host}"
        " too: Nova would not let it come back there"
    )


def fits_its_host(case: Case) -> str | None:
    overfull = case.inventory.rooms.get(case.server.host, Room()).overfull
    if not overfull:
        return None
    return (
        f"its host {case.server.host} has not enough room in Placement for it to come back:"
        f" more {', '.join(overfull)} is used than there is"
    )


def fits_its_quota(case: Case) -> str | None:
    quota = case.inventory.quotas.get(case.server.project_id)
    if quota is None:
        return None
    over = [name for name in ("instances", "cores", "ram") if not quota.room(name, 0)]
    if not over:
        return None
    return (
        f"project {case.server.project_id} is over its quota ({', '.join(over)}): Nova would not"
        " let it come back"
    )


@dataclass(frozen=True)
class Strategy:
    """One way to bring an instance into its host's mode.

    ``declares`` are the fields of its identity that change by it.
    """

    name: str
    rules: tuple[Rule, ...]
    declares: tuple[str, ...]
    predict: Callable[[Case], Prediction]


def _seconds(down: float, up: float) -> Prediction:
    return Prediction(downtime_s=down, duration_s=down + up)


_REPLACED = (
    host_takes_instances,
    is_nobodys_resource,
    has_no_vtpm,
    storage_carries_it,
    image_still_exists,
    has_its_flavor,
    has_its_networks,
    has_its_key,
    we_are_let_into_its_project,
    fits_its_group,
    fits_its_host,
    fits_its_quota,
)

STRATEGIES: tuple[Strategy, ...] = (
    Strategy(
        "rebind",
        (can_be_bound_in_place,),
        ("vif_modes",),
        lambda case: _seconds(4.0 + 0.5 * len(case.ports), 2.0),
    ),
    Strategy(
        "cold-migrate",
        (has_an_updated_host_to_go_to,),
        ("vif_modes", "host", "status"),
        lambda case: _seconds(
            10.0 + (0 if case.server.volume_backed else 10.0 * case.server.flavor.disk_gb), 5.0
        ),
    ),
    Strategy(
        "shelve",
        (host_takes_instances, loses_no_disk, has_no_vtpm),
        ("vif_modes",),
        lambda case: _seconds(
            12.0 + (0 if case.server.volume_backed else 20.0 * case.server.flavor.disk_gb), 2.0
        ),
    ),
    Strategy(
        "recreate",
        (is_volume_backed, *_REPLACED),
        ("id", "user_id", "vif_modes"),
        lambda case: _seconds(12.0 + len(case.volumes), 3.0),
    ),
    Strategy(
        "snapshot",
        (is_image_backed, *_REPLACED),
        ("id", "user_id", "image_id", "vif_modes"),
        lambda case: _seconds(
            10.0 + case.plugins.storage[case.storage or ""].seconds(case.server, case.volumes), 4.0
        ),
    ),
)  # fmt: skip


def live_migration_refusal(case: Case) -> str:
    """Return why a live migration is no way to change the mode of an instance."""
    agent = case.host.agent if case.host else None
    for port in case.ports:
        if port.plugin is None or not port.differs or agent is None:
            continue
        plugin = case.plugins.network[port.plugin]
        reason = plugin.live_migration_refusal(port.port, plugin.wanted_mode(port.port, agent))
        if reason:
            return f"live migration does not change how a guest is plugged: {reason}"
    return "live migration does not change how a guest is plugged"
