"""From facts back to a state: what was done is taken as it was done."""

from __future__ import annotations

from collections.abc import Mapping

from upgrade_flows.planning.rolling.placing import place_one
from upgrade_flows.planning.rolling.result import UPGRADED, Facts, Running, Window
from upgrade_flows.planning.rolling.state import State, Status

HALTED = "halted:"


def restore(state: State, facts: Facts) -> None:
    """Bring a state that has just begun to where the facts say that it is."""
    ground = state.ground
    for move in facts.moves:
        n, target = ground.number_of[move.instance], ground.number[move.target]
        if move.failed:
            state.attempts[n] += 1
        else:
            _transfer(state, n, target)
            state.doubled[n] = state.doubled[n] or move.why != UPGRADED
    state.moves = list(facts.moves)
    state.seeded = sum(state.doubled)
    draining = [host for window in facts.windows if (host := _restore_window(state, window)) >= 0]
    for n, _ in _reserve(state, facts.running):
        state.running[n] = facts.running[ground.instances[n].id].start
        state.flying[state.where[n]] += 1
        state.flying[state.target[n]] += 1
    _reserve(state, facts.meant)
    for host in range(len(ground.hosts)):
        state.refresh(host)
    for host in draining:
        _restore_drain(state, host)


def _transfer(state: State, instance: int, target: int) -> None:
    ground = state.ground
    source, state.where[instance] = state.where[instance], target
    del state.resident[source][instance]
    state.resident[target][instance] = None
    state.used[source] -= ground.need[instance]
    state.used[target] += ground.need[instance]
    state.courtesy.cross(instance, source, target)
    state.loads.cross(instance, source, target)
    group = ground.group_of[instance]
    if group >= 0:
        state.count(group, source, -1)
        state.count(group, target, 1)


def _restore_window(state: State, window: Window) -> int:
    """Return the host if it is being drained, else -1."""
    host = state.ground.number[window.host]
    state.old.remove(host)
    state.begun(host, window)
    if window.failed:
        if window.end is None:
            state.fail(host, window.failed)
        else:
            state.doomed[host] = window.failed
            state.release(host, counts=not window.failed.startswith(HALTED))
        state.windows[host] = window
    elif window.end is not None:
        state.back(host)
        state.windows[host] = window
    elif window.drained is not None:
        state.status[host] = Status.OUT
    else:
        return host
    return -1


def _reserve(state: State, aims: Mapping[str, Running]) -> list[tuple[int, int]]:
    ground = state.ground
    found = [(ground.number_of[name], ground.number[aim.target]) for name, aim in aims.items()]
    for n, target in found:
        state.reserve(n, target)
    return found


def _restore_drain(state: State, host: int) -> None:
    ground = state.ground
    going = [n for n in state.resident[host] if ground.movable[n]]
    for n in going:
        name = ground.instances[n].id
        if state.attempts[n] >= ground.rules.limits.attempts:
            why = f"{name} could not be moved in {state.attempts[n]} attempts"
        elif state.target[n] < 0 and not place_one(state, n, (state.new, state.old)):
            why = f"no host that {name} may go to has room for it"
        else:
            continue
        state.queue(host, (n for n in going if state.target[n] >= 0))
        state.doom(host, why)
        return
    state.queue(host, going)
