"""Planning: the decider is played through with the durations that are predicted.

A run asks the same decider and tells it what really happens; when that is not what was
predicted, the rest is predicted anew from the facts.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Protocol

from upgrade_flows.planning.rolling.fleet import MOVES, Costs, Fleet, Rules
from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.result import Facts, Roll
from upgrade_flows.planning.rolling.roll import Orders
from upgrade_flows.planning.rolling.run import Run
from upgrade_flows.planning.rolling.state import State, Status

MOVE, BACK, WAKE = range(3)

VARIANTS = 16
FOR_TIME = 400  # hosts, in all variants together, that are planned to find a shorter one
FOR_GAP = 2_000  # the same, where the gap to the bound is a wide one
WIDE = 0.1
FOR_ROOM = 20_000  # the same, where hosts are left over


class Reality(Protocol):
    """What migrations and upgrades come to: seconds, and whether they succeed."""

    def move(self, instance: str, attempt: int) -> tuple[int, bool]:
        """Return how long a migration takes, and whether it succeeds."""

    def upgrade(self, host: str) -> tuple[int, bool]:
        """Return how long a host's upgrade takes, and whether it succeeds."""


def plan(
    fleet: Fleet,
    rules: Rules,
    facts: Facts | None = None,
    now: int = 0,
    reality: Reality | None = None,
    variant: int | None = None,
    cost: Costs | None = None,
) -> Roll:
    """Work out a rolling upgrade from the facts, or from its beginning.

    What the facts say was done is in the result as it was done.  Small clouds are planned in
    several variants, of which the best is taken; so are those where hosts are left over.

    :param reality: what will happen instead of what is predicted.
    :param variant: this one only; that of the plan that is being carried out.
    :param cost: the placement policies, by which a target is chosen among the hosts with room.
    :raises RequestError: fleet or rules contradict themselves.
    """
    fleet.check()
    rules.check()
    best: Roll | None = None
    for number in itertools.count() if variant is None else (variant,):
        run = Run(Ground(fleet, rules, number, cost), facts, now)
        play(run, reality)
        roll = run.roll()
        if best is None or _price(roll, rules) < _price(best, rules):
            best = roll
        over = len(best.left) > len(run.ground.left)
        budget = FOR_ROOM if over else FOR_GAP if best.gap > WIDE else FOR_TIME
        most = budget // max(1, len(run.ground.hosts))
        optimal = best.gap <= 0 and not over
        if reality is not None or number >= min(most, VARIANTS) - 1 or optimal:
            break
    assert best is not None
    return best


def _price(roll: Roll, rules: Rules) -> tuple[int, ...]:
    """Return what makes one roll better than another: hosts left over first."""
    moves = len(roll.moves)
    by = (moves, roll.makespan) if rules.prefer == MOVES else (roll.makespan, moves)
    return len(roll.left), *by


def play(run: Run, reality: Reality | None = None, until: float = math.inf) -> None:
    """Let a run come to its end, as predicted or as reality wants it, or to a moment."""
    state, decider = run.state, run.decider
    ground = state.ground
    heap: list[tuple[int, int, int, bool]] = []
    for n, start in state.running.items():
        took, good = _move(ground, n, state, reality)
        heap.append((max(state.now, start + took), MOVE, n, good))
    for host, status in enumerate(state.status):
        if status is Status.OUT:
            drained = state.windows[host].drained or 0
            took, good = _upgrade(ground, host, reality)
            heap.append((max(state.now, drained + took), BACK, host, good))
    heapq.heapify(heap)
    while True:
        orders = decider.decide()
        _schedule(heap, orders, state, reality)
        if not heap:
            break
        if heap[0][0] > until:
            state.now = int(until)
            return
        now = state.now = heap[0][0]
        while heap and heap[0][0] == now:
            _, what, n, good = heapq.heappop(heap)
            if what == MOVE:
                state.end_move(n, failed=not good)
                if not good:
                    decider.retry(n)
            elif what == BACK and good:
                state.back(n)
            elif what == BACK:
                state.fail(n, "its upgrade failed")
    run.finish()


def _schedule(
    heap: list[tuple[int, int, int, bool]], orders: Orders, state: State, reality: Reality | None
) -> None:
    ground, now = state.ground, state.now
    if reality is None:
        move_s = ground.move_s
        for n, _ in orders.move:
            heapq.heappush(heap, (now + move_s[n], MOVE, n, True))
    else:
        for n, _ in orders.move:
            took, good = _move(ground, n, state, reality)
            heapq.heappush(heap, (now + took, MOVE, n, good))
    for host in orders.take_out:
        took, good = _upgrade(ground, host, reality)
        heapq.heappush(heap, (now + took, BACK, host, good))
    if orders.wake is not None and (not heap or heap[0][0] > orders.wake):
        heapq.heappush(heap, (orders.wake, WAKE, -1, True))


def _move(ground: Ground, n: int, state: State, reality: Reality | None) -> tuple[int, bool]:
    if reality is None:
        return ground.move_s[n], True
    return reality.move(ground.instances[n].id, state.attempts[n])


def _upgrade(ground: Ground, host: int, reality: Reality | None) -> tuple[int, bool]:
    if reality is None:
        return ground.hosts[host].out_s, True
    return reality.upgrade(ground.hosts[host].name)
