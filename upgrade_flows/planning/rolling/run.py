"""A rolling upgrade that is being carried out: told what happens, it says what to start.

::

    run = Run(Ground(fleet, rules, roll.variant, cost))
    for order in run.decide(now):     # carry it out, then tell what came of it:
        ...
    run.moved("i1", now)              # or move_failed, back, failed
    for order in run.decide(now):
        ...

What it knows are the fleet, the rules, the policies and its ``facts()``: a process that has these
goes on where another one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.planning.rolling.bound import lower_bound
from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.restore import restore
from upgrade_flows.planning.rolling.result import NO_ROOM, UPGRADED, Facts, Roll, Running
from upgrade_flows.planning.rolling.roll import Decider
from upgrade_flows.planning.rolling.state import State, Status


@dataclass(frozen=True, slots=True)
class Begin:
    """Disable a host: its drain begins."""

    host: str


@dataclass(frozen=True, slots=True)
class MoveTo:
    """Migrate an instance."""

    instance: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Upgrade a host: it is empty, except for instances that are to be stopped."""

    host: str


@dataclass(frozen=True, slots=True)
class Release:
    """Enable a host again as it is: it will not be upgraded."""

    host: str
    why: str


Order = Begin | MoveTo | TakeOut | Release


class Run:
    """The facts of a rolling upgrade, and what they call for."""

    def __init__(self, ground: Ground, facts: Facts | None = None, now: int = 0) -> None:
        self.ground = ground
        self.state = State(ground)
        self.state.now = now
        if facts is not None:
            restore(self.state, facts)
        self.decider = Decider(self.state)
        self.wake: int | None = None
        self._reasons: dict[int, str] = {}

    def decide(self, now: int) -> list[Order]:
        """Return what to start at ``now``; from then on it counts as started.

        Afterwards ``wake`` is the moment to decide again even if nothing happens, or None.
        """
        self.state.now = now
        orders = self.decider.decide()
        self.wake = orders.wake
        hosts, instances = self.ground.hosts, self.ground.instances
        left = self.state.left
        found: list[Order] = [Release(hosts[n].name, left[n]) for n in orders.release]
        found += [Begin(hosts[n].name) for n in orders.begin]
        found += [
            MoveTo(instances[n].id, hosts[self.state.where[n]].name, hosts[to].name)
            for n, to in orders.move
        ]
        return found + [TakeOut(hosts[n].name) for n in orders.take_out]

    def moved(self, instance: str, now: int) -> None:
        """A migration has succeeded."""
        self.state.now = now
        self.state.end_move(self.ground.number_of[instance])

    def move_failed(self, instance: str, now: int) -> None:
        """A migration has failed; its instance is where it was."""
        self.state.now = now
        number = self.ground.number_of[instance]
        self.state.end_move(number, failed=True)
        self.decider.retry(number)

    def back(self, host: str, now: int) -> None:
        """A host is upgraded, verified and in service."""
        self.state.now = now
        self.state.back(self.ground.number[host])

    def failed(self, host: str, now: int, why: str) -> None:
        """The upgrade of a host has failed."""
        self.state.now = now
        self.state.fail(self.ground.number[host], why)

    @property
    def halted(self) -> str:
        """Why nothing more begins; empty where all goes on."""
        return self.state.halted

    def finish(self) -> None:
        """Nothing runs and nothing may start any more: find out why for what is left."""
        self._reasons = self.decider.finish()

    def facts(self) -> Facts:
        """Return how far it has come."""
        state = self.state
        hosts, instances = self.ground.hosts, self.ground.instances
        aims = {
            instances[n].id: Running(
                hosts[to].name,
                state.running.get(n, state.now),
                UPGRADED if state.status[to] is Status.UPGRADED else NO_ROOM,
            )
            for n, to in enumerate(state.target)
            if to >= 0
        }
        running = {instances[n].id for n in state.running}
        return Facts(
            windows=tuple(state.windows.values()),
            moves=tuple(state.moves),
            running={name: aim for name, aim in aims.items() if name in running},
            meant={name: aim for name, aim in aims.items() if name not in running},
        )

    def roll(self) -> Roll:
        """Return what was done, what it is measured against, and what is left."""
        state, hosts = self.state, self.ground.hosts
        left = {**state.left, **self._reasons}
        stuck, pauses = {}, {}
        for n, instance in enumerate(self.ground.instances):
            where = state.where[n]
            if state.status[where] is not Status.UPGRADED and not hosts[where].upgraded:
                stuck[instance.id] = f"{hosts[where].name} is not upgraded: {left.get(where, '')}"
            elif not instance.movable and where in state.windows:
                pauses[instance.id] = float(hosts[where].out_s)
        for move in state.moves:
            if not move.failed:
                pause = self.ground.instances[self.ground.number_of[move.instance]].pause_s
                pauses[move.instance] = pauses.get(move.instance, 0.0) + pause
        windows = tuple(state.windows.values())
        return Roll(
            windows=windows,
            moves=tuple(sorted(state.moves, key=lambda move: (move.start, move.instance))),
            makespan=max(
                (*(w.end or w.drained or 0 for w in windows), *(m.end for m in state.moves)),
                default=0,
            ),
            bound=lower_bound(self.ground),
            left={hosts[n].name: why for n, why in sorted(left.items()) if not hosts[n].upgraded},
            stuck=stuck,
            pauses=pauses,
            halted=state.halted,
            variant=self.ground.variant,
        )
