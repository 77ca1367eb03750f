"""What others do, played through with the same events and the same limits.

one host at a time, batches
    Hosts by name; the next batch begins when the last one is back.  Each instance goes to the
    host with most room that a scheduler finds, upgraded or not.
watcher
    As Watcher's and Fenix's maintenance strategies do it: the host with most free vCPUs is emptied
    first; from then on old hosts take nothing, and one host after the other moves to the one
    that was upgraded last, if all fits there, else to the upgraded hosts that have most room;
    two migrations of a host at a time.
"""

from __future__ import annotations

import dataclasses

from upgrade_flows.planning.rolling import Fleet, Ground, Roll, Rules, Run
from upgrade_flows.planning.rolling.placing import bundles, fine
from upgrade_flows.planning.rolling.roll import Decider, Orders
from upgrade_flows.planning.rolling.simulate import play
from upgrade_flows.planning.rolling.state import State, Status
from upgrade_flows.planning.rolling.targets import Pool

WATCHER_PER_HOST, WATCHER_TOTAL = 2, 6


def batches(fleet: Fleet, rules: Rules, size: int) -> Roll:
    """Upgrade ``size`` hosts at a time, with a barrier behind each batch."""
    limits = dataclasses.replace(rules.limits, out_of_service=size)
    return _roll(fleet, dataclasses.replace(rules, limits=limits), Batches)


def watcher(fleet: Fleet, rules: Rules) -> Roll:
    """Upgrade one host after the other as Watcher's and Fenix's strategies do."""
    limits = dataclasses.replace(
        rules.limits,
        out_of_service=1,
        migrations_per_host=min(WATCHER_PER_HOST, rules.limits.migrations_per_host),
        migrations_total=min(WATCHER_TOTAL, rules.limits.migrations_total),
    )
    return _roll(fleet, dataclasses.replace(rules, limits=limits), Watcher)


def _roll(fleet: Fleet, rules: Rules, kind: type[Batches]) -> Roll:
    run = Run(Ground(fleet, rules))
    run.decider = kind(run.state)
    play(run)
    return run.roll()


class Batches(Decider):
    """Batches of hosts in the order of their names."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        planned = state.ground.planned
        self.queue = [host for host, wanted in enumerate(planned) if wanted]
        self.vcpu = state.ground.shift.get("VCPU", 0)

    def decide(self) -> Orders:
        state = self.state
        state.landed.clear()
        orders = Orders([], [], [], [], None)
        self._go_on(orders)
        if not state.out:
            self.start_batch(orders)
        return orders

    def start_batch(self, orders: Orders) -> None:
        """Begin the next hosts for which there is room."""
        state, size = self.state, self.state.ground.rules.limits.out_of_service
        refused: list[int] = []
        while self.queue and not orders.begin:
            batch, self.queue = self.queue[:size], self.queue[size:]
            for host in batch:
                state.old.remove(host)
            for host in batch:
                if self._may(host) and self.place(host):
                    self._start(host, orders)
                else:
                    state.old.add(host)
                    refused.append(host)
        self.queue = refused + self.queue if orders.begin else []

    def place(self, host: int) -> bool:
        """Reserve room where a scheduler would find it."""
        return self._scatter(host, (self.state.old, self.state.new))

    def _scatter(self, host: int, pools: tuple[Pool, ...]) -> bool:
        state, ground = self.state, self.state.ground
        placed: list[int] = []
        going = [n for n in state.resident[host] if ground.movable[n]]
        for bundle in bundles(state, going):
            need, mask = 0, -1
            for n in bundle:
                need += ground.need[n]
                mask &= ground.masks[ground.class_of[n]]
            kinds = ground.preferred(mask, ground.kind[host])

            def allowed(to: int, bundle: list[int] = bundle) -> bool:
                return fine(state, bundle, host, to, soft=False)

            found = [pool.find(kinds, need, allowed, roomiest=True) for pool in pools]
            target = max((to for to in found if to >= 0), key=self._room, default=-1)
            if target < 0:
                for n in placed:
                    state.refresh(state.unreserve(n))
                return False
            for n in bundle:
                state.reserve(n, target)
                placed.append(n)
            state.refresh(target)
        return True

    def _room(self, host: int) -> int:
        state = self.state
        room = state.old.free_of(host) + state.new.free_of(host)
        return room >> self.vcpu & (1 << 63) - 1


class Watcher(Batches):
    """The host with most room first; then each one to the host that was upgraded last."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        free = {host: self._room(host) for host in self.queue}
        first = max(self.queue, key=lambda host: (free[host], -host), default=-1)
        self.queue.sort(key=lambda host: host != first)
        self.last = -1

    def place(self, host: int) -> bool:
        state = self.state
        ground = state.ground
        backs = [h for h in (self.last,) if h >= 0 and state.status[h] is Status.UPGRADED]
        going = [n for n in state.resident[host] if ground.movable[n]]
        self.last = host
        for to in backs:
            need, mask = state.used[to], -1
            for n in going:
                need += ground.need[n]
                mask &= ground.masks[ground.class_of[n]]
            fits = mask >> ground.kind[to] & 1 and ground.fits(need, ground.capacity[to])
            if fits and all(fine(state, [n], host, to, soft=False) for n in going):
                for n in going:
                    state.reserve(n, to)
                state.refresh(to)
                return True
        return self._scatter(host, (state.new,)) or self._scatter(host, (state.new, state.old))
