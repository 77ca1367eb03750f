"""Finding a target for every instance of a host before its drain begins.

A host that is empty takes another one's instances as they are: nothing that held on the one can
break on the other.  Where that cannot be, instances are placed one by one, the largest first.
So they are by a placement policy, which says where each of them is wanted most.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from upgrade_flows.planning.rolling.fleet import (
    AFFINITY,
    ANTI_AFFINITY,
    SOFT_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Cost,
)
from upgrade_flows.planning.rolling.state import State, Status
from upgrade_flows.planning.rolling.targets import Pool


def needed(state: State, host: int) -> tuple[int, int]:
    """Return what must leave a host, packed, and the kinds that any of it may go to."""
    ground = state.ground
    need = mask = 0
    for n in state.resident[host]:
        if ground.movable[n]:
            need += ground.need[n]
            mask |= ground.masks[ground.class_of[n]]
    return need, mask


def place(state: State, host: int, pools: Iterable[Pool], polite: bool = True) -> bool:
    """Reserve room for all that must leave a host, or for nothing.

    Where not all find room when each goes to where its placement policy wants it, they are
    placed as if there were no policy: it is no reason to leave a host as it is.

    :param pools: where to look, in this order.
    :param polite: leave room where others are confined to.
    """
    going = [n for n in state.resident[host] if state.ground.movable[n]]
    if not going:
        return True
    pools = tuple(pools)
    cost = state.ground.cost_of(host)
    if cost is not None and _place_each(state, host, going, pools, polite, cost):
        return True
    if pools[0] is state.new and _place_whole(state, host, going):
        return True
    return _place_each(state, host, going, pools, polite, None)


def _place_each(
    state: State,
    host: int,
    going: list[int],
    pools: tuple[Pool, ...],
    polite: bool,
    cost: Cost | None,
) -> bool:
    """Reserve room for all, one bundle after the other, or for nothing."""
    placed: list[int] = []
    own: dict[int, None] = {}
    for bundle in bundles(state, going):
        target = _target(state, host, bundle, pools, own, polite, cost)
        if target < 0:
            for n in placed:
                state.refresh(state.unreserve(n))
            return False
        own[target] = None
        for n in bundle:
            state.reserve(n, target)
            placed.append(n)
        state.refresh(target)
    return True


def place_one(state: State, instance: int, pools: Iterable[Pool], avoid: int = -1) -> bool:
    """Reserve room for one instance on a host other than ``avoid``."""
    host = state.where[instance]
    ground = state.ground
    group = ground.group_of[instance]
    if group >= 0 and ground.together[group] and len(ground.groups[group].members) > 1:
        return False
    kinds = ground.preferred(ground.masks[ground.class_of[instance]], ground.kind[host])
    need, cost = ground.need[instance], ground.cost_of(host)

    def allowed(to: int) -> bool:
        return to != avoid and fine(state, [instance], host, to, soft=False)

    for pool in pools:
        target = -1
        if cost is not None:
            target = pool.cheapest(kinds, need, allowed, state.loads.asking(cost, need))
        if target < 0:
            target = pool.find(kinds, need, allowed, roomiest=True)
        if target >= 0:
            state.reserve(instance, target)
            state.refresh(target)
            return True
    return False


def replace_one(state: State, instance: int) -> None:
    """Reserve another target for an instance; where there is none it keeps the one it has.

    One that was on its way to an upgraded host is not sent to another kind instead.
    """
    tried = state.unreserve(instance)
    state.refresh(tried)
    pools = (state.new,) if state.status[tried] is Status.UPGRADED else (state.new, state.old)
    if not place_one(state, instance, pools, tried):
        state.reserve(instance, tried)
        state.refresh(tried)


def obstacle(state: State, host: int) -> str:
    """Say which instance of a host finds no room, were it alone to be moved."""
    ground = state.ground
    for bundle in bundles(state, [n for n in state.resident[host] if ground.movable[n]]):
        if _target(state, host, bundle, (state.new, state.old), {}, False, None) < 0:
            one = ground.instances[bundle[0]]
            wanted = ", ".join(f"{amount} {name}" for name, amount in sorted(one.demand.items()))
            return f"no host that {one.id} may go to has room for it ({wanted})"
    return "no room for all of its instances together"


def _place_whole(state: State, host: int, going: list[int]) -> bool:
    """Reserve room for all on one upgraded host that nothing else is on its way to."""
    ground = state.ground
    need, mask = 0, -1
    grouped: list[int] = []
    for n in going:
        need += ground.need[n]
        mask &= ground.masks[ground.class_of[n]]
        if ground.group_of[n] >= 0:
            grouped.append(n)
    apart = [g for n in grouped if ground.policy[g := ground.group_of[n]] == ANTI_AFFINITY]
    if not mask or len(set(apart)) < len(apart):
        return False
    kind = ground.kind[host]
    kinds = tuple(
        to
        for to in ground.preferred(mask, kind)
        if to == kind or state.courtesy.welcome(mask, need, kind, to)
    )

    def allowed(to: int) -> bool:
        if state.inbound[to]:
            return False
        return not grouped or fine(state, grouped, host, to, soft=True)

    target = state.new.find(kinds, need, allowed)
    if target < 0:
        return False
    for n in going:
        state.reserve(n, target)
    state.refresh(target)
    return True


def bundles(state: State, going: list[int]) -> list[list[int]]:
    """Return the instances in the order in which they are placed; bundles stay together."""
    ground = state.ground
    bundles: list[list[int]] = []
    of_group: dict[int, list[int]] = {}
    for n in going:
        group = ground.group_of[n]
        if group < 0 or ground.policy[group] != AFFINITY:
            bundles.append([n])
        elif group in of_group:
            of_group[group].append(n)
        else:
            of_group[group] = [n]
            bundles.append(of_group[group])
    bundles.sort(key=lambda bundle: (-sum(ground.need[n] for n in bundle), bundle[0]))
    return bundles


def _target(
    state: State,
    host: int,
    bundle: list[int],
    pools: Iterable[Pool],
    own: dict[int, None],
    polite: bool,
    cost: Cost | None,
) -> int:
    ground = state.ground
    need, mask = 0, -1
    for n in bundle:
        need += ground.need[n]
        mask &= ground.masks[ground.class_of[n]]
    if not mask:
        return -1
    kind = ground.kind[host]
    kinds = ground.preferred(mask, kind)
    if polite:
        kinds = tuple(
            to for to in kinds if to == kind or state.courtesy.welcome(mask, need, kind, to)
        )
    asking = None if cost is None else state.loads.asking(cost, need)
    for pool in pools:
        fresh = pool is state.new
        for to in _liked(state, bundle, {} if asking else own):
            if to in pool and ground.kind[to] in kinds:
                free = ground.fits(state.used[to] + need, ground.capacity[to])
                if free and fine(state, bundle, host, to, soft=True):
                    return to
        for soft in (True, False):
            if asking is not None:
                allowed = partial(fine, state, bundle, host, soft=soft)
                target = pool.cheapest(kinds, need, allowed, asking)
                if target >= 0:
                    return target
            allowed = partial(_allowed, state, bundle, host, soft, fresh)
            target = pool.find(kinds, need, allowed, roomiest=not fresh)
            if target >= 0:
                return target
    return -1


def _allowed(state: State, bundle: list[int], host: int, soft: bool, quiet: bool, to: int) -> bool:
    if quiet and soft and state.inbound[to]:
        return False
    return fine(state, bundle, host, to, soft)


def _liked(state: State, bundle: list[int], own: dict[int, None]) -> Iterable[int]:
    """Return where to look first: at the rest of a soft group, then where others already go."""
    group = state.ground.group_of[bundle[0]]
    if group >= 0 and state.ground.policy[group] == SOFT_AFFINITY:
        return [*state.members[group], *own]
    return own


def fine(state: State, bundle: list[int], host: int, to: int, soft: bool) -> bool:
    """Whether the policies of their groups let instances of ``host`` move to another one."""
    ground = state.ground
    if to == host:
        return False
    for n in bundle:
        group = ground.group_of[n]
        if group < 0:
            continue
        policy = ground.policy[group]
        apart = policy == ANTI_AFFINITY or (soft and policy == SOFT_ANTI_AFFINITY)
        if apart and to in state.members[group]:
            return False
        together = policy == AFFINITY and ground.together[group]
        if together and any(other not in (host, to) for other in state.members[group]):
            return False
    return True
