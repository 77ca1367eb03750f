"""The heart of a rolling upgrade: from the facts, what to start now.

There are no waves and no barriers: whenever something ends, whatever may start is started.  A
host begins when it is allowed to be out of service and every instance on it has a place to go
to; from then on this room is kept, so that no drain gets stuck half way.
"""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.planning.rolling.canaries import Canaries
from upgrade_flows.planning.rolling.fleet import MOVES, TIME
from upgrade_flows.planning.rolling.lanes import Lanes
from upgrade_flows.planning.rolling.placing import needed, obstacle, place, replace_one
from upgrade_flows.planning.rolling.state import State, Status


@dataclass(frozen=True, slots=True)
class Orders:
    """What to start now, by number: drains, migrations (instance, target), upgrades, releases.

    :param wake: the moment at which to decide again if nothing happens until then, or None.
    """

    begin: list[int]
    move: list[tuple[int, int]]
    take_out: list[int]
    release: list[int]
    wake: int | None


class Decider:
    """Decides; what it remembers besides the facts only makes it faster."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.lanes = Lanes(state)
        self._canaries = Canaries(state)
        self._budget = self._doubles()
        self._unfinished = True
        self._again = 0

    def decide(self) -> Orders:
        """Return what to start now, and take note that it is started."""
        state = self.state
        self._halt()
        for host in state.landed:
            if state.status[host] is Status.PENDING:
                self.lanes.put(host)
                self._unfinished = True
        state.landed.clear()
        closed = len(self._canaries)
        orders = Orders([], [], [], self._release(), self._canaries.open())
        if len(self._canaries) < closed:
            self._again = 0
        self._go_on(orders)
        while self._begin(orders):
            pass
        return orders

    def retry(self, instance: int) -> None:
        """A migration has failed: look for another target, or give the host up."""
        state = self.state
        host = state.where[instance]
        if state.status[host] is not Status.DRAINING or host in state.doomed:
            if state.target[instance] >= 0:
                state.todo.pop(host, None)
                state.refresh(state.unreserve(instance))
            return
        if state.attempts[instance] >= state.ground.rules.limits.attempts:
            name = state.ground.instances[instance].id
            state.doom(host, f"{name} could not be moved in {state.attempts[instance]} attempts")
            return
        replace_one(state, instance)
        state.push(host)

    def finish(self) -> dict[int, str]:
        """Return why hosts are still pending, when nothing runs and nothing may start."""
        state = self.state
        reasons = {}
        for host, status in enumerate(state.status):
            if status is Status.PENDING:
                reasons[host] = state.halted or self._shortage(host) or obstacle(state, host)
        return reasons

    def _go_on(self, orders: Orders) -> None:
        """Start what may start on hosts that were begun."""
        state = self.state
        orders.move.extend(state.startable())
        for host in state.drained:
            if state.status[host] is Status.DRAINING:
                state.take_out(host)
                orders.take_out.append(host)
        state.drained.clear()

    # -- beginning

    def _begin(self, orders: Orders) -> bool:
        """Begin what may begin; return whether anything did."""
        state = self.state
        limits = state.ground.rules.limits
        if state.room_changed:
            self.lanes.unblock(state.room_in)
            state.room_in.clear()
            state.room_changed = False
            self._unfinished = True
        if state.halted or not self._unfinished or len(state.running) >= limits.migrations_total:
            return False
        if state.out < limits.out_of_service:
            before = len(orders.begin)
            if not self._next(orders) and state.backs >= self._again:
                self._seed(limits.out_of_service - state.out, orders)
                if len(orders.begin) == before:
                    self._again = state.backs + max(1, limits.out_of_service // 16)
            if not state.out and not state.running and len(orders.begin) == before:
                self._anything(orders)
            if len(orders.begin) > before:
                return True
        self._unfinished = False
        return False

    def _next(self, orders: Orders) -> bool:
        """Begin the host that is most urgent; return whether there was one.

        That is one all of whose instances have a place on upgraded hosts; or, where none of its
        lane is out of service, so that no such place comes up by itself, the lightest one.
        """
        state, lanes = self.state, self.lanes
        if not len(state.new):
            return False
        for lane in lanes.by_need():
            gate = self._canaries.gate(lane)
            hosts = lanes.candidates(lane)
            for host in hosts:
                may = (gate is None or host in gate) and self._may(host) and self._maybe(host)
                if may and place(state, host, (state.new,)):
                    self._start(host, orders)
                    return True
            urgent = gate is None and (not state.active[lane] or self._hurries(lane))
            if urgent and any(self._try(host, orders) for host in lanes.lightest(lane, 1)):
                return True
            lanes.block(lane, hosts[-1] if hosts else -1)
        return False

    def _hurries(self, lane: int) -> bool:
        """Whether time would be lost if a lane waited for room on upgraded hosts."""
        state = self.state
        wanted = state.ground.rules.prefer == TIME and state.seeded < self._budget
        return wanted and self.lanes.hurried(lane)

    def _try(self, host: int, orders: Orders, polite: bool = True) -> bool:
        """Begin a host if there is room for its instances anywhere."""
        state = self.state
        if not self._may(host):
            return False
        state.old.remove(host)
        if place(state, host, (state.new, state.old), polite):
            self._start(host, orders)
            return True
        state.old.add(host)
        return False

    def _maybe(self, host: int) -> bool:
        """Whether upgraded hosts together have the room that a host's instances need."""
        need, mask = needed(self.state, host)
        return self.state.ground.fits(need, self.state.new.free_in(mask))

    def _seed(self, slots: int, orders: Orders) -> None:
        """Begin hosts although some of their instances have to go to hosts not upgraded yet."""
        state, lanes = self.state, self.lanes
        chosen: list[int] = []
        free = [old + new for old, new in zip(state.old.free, state.new.free, strict=True)]
        for lane, share in lanes.shares(min(slots, sum(lanes.pending))).items():
            gate = self._canaries.gate(lane)
            dry = not state.active[lane]
            if gate is not None:
                hosts = sorted(host for host in gate if state.status[host] is Status.PENDING)[
                    :share
                ]
            elif state.ground.rules.prefer == MOVES:
                hosts = lanes.lightest(lane, 1) if dry else []
            else:
                hosts = self._affordable(lanes.lightest(lane, share), free, dry)
            chosen += [host for host in hosts if not state.inbound[host]]
        for host in chosen:
            state.old.remove(host)
        limits = state.ground.rules.limits
        for host in chosen:
            full = state.out >= limits.out_of_service
            crowded = len(state.running) >= limits.migrations_total
            if full or crowded or not self._try(host, orders):
                state.old.add(host)

    def _affordable(self, hosts: list[int], free: list[int], dry: bool) -> list[int]:
        """Return those of a lane's hosts that the budget allows and their like have room for.

        :param free: for each kind, what those have free together that are not chosen.
        :param dry: nothing of the lane is out of service: one host may begin in any case.
        """
        state = self.state
        ground = state.ground
        spent = state.seeded
        chosen: list[int] = []
        for host in hosts:
            kind = ground.kind[host]
            need = state.used[host]
            room = free[kind] - state.old.free_of(host)
            spent += len(state.resident[host])
            fits = ground.fits(need, room)
            if (spent > self._budget or not fits) and (chosen or not dry):
                break
            free[kind] = room - need if fits else 0
            chosen.append(host)
        return chosen

    def _anything(self, orders: Orders) -> None:
        """Begin whatever host can be begun at all: nothing else will make room."""
        for polite in (True, False):
            for lane in range(len(self.lanes.pending)):
                gate = self._canaries.gate(lane)
                for host in self.lanes.candidates(lane, every=True):
                    if (gate is None or host in gate) and self._try(host, orders, polite):
                        return

    def _start(self, host: int, orders: Orders) -> None:
        self.lanes.taken(host)
        self.state.begin(host)
        orders.begin.append(host)
        self._go_on(orders)

    def _may(self, host: int) -> bool:
        """Whether limits and spare capacity let a host go out of service."""
        state = self.state
        ground = state.ground
        limits = ground.rules.limits
        cell, az = ground.places[host]
        if limits.out_per_az is not None and state.out_of["az", cell, az] >= limits.out_per_az:
            return False
        domain, most = ground.hosts[host].failure_domain, limits.out_per_domain
        if domain and most is not None and state.out_of["domain", domain] >= most:
            return False
        return not self._shortage(host)

    def _shortage(self, host: int) -> str:
        """Say what would not be left on the hosts in service; empty where it is."""
        state = self.state
        ground = state.ground
        net = ground.net(host)
        for n in ground.reaches_of[ground.kind[host]]:
            reach = ground.reaches[n]
            if not ground.fits(reach.required + net, state.offered[n]):
                names = ground.lacking(reach.required + net, state.offered[n])
                return f"without it too little {', '.join(names)} would be left in service"
        return ""

    def _doubles(self) -> int:
        """Return how many instances may move twice for the sake of time."""
        ground = self.state.ground
        planned = sum(ground.planned)
        moving = sum(
            ground.planned[home] and ground.movable[n] for n, home in enumerate(ground.home)
        )
        out = min(ground.rules.limits.out_of_service, planned)
        return moving * out // max(planned, 1)

    # -- failures

    def _halt(self) -> None:
        state = self.state
        if not state.failures or state.halted:
            return
        limits = state.ground.rules.limits
        canaries = [host for host in state.failures if host in self._canaries]
        names = [state.ground.hosts[host].name for host in canaries or state.failures]
        if canaries:
            state.halted = f"halted: the canary {names[0]} has failed"
        elif len(state.failures) > limits.max_failures:
            state.halted = (
                f"halted: {len(names)} hosts have failed ({', '.join(names[:10])}),"
                f" {limits.max_failures} may"
            )
        if state.halted:
            for host, status in enumerate(state.status):
                if status is Status.DRAINING and host not in state.doomed:
                    state.doom(host, state.halted)

    def _release(self) -> list[int]:
        """Put doomed hosts back into service from which nothing moves any more."""
        state = self.state
        idle = [host for host in state.doomed if not state.flying[host]]
        for host in idle:
            state.release(host, counts=state.doomed[host] != state.halted)
        if idle:
            self._halt()
        return idle
