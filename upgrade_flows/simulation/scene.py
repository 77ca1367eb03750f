"""A cloud in memory that is like the one of a plan, as far as the plan tells, and its plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from upgrade_flows.cloud.fake import FakeCloud, hosts
from upgrade_flows.cloud.fake.shared_clock import SharedClock
from upgrade_flows.errors import RequestError
from upgrade_flows.flows.host_upgrade.options import CHOICE, Options
from upgrade_flows.flows.host_upgrade.rules import How
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.planning.hosts_fleet import OTHERS
from upgrade_flows.planning.rolling import Ground, Host, Instance

RELEASE = "new"
PLUGIN = "simulated"

#: the part of a host's time out of service that is its reboot, and the longest one, in seconds
REBOOT_SHARE, REBOOT_S = 0.5, 300.0

#: what of it passes until nova-compute is heard of again: it reports every ten seconds
HEARD_S = 10.0

#: what the fake cloud adds to the copying of memory: scheduling and preparing
AROUND_COPY_S = 1.5
CONFIRM_S = 1.0
_SIZES = {"VCPU": "vcpus", "MEMORY_MB": "memory_mb", "DISK_GB": "disk_gb"}


def refuse_others(plan: Plan) -> None:
    """Refuse what is no plan of a rolling upgrade, or was edited.

    :raises RequestError: says which of the two.
    """
    if not plan.schedule:
        raise RequestError(
            f"plan {plan.id} has no schedule: only rolling upgrades of hosts can be simulated"
            " ('upgrade-flows plan hosts')"
        )
    plan.check_for(plan.cloud_id)


def plan_for(cloud: FakeCloud, plan: Plan) -> Plan:
    """Return the plan as it is carried out on the cloud in memory.

    The hosts are upgraded by the simulated plugin, and no canary instance is booted.
    """
    waves = tuple(
        dataclasses.replace(wave, actions=tuple(_simulated(action) for action in wave.actions))
        for wave in plan.waves
    )
    return dataclasses.replace(plan, cloud_id=cloud.id, waves=waves).sealed()


def reboots(plan: Plan) -> bool:
    """Whether a plan's hosts may be rebooted."""
    return Options.read(plan.request.target.options).reboot != "never"


def build(plan: Plan, ground: Ground, slower: float = 1.0) -> FakeCloud:
    """Return the cloud of a plan: its hosts, instances and server groups by their own ids.

    Instances take what they are planned to take, and all operations as long as is predicted.
    What the fleet does not know of, such as networks, there is none of.  Traits, aggregates
    and cells are the planner's alone.

    :param ground: that of the plan's schedule.
    :param slower: how many times longer migrations, upgrades and reboots take.
    """
    cloud = FakeCloud(())
    cloud.world.clock = SharedClock()
    cloud.world.id = "simulation"
    cloud.world.max_concurrent_live_migrations = 0  # the plan's own limit is the one that holds
    actions = {action.subject: action for action in plan.actions}
    for host in ground.fleet.hosts:
        _add_host(cloud, host, actions.get(host.name))
        _set_times(cloud, host, reboots(plan), slower)
    group_of = {member: group.id for group in ground.fleet.groups for member in group.members}
    for group in ground.fleet.groups:
        cloud.add_group(group.policy, group.id, group_id=group.id)
    flavors: dict[tuple[tuple[str, int], ...], str] = {}
    for one, details in _instances(ground, actions):
        if one.id.startswith(OTHERS):
            for kind, amount in one.demand.items():
                used = cloud.world.hosts[one.host].used
                used[kind] = used.get(kind, 0) + amount
            continue
        key = tuple(sorted(one.demand.items()))
        if key not in flavors:
            flavors[key] = _add_flavor(cloud, one.demand)
        _add_instance(cloud, one, details, flavors[key], group_of.get(one.id))
        _set_duration(cloud, one, slower)
    return cloud


def _simulated(action: Action) -> Action:
    options = {key: v for key, v in action.details["options"].items() if key != "canary_instance"}
    details = {
        **action.details, "plugin": PLUGIN, "settings": {"release": RELEASE}, "options": options,
    }  # fmt: skip
    return dataclasses.replace(action, details=details)


def _add_host(cloud: FakeCloud, host: Host, action: Action | None) -> None:
    cloud.add_host(host.name, zone=host.az or "nova")
    record = cloud.world.hosts[host.name]
    record.capacity = dict(host.capacity)
    record.traits = host.traits
    if action is not None:
        service = action.details["service"]
        cloud.change_host(
            host.name, enabled=bool(service["enabled"]), disabled_reason=service["reason"]
        )
    elif host.excluded:
        cloud.change_host(host.name, enabled=False, disabled_reason=host.excluded)
    if host.upgraded:
        record.installed = record.runs = RELEASE


def _set_times(cloud: FakeCloud, host: Host, rebooted: bool, slower: float) -> None:
    """Share a host's time out of service among its upgrade, its reboot and its verification."""
    reboot_s = min(host.out_s * REBOOT_SHARE, REBOOT_S) if rebooted else 0.0
    install_s = max(0.0, host.out_s - reboot_s - (HEARD_S if rebooted else 0.0))
    cloud.durations[f"{hosts.REBOOT}:{host.name}"] = reboot_s * slower
    cloud.durations[f"host.install:{host.name}"] = install_s * slower


def _instances(
    ground: Ground, actions: dict[str, Action]
) -> Iterator[tuple[Instance, dict[str, Any]]]:
    """Yield all instances, and what the plan's details say of each; some are there only."""
    said = {
        key: (action.subject, one)
        for action in actions.values()
        for key, one in action.details["instances"].items()
    }
    for one in ground.instances:
        yield one, said.pop(one.id, ("", {}))[1]
    for key, (host, details) in sorted(said.items()):
        yield Instance(key, host, {}, max(1, int(details.get("move_s", 1)))), details


def _add_flavor(cloud: FakeCloud, demand: dict[str, int]) -> str:
    sizes = {_SIZES[kind]: amount for kind, amount in demand.items() if kind in _SIZES}
    others = {
        f"resources:{kind}": str(amount) for kind, amount in demand.items() if kind not in _SIZES
    }
    given = {"vcpus": 0, "memory_mb": 0, "disk_gb": 0, **sizes}
    name = f"size-{len(cloud.world.flavors) + 1}"
    return cloud.add_flavor(name, **given, extra_specs=others)


def _add_instance(
    cloud: FakeCloud, one: Instance, details: dict[str, Any], flavor: str, group: str | None
) -> None:
    """Add an instance in a state in which the same becomes of it as is planned."""
    how = details.get("how", str(How.LIVE) if one.movable else str(How.STAY))
    paused = not details.get("pause_s", 1.0)
    status = {How.STAY: "ERROR", How.OFFLOAD: "SHELVED"}.get(how, "ACTIVE")
    if paused and status == "ACTIVE" and how in (How.LIVE, How.COLD):
        status = "PAUSED" if how == How.LIVE else "SHUTOFF"
    choice = how if how in (How.COLD, How.POWEROFF) else How.LIVE
    cloud.add_server(
        str(details.get("name") or one.id),
        one.host,
        id=one.id,
        nics=0,
        flavor=flavor,
        group=group,
        metadata={CHOICE: str(choice)},
        pinned_availability_zone=one.az or None,
        status=status,
    )


def _set_duration(cloud: FakeCloud, one: Instance, slower: float) -> None:
    """Let a migration take as long as is predicted: the guest writes as much as that needs."""
    world, seconds = cloud.world, one.move_s * slower
    cloud.durations[f"compute.migrate:{one.id}"] = max(seconds - CONFIRM_S, 0.0)
    memory = world.instance(one.id).server.flavor.memory_mb << 20
    copying = max(seconds - AROUND_COPY_S, 0.1)
    world.instance(one.id).dirty_rate = world.migration_bandwidth - round(memory / copying)
