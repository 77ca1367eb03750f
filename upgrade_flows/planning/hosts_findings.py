"""What is to be known of a rolling upgrade before it runs: hosts left over, groups, free room."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator

from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.planning.hosts_fleet import OTHERS
from upgrade_flows.planning.rolling import Ground, Roll
from upgrade_flows.planning.rolling.fleet import ANTI_AFFINITY

_ID = re.compile(r"[0-9a-fA-F-]{8,}|\S+")


def left_over(
    inventory: Inventory,
    ground: Ground,
    roll: Roll,
    planned: Collection[str],
    refused: Collection[str],
) -> tuple[Finding, ...]:
    """Return the hosts that are not upgraded as predicted, and why.

    :param planned: the hosts of which it is to be told.
    :param refused: hosts that are in no case begun.
    """
    over = {host: roll.left[host] for host in sorted(planned) if host in roll.left}
    named = _naming(inventory)
    stuck = Counter(
        ground.instances[ground.number_of[one]].host
        for one in roll.stuck
        if not one.startswith(OTHERS)
    )  # where they were
    found: list[Finding] = []
    for host, why in over.items():
        staying = f"; {stuck[host]} of its instances stay on an old host" if stuck[host] else ""
        if host in refused:
            found.append(
                Finding("UF-HP-001", host, Severity.REFUSED, f"it is left as it is: {named(why)}",
                        _remedy(why))
            )  # fmt: skip
        else:
            message = f"it comes last, and as predicted it will not be upgraded: {named(why)}"
            found.append(
                Finding("UF-HP-002", host, Severity.WARNING, message + staying, _remedy(why))
            )
    return tuple(found)


def narrow(inventory: Inventory, ground: Ground, nothing: bool) -> tuple[Finding, ...]:
    """Return where there is too little room to begin with: in all, to spare, for a group.

    :param nothing: whether none of the hosts can be upgraded as predicted.
    """
    found = _nothing(ground) if nothing else ()
    return (*found, *_spare(ground), *_groups(inventory, ground))


def _naming(inventory: Inventory) -> Callable[[str], str]:
    names = {server.id: server.name for server in inventory.servers}
    names |= {group.id: group.name for group in inventory.groups}
    return lambda said: _ID.sub(lambda match: names.get(match[0]) or match[0], said)


def _remedy(why: str) -> str:
    if "cannot be moved" in why:
        return "remove what is in its way, or plan with --unmovable poweroff"
    return "free room, name further --target hosts, or plan with less --spare"


def _nothing(ground: Ground) -> Iterator[Finding]:
    """Yield why none of the hosts can be emptied, in amounts: the best of them, the worst class."""
    takers = [n for n in range(len(ground.hosts)) if n not in ground.left]
    free = ground.pack({})
    for n in takers:
        used = sum(ground.need[one] for one in ground.on[n])
        if ground.fits(used, ground.capacity[n]):
            free += ground.capacity[n] - used
    lacks: list[tuple[float, str]] = []
    for n, planned in enumerate(ground.planned):
        load = sum(ground.need[one] for one in ground.on[n] if ground.movable[one])
        used = sum(ground.need[one] for one in ground.on[n])
        own = ground.capacity[n] - used if ground.fits(used, ground.capacity[n]) else 0
        short = [
            (ground.amount(load, kind) / max(1, ground.amount(free - own, kind)), kind)
            for kind in ground.shift
        ]
        if planned and short and max(short)[0] > 1:
            kind = max(short)[1]
            have = ground.amount(free - own, kind)
            need = ground.amount(load, kind)
            said = f"{need} {kind} have to leave {ground.hosts[n].name}, and {have} are free"
            lacks.append((max(short)[0], f"{said} on the other hosts of the plan"))
    why = f": {min(lacks)[1]}" if lacks else ""
    yield Finding(
        "UF-HP-005",
        "all hosts",
        Severity.REFUSED,
        f"none of the hosts can be emptied{why}",
        "free room, or name hosts with --target that may take instances",
    )


def _spare(ground: Ground) -> Iterator[Finding]:
    """Yield where less is free already than shall stay free."""
    spare = ground.rules.limits.spare
    if not spare:
        return
    for az in sorted({host.az for n, host in enumerate(ground.hosts) if n not in ground.left}):
        numbers = [n for n, host in enumerate(ground.hosts) if host.az == az]
        numbers = [n for n in numbers if n not in ground.left]
        for kind in ground.shift:
            have = sum(ground.amount(ground.capacity[n], kind) for n in numbers)
            used = sum(
                ground.amount(ground.need[one], kind) for n in numbers for one in ground.on[n]
            )
            if used and have and 1 - used / have < spare:
                yield Finding(
                    "UF-HP-007",
                    f"availability zone {az}" if az else "all hosts",
                    Severity.WARNING,
                    f"{max(0.0, 1 - used / have):.0%} of {kind} is free before anything begins,"
                    f" and {spare:.0%} shall stay free",
                    "plan with less --spare, or name hosts with --target",
                )


def _groups(inventory: Inventory, ground: Ground) -> Iterator[Finding]:
    """Yield the groups whose members have nowhere to go."""
    usable = len(ground.hosts) - len(ground.left)
    names = {group.id: group.name for group in inventory.groups}
    for group in ground.groups:
        homes = Counter(ground.home[ground.number_of[one]] for one in group.members)
        apart = [home for home in homes if home not in ground.left]
        if group.policy == ANTI_AFFINITY and len(apart) >= usable:
            yield Finding(
                "UF-HP-006",
                group.id,
                Severity.WARNING,
                f"the group {names.get(group.id) or group.id} keeps {len(group.members)} instances"
                f" apart, and there are {usable} hosts for them: none of them has anywhere to go",
                "name hosts with --target, or ask the owner to let one of them go",
                {"name": names.get(group.id) or group.id},
            )
