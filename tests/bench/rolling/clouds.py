"""Clouds that are made up from a seed: three zones, flavor mixes, groups, local-only features."""

from __future__ import annotations

import random
from dataclasses import dataclass

from upgrade_flows.planning.rolling.fleet import (
    AFFINITY,
    ANTI_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Fleet,
    Group,
    Host,
    Instance,
)

ZONES = ("az1", "az2", "az3")
MIXES = {
    "small": ((1, 2048, 10, 30), (2, 4096, 20, 40), (4, 8192, 40, 20), (8, 16384, 80, 10)),
    "mixed": ((2, 4096, 20, 30), (4, 16384, 40, 30), (8, 32768, 80, 25), (16, 65536, 160, 15)),
    "large": ((4, 16384, 40, 20), (8, 32768, 80, 40), (16, 65536, 160, 30), (24, 98304, 240, 10)),
}
SPECIAL_FILL = 0.85  # at most, of hosts with local features: a few have to be able to spare one
GENERATIONS = ((96, 393_216, 1_600), (96, 393_216, 1_600), (128, 524_288, 2_400))


@dataclass(frozen=True)
class Recipe:
    """What a cloud is made of.

    :param fill: the share of the scarcest resource that is used, on average.
    :param pinned: the share of instances that are pinned to their zone.
    :param special: the share of hosts with a local feature, which some instances there need.
    :param grouped: the share of instances that are in server groups.
    """

    hosts: int
    fill: float
    mix: str = "mixed"
    pinned: float = 0.5
    special: float = 0.08
    grouped: float = 0.2
    cells: int = 1
    seed: int = 1


def cloud(recipe: Recipe) -> Fleet:
    """Make a cloud."""
    chance = random.Random(repr(recipe))
    hosts = [_host(recipe, n, chance) for n in range(recipe.hosts)]
    instances: list[Instance] = []
    for host in hosts:
        instances += _fill(recipe, host, len(instances), chance)
    return Fleet(tuple(hosts), tuple(instances), _groups(recipe, instances, chance))


def _host(recipe: Recipe, n: int, chance: random.Random) -> Host:
    vcpus, memory, disk = GENERATIONS[chance.randrange(len(GENERATIONS))]
    az = ZONES[n % len(ZONES)]
    traits: tuple[str, ...] = ("HW_CPU_X86_AVX2",)
    capacity = {"VCPU": vcpus, "MEMORY_MB": memory, "DISK_GB": disk}
    zone = -(-recipe.hosts // len(ZONES))
    if recipe.special and n // len(ZONES) < max(6, round(recipe.special * zone)):
        traits += ("CUSTOM_LOCAL_NVME",)
        capacity["CUSTOM_NVME"] = 8
    return Host(
        name=f"cn{n:05}",
        capacity=capacity,
        out_s=chance.choice((540, 600, 660, 720)),
        az=az,
        cell=f"cell{n * recipe.cells // recipe.hosts + 1}",
        traits=traits,
        failure_domain=f"rack{n // 24:03}",
    )


def _fill(recipe: Recipe, host: Host, first: int, chance: random.Random) -> list[Instance]:
    flavors = MIXES[recipe.mix]
    share = min(0.97, max(0.05, chance.gauss(recipe.fill, 0.08)))
    if "CUSTOM_NVME" in host.capacity:
        share = min(share, SPECIAL_FILL)
    limit = {name: int(amount * share) for name, amount in host.capacity.items()}
    limit["CUSTOM_NVME"] = int(host.capacity.get("CUSTOM_NVME", 0) * SPECIAL_FILL)
    used = dict.fromkeys(limit, 0)
    found: list[Instance] = []
    misses = 0
    while misses < 4:
        vcpus, memory, disk, _ = chance.choices(flavors, [flavor[3] for flavor in flavors])[0]
        demand = _demand(vcpus, memory, disk)
        local = "CUSTOM_NVME" in host.capacity and chance.random() < 0.3
        if local:
            demand = _demand(vcpus, memory, disk, nvme=1)
        if any(used[name] + amount > limit[name] for name, amount in demand.items()):
            misses += 1
            continue
        for name, amount in demand.items():
            used[name] += amount
        seconds = 15 + memory // 1024 + chance.randrange(10)
        found.append(
            Instance(
                id=f"i{first + len(found):06}",
                host=host.name,
                demand=demand,
                move_s=seconds,
                pause_s=0.3,
                az=host.az if chance.random() < recipe.pinned else "",
                required_traits=("CUSTOM_LOCAL_NVME",) if local else (),
            )
        )
    return found


_DEMANDS: dict[tuple[int, ...], dict[str, int]] = {}


def _demand(vcpus: int, memory: int, disk: int, nvme: int = 0) -> dict[str, int]:
    key = (vcpus, memory, disk, nvme)
    if key not in _DEMANDS:
        _DEMANDS[key] = {"VCPU": vcpus, "MEMORY_MB": memory, "DISK_GB": disk}
        if nvme:
            _DEMANDS[key]["CUSTOM_NVME"] = nvme
    return _DEMANDS[key]


def _groups(recipe: Recipe, instances: list[Instance], chance: random.Random) -> tuple[Group, ...]:
    """Put instances into groups whose policies hold as they are."""
    order = list(range(len(instances)))
    chance.shuffle(order)
    wanted = int(len(order) * recipe.grouped)
    groups: list[Group] = []
    at = 0
    while at < wanted:
        size = chance.choice((2, 3, 3, 3, 5, 7))
        taken = order[at : at + size]
        at += size
        hosts: dict[str, str] = {}
        for n in taken:
            hosts.setdefault(instances[n].host, instances[n].id)
        if len(hosts) > 1:
            policy = ANTI_AFFINITY if chance.random() < 0.7 else SOFT_ANTI_AFFINITY
            groups.append(Group(f"g{len(groups):05}", policy, tuple(hosts.values())))
    grouped = {member for group in groups for member in group.members}
    by_host: dict[str, list[str]] = {}
    for one in instances:
        if one.id not in grouped:
            by_host.setdefault(one.host, []).append(one.id)
    for host in sorted(by_host)[:: max(1, len(by_host) // 20)]:
        if len(by_host[host]) > 2:
            groups.append(Group(f"g{len(groups):05}", AFFINITY, tuple(by_host[host][:2])))
    return tuple(groups)
