"""Looks at a host again and again, and takes each instance up its ladder, until it is empty.

What it needs to know is in Nova: a process that takes over from one that died looks, and goes on.
One look is two calls for a host, however many instances it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Migration
from upgrade_flows.flows.host_upgrade.drain import evidence
from upgrade_flows.flows.host_upgrade.drain.ladder import Act, Mover, after_failure, next_act
from upgrade_flows.flows.host_upgrade.drain.policy import Policy
from upgrade_flows.flows.host_upgrade.drain.targets import Targets
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.flows.host_upgrade.rules import LEAVING, How, Treatment, treat
from upgrade_flows.flows.moving import Obstacles, obstacles_of
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps.base import Context

FIRST_PAUSE_S, MOST_PAUSE_S = 0.25, 5.0


class Drain:
    """One host being emptied.

    :param since: when the host was fenced, by the cloud's clock: an attempt that Nova has on
        record since then counts as one of ours.
    :param only: the instances that are meant; None: all of the host.
    :param without: those that are none of its business.
    :param starts: whether it sends instances away; otherwise it waits for those that are on
        their way, and leaves the others.
    :param parks: whether it stops half-way where the run is to be parked.
    :param obstacles: what was in the way of the live migration of instances when it was planned.

    ``moved`` holds the moves made so far.
    """

    def __init__(
        self,
        ctx: Context,
        host: str,
        options: Options,
        policy: Policy,
        targets: Targets,
        since: float,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        starts: bool = True,
        parks: bool = True,
        obstacles: Mapping[str, str] | None = None,
    ) -> None:
        self._obstacles = obstacles or {}
        self._only, self._without, self._starts, self._parks = only, without, starts, parks
        self.moved: list[dict[str, Any]] = []
        self._ctx, self._host, self._since = ctx, host, since
        self._options, self._policy, self._targets = options, policy, targets
        self._movers: dict[str, Mover] = {}
        self._staying: dict[str, tuple[str, Treatment]] = {}
        self._flights: dict[str, Migration] = {}
        self._changed = False
        self._silent_since: float | None = None

    def run(self) -> dict[str, Any]:
        """Empty the host; return ``moves``, ``stayed`` (what stays, and why) and ``poweroff``.

        :raises StepFailed: some instances could not be moved: all of them are named; those that
            could are where they went.
        :raises Parked: the run is to be parked, and no migration is under way any more.
        """
        clock = self._ctx.cloud.clock
        pause = FIRST_PAUSE_S
        try:
            while True:
                self._changed = False
                seen = self._look_if_answered()
                active = [mover for mover in self._movers.values() if not mover.given_up]
                under_way = any(self._is_under_way(mover) for mover in active)
                if seen and not (active if self._starts else under_way):
                    break
                if seen and self._starts and not under_way and self._parking():
                    raise errors.Parked(f"still to leave {self._host}: {len(active)}")
                pause = FIRST_PAUSE_S if self._changed else min(pause * 1.25, MOST_PAUSE_S)
                clock.sleep(pause)
        finally:
            self._ctx.records.release()
        self._complain()
        return {
            "moves": self.moved,
            "stayed": [
                {"instance": key, "name": name, "why": said.why}
                for key, (name, said) in sorted(self._staying.items())
                if said.how is How.STAY
            ],
            "poweroff": sorted(k for k, (_, t) in self._staying.items() if t.how is How.POWEROFF),
        }

    def _look_if_answered(self) -> bool:
        """Look, and say whether all was seen; an outage is waited through for so long."""
        try:
            self._look()
        except errors.Unavailable:
            now = self._ctx.cloud.clock.monotonic()
            self._silent_since = now if self._silent_since is None else self._silent_since
            if now - self._silent_since > self._policy.arrival_s:
                raise
            return False
        self._silent_since = None
        return True

    def _look(self) -> None:
        """See what has happened, and do for each instance what there is to do."""
        compute = self._ctx.cloud.compute
        self._targets.refresh()
        here = {server.id: server for server in compute.servers(host=self._host)}
        here = {key: server for key, server in here.items() if self._is_meant(key)}
        sent = evidence.sent(self._ctx, self._host, self._since)
        self._flights = {
            m.server_id: m
            for m in compute.migrations_of_host(self._host)
            if m.source == self._host and m.status != "finished"
        }
        self._staying.clear()
        for server in here.values():
            self._meet(server)
        for migration in sent:
            if migration.server_id not in here and self._is_meant(migration.server_id):
                self._adopt(migration)
        for mover in [m for m in self._movers.values() if m.id not in here]:
            self._follow(mover)
        for mover in sorted(self._movers.values(), key=_largest_first):
            if mover.id in here:
                self._go_on(mover, here[mover.id])

    def _treat(self, server: Server) -> Treatment:
        found, planned = obstacles_of(server), self._obstacles.get(server.id, "")
        if planned and not (found.live or found.move):
            found = Obstacles(live=planned)
        return treat(server, self._options, found)

    def _is_meant(self, server_id: str) -> bool:
        return server_id not in self._without and (self._only is None or server_id in self._only)

    def _parking(self) -> bool:
        return self._parks and self._ctx.records.parking()

    def _is_under_way(self, mover: Mover) -> bool:
        return mover.since is not None or mover.id in self._flights

    def _adopt(self, migration: Migration) -> None:
        """Follow an instance that has left, if no process that lives has seen it through."""
        if migration.server_id in self._movers:
            return
        try:
            server = self._ctx.cloud.compute.server(migration.server_id)
        except errors.NotFound:
            return
        how = How.LIVE if migration.kind == "live-migration" else How.COLD
        mover = Mover(server.id, server.name, how, server.flavor.memory_mb)
        mover.attempts = evidence.failed_attempts(self._ctx, server.id, self._host, self._since)
        mover.begin(migration.destination, self._ctx.cloud.clock.monotonic())
        self._movers[server.id] = mover
        self._hold_if_free(mover.id)

    def _hold_if_free(self, server_id: str) -> None:
        """Hold an instance whose migration another process has begun."""
        with suppress(errors.SubjectBusy):
            self._ctx.records.hold(server_id)

    def _meet(self, server: Server) -> None:
        """Find out what becomes of an instance, where that is not known yet."""
        if server.id in self._movers:
            return
        said, flight = self._treat(server), None
        if said.how is How.WAIT:
            flight = self._flights.get(server.id)
            if flight is not None:
                kind = How.LIVE if flight.kind == "live-migration" else How.COLD
                said = Treatment(kind, said.why)
        if said.how in (How.STAY, How.POWEROFF):
            self._staying[server.id] = (server.name, said)
            return
        mover = Mover(server.id, server.name, said.how, server.flavor.memory_mb)
        if said.how is How.REFUSE:
            mover.given_up = said.why + (f" ({said.remedy})" if said.remedy else "")
        else:
            mover.attempts = evidence.failed_attempts(self._ctx, server.id, self._host, self._since)
        self._movers[server.id] = mover
        if flight is not None and said.how in LEAVING:
            mover.begin(flight.destination, self._ctx.cloud.clock.monotonic())
            self._hold_if_free(mover.id)

    def _go_on(self, mover: Mover, server: Server) -> None:
        """Take an instance that is on the host one rung further."""
        now, flight = self._ctx.cloud.clock.monotonic(), self._flights.get(mover.id)
        act, why = next_act(mover, server, flight, now, self._policy)
        compute = self._ctx.cloud.compute
        if act is Act.START:
            room = self._under_way() < self._policy.at_a_time
            if self._starts and room and not self._parking():
                self._start(mover, server, now)
        elif act is Act.ENDED:
            self._failed(mover, evidence.why_it_ended(self._ctx, mover, server))
        elif act is Act.FORCE and flight is not None:
            mover.forced = now  # once: what is refused now is over, or will be aborted
            if self._tried(compute.force_complete, mover.id, flight.id):
                self._tell("forced", mover, why)
        elif act is Act.ABORT and flight is not None:
            if self._tried(compute.abort_migration, mover.id, flight.id):
                mover.aborted = now
                self._tell("aborted", mover, why)
            elif mover.refused is None:
                mover.refused = now
        elif act is Act.GIVE_UP:
            mover.given_up, mover.since = why, None
            self._tell("unmoved", mover, why)

    def _under_way(self) -> int:
        """Count the migrations from the host, whoever has begun them."""
        return len({*self._flights, *(m.id for m in self._movers.values() if m.since is not None)})

    def _start(self, mover: Mover, server: Server, now: float) -> None:
        """Send an instance on its way, if its owner has not done anything to it meanwhile."""
        said = self._treat(server)
        if said.how not in LEAVING:
            del self._movers[mover.id]  # the next look meets it anew
            self._changed = True
            return
        if not (mover.fell and said.how is How.LIVE):
            mover.how = said.how
        target, why = "", ""
        if mover.how is not How.OFFLOAD:
            target, why = self._targets.choose(mover, server)
            if not target:
                self._wait(mover, why, now)
                return
        try:
            self._ctx.records.hold(mover.id)
        except errors.SubjectBusy as exc:
            self._wait(mover, str(exc), now)
            return
        self._tell("moving", mover, "", target)
        mover.begin(target, now)
        self._targets.took(target)
        compute = self._ctx.cloud.compute
        try:
            if mover.how is How.LIVE:
                compute.live_migrate(mover.id, target)
            elif mover.how is How.COLD:
                compute.migrate(mover.id, target)
            else:
                compute.offload(mover.id)
        except (errors.NotFound, errors.Unavailable):
            return  # gone, or perhaps accepted: the next look shows it
        except errors.CloudError as exc:
            self._failed(mover, str(exc))

    def _wait(self, mover: Mover, why: str, now: float) -> None:
        """Let an instance wait for what it needs, for so long."""
        if not why:
            return
        if mover.waiting_since is None:
            mover.waiting_since = now
        elif now - mover.waiting_since > self._policy.arrival_s:
            mover.given_up = why
            self._tell("unmoved", mover, why)

    def _follow(self, mover: Mover) -> None:
        """Look at an instance that is not on the host any more, until it is through."""
        state, server = evidence.arrived(self._ctx, mover, self._host)
        if state in ("confirm", "later"):
            if state == "confirm":
                self._tried(self._ctx.cloud.compute.confirm_migration, mover.id)
            self._be_patient(mover, server)
        elif state == "gone":
            self._forget(mover)
        elif state == "here":
            pass  # it came back between the two looks
        elif state == "arrived" and server is not None:
            now = self._ctx.cloud.clock.monotonic()
            took = now - mover.first if mover.first is not None else 0.0
            move = {
                "instance": mover.id, "name": mover.name, "source": self._host,
                "target": server.host, "how": str(mover.how), "attempts": mover.attempts + 1,
                "seconds": round(took, 3),
            }  # fmt: skip
            self.moved.append(move)
            self._tell("moved", mover, "", server.host)
            self._forget(mover)
        elif state.startswith("failed"):
            mover.given_up, mover.since = state, None

    def _be_patient(self, mover: Mover, server: Server | None) -> None:
        """Give an instance up that has left, but whose migration does not come to its end."""
        now = self._ctx.cloud.clock.monotonic()
        if mover.waiting_since is None:
            mover.waiting_since = now
        elif now - mover.waiting_since > self._policy.cold_s and not mover.given_up:
            status, where = (server.status, server.host) if server else ("gone", "")
            mover.since = None
            mover.given_up = (
                f"it is on {where}, but {status}: its migration has not come to its end within"
                f" {self._policy.cold_s:g} s (openstack server resize confirm {mover.id}, if it"
                " waits for that)"
            )
            self._tell("unmoved", mover, mover.given_up)

    def _forget(self, mover: Mover) -> None:
        self._ctx.records.release(mover.id)
        del self._movers[mover.id]
        self._changed = True

    def _failed(self, mover: Mover, why: str) -> None:
        self._tell("unmoved", mover, why)
        after_failure(mover, self._policy, why)

    def _tell(self, what: str, mover: Mover, why: str, target: str = "") -> None:
        """Put on record what happens to an instance."""
        self._changed = True
        self._ctx.records.tell(
            what,
            {
                "instance": mover.id, "name": mover.name, "source": self._host,
                "target": target or mover.target, "how": str(mover.how), "why": why,
            },
        )  # fmt: skip

    def _tried(self, call: Any, *args: str) -> bool:
        """Make a call that may come too late; return whether it was accepted."""
        try:
            call(*args)
        except (errors.NotFound, errors.Conflict, errors.Unavailable):
            return False
        return True

    def _complain(self) -> None:
        stuck = [
            mover
            for mover in self._movers.values()
            if mover.given_up and (self._starts or mover.id in self._flights)
        ]
        if stuck:
            said = "; ".join(f"{m.name} ({m.id}): {m.given_up}" for m in stuck)
            number = "1 instance" if len(stuck) == 1 else f"{len(stuck)} instances"
            raise errors.StepFailed(f"{number} could not leave {self._host}: {said}")


def _largest_first(mover: Mover) -> tuple[int, str]:
    return -mover.memory_mb, mover.id
