"""Getting the instances off a host, stopping those that stay, and proving that nothing runs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.flows.host_upgrade.drain import Drain, Policy
from upgrade_flows.flows.host_upgrade.drain.evidence import sent_before
from upgrade_flows.flows.host_upgrade.drain.targets import Brief, Targets
from upgrade_flows.flows.host_upgrade.rules import RUNNING
from upgrade_flows.flows.host_upgrade.tasks.base import HostStep
from upgrade_flows.flows.host_upgrade.tasks.fencing import await_arrivals
from upgrade_flows.steps import servers
from upgrade_flows.steps.base import residue, undo


class DrainHost(HostStep):
    """Move the instances of the host to others.

    Provides ``drained``: see ``drain.Drain.run``.  Reverted by letting what is on its way come
    to its end, no more: the instances are as well off where they are, and moving them back would
    be felt a second time.
    """

    default_provides = "drained"

    def execute(self, host_before: dict[str, Any]) -> dict[str, Any]:
        return drain(self, host_before)

    def revert(self, host_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, made(self, host_before["at"], starts=False).run)


class StopStayers(HostStep):
    """Stop the instances that are to be off while their host is out of service.

    Provides their ids as ``stopped``.  Locked meanwhile, so that their owners' tools do not
    start them.  Reverted by starting those that our lock tells.
    """

    default_provides = "stopped"

    def execute(self, drained: dict[str, Any]) -> list[str]:
        for server_id in drained["poweroff"]:
            stop(self, server_id)
        return list(drained["poweroff"])

    def revert(self, drained: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return start_all(self, drained["poweroff"])


class ProveEmpty(HostStep):
    """Make sure that no guest runs on the host, and that nothing is on its way from or to it.

    What has come since the drain is moved away as well.

    Provides ``leftovers``: what Nova, Neutron or Placement forgot there, each with its remedy;
    none of it is in the way.  Changes nothing, so there is nothing to revert.
    """

    default_provides = "leftovers"

    def execute(
        self, host_before: dict[str, Any], drained: dict[str, Any], stopped: list[str]
    ) -> list[dict[str, str]]:
        if running(self.ctx.cloud, self.host):
            await_arrivals(self.ctx, self.host)
            made(self, host_before["at"], without=stopped).run()
        runs = running(self.ctx.cloud, self.host)
        if runs:
            raise errors.StepFailed(
                f"{self.host} is not empty: {'; '.join(runs)}; move it away or stop it, and"
                " resume the run"
            )
        return leftovers(self.ctx.cloud, self.host, [m["instance"] for m in drained["moves"]])


class EmptyOnTheWayBack(HostStep):
    """Do nothing on the way there.

    Reverted by emptying the host once more: what was changed on it is about to be taken back.
    """

    def execute(self) -> None:
        return None

    def revert(self, stopped: list[str], **_: object) -> dict[str, Any] | None:
        return undo(self, self._empty, stopped)

    def _empty(self, stopped: list[str]) -> None:
        await_arrivals(self.ctx, self.host)
        since = self.ctx.cloud.clock.time()
        made(self, since, without=stopped, parks=False).run()


class StartStayers(HostStep):
    """Start the instances that were stopped because they stay.

    Reverted by stopping them again.
    """

    def execute(self, stopped: list[str]) -> None:
        left = start_all(self, stopped)
        if left:
            raise errors.StepFailed(left["residue"]["why"])

    def revert(self, stopped: list[str], **_: object) -> dict[str, Any] | None:
        left = [undo(self, stop, self, server_id) for server_id in stopped]
        return next((item for item in left if item), None)


class BringBack(HostStep):
    """Return the instances that left the host, where the operator wants that.

    Provides ``returned``: moves as in ``drained``.  One that finds no way back stays where it
    is: that is no failure.  Reverted as ``DrainHost`` is.
    """

    default_provides = "returned"

    def execute(self, drained: dict[str, Any], host_before: dict[str, Any]) -> list[Any]:
        if not self.options.bring_back or not host_before["service"]["enabled"]:
            return []
        found = []
        for source, moves in self._by_source(drained):
            back = self._back(source, moves, host_before["at"])
            with suppress(errors.StepFailed):
                back.run()
            found += _told(self, source, moves, host_before["at"], back.moved)
        return found

    def revert(
        self, drained: dict[str, Any], host_before: dict[str, Any], **_: object
    ) -> dict[str, Any] | None:
        left = None
        for source, moves in self._by_source(drained):
            back = self._back(source, moves, host_before["at"], starts=False)
            left = undo(self, back.run) or left
        return left

    def _by_source(self, drained: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the moves by the hosts that they led to; a shelved instance is at none."""
        sources = sorted({move["target"] for move in drained["moves"]} - {""})
        return [(one, [m for m in drained["moves"] if m["target"] == one]) for one in sources]

    def _back(
        self, source: str, moves: list[dict[str, Any]], since: float, starts: bool = True
    ) -> Drain:
        brief = Brief({move["instance"]: self.host for move in moves}, ())
        return Drain(
            self.ctx, source, self.options, Policy.of(self.options, self.ctx.settings),
            Targets(self.ctx, source, brief, 1, None), since, starts=starts,
            only=set(brief.targets), obstacles=self.details.get("obstacles"),
        )  # fmt: skip


def drain(step: HostStep, before: dict[str, Any]) -> dict[str, Any]:
    """Move the instances of a step's host to others; see ``drain.Drain.run``.

    The moves are also those of processes that are gone.
    """
    clock = step.ctx.cloud.clock
    began = clock.monotonic()
    found = made(step, before["at"]).run()
    moves = _told(step, step.host, before["instances"], before["at"], found["moves"])
    return {**found, "moves": moves, "drain_s": round(clock.monotonic() - began, 3)}


def _told(
    step: HostStep,
    source: str,
    instances: list[dict[str, Any]],
    since: float,
    moves: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the moves of instances from a host: ours, and those of processes that are gone."""
    known = {move["instance"] for move in moves}
    known |= {server.id for server in step.ctx.cloud.compute.servers(host=source)}
    names = {one.get("id") or one["instance"]: one["name"] for one in instances}
    earlier = sent_before(step.ctx, source, names, since, known)
    for move in earlier:
        step.ctx.records.tell("moved", {**move, "why": ""})
    return [*earlier, *moves]


def made(step: HostStep, since: float, **more: Any) -> Drain:
    """Return the drain of a step's host."""
    policy = Policy.of(step.options, step.ctx.settings)
    ranking = step.ctx.plugins.placement.get(step.options.placement)
    brief = Brief.of(step.details)
    targets = Targets(step.ctx, step.host, brief, policy.at_a_time, ranking)
    more.setdefault("obstacles", step.details.get("obstacles"))
    return Drain(step.ctx, step.host, step.options, policy, targets, since, **more)


def stop(step: HostStep, server_id: str) -> None:
    """Lock an instance and power it off."""
    compute = step.ctx.cloud.compute
    try:
        server = compute.server(server_id)
        if not server.locked:
            compute.lock(server_id, servers.reason(step.ctx))
        servers.ensure_stopped(step.ctx, server_id)
    except errors.NotFound:
        return  # its owner has deleted it


def start_all(step: HostStep, server_ids: list[str]) -> dict[str, Any] | None:
    """Start the instances that we stopped; return the residue of the first that does not."""
    left = None
    for server_id in server_ids:
        try:
            servers.ensure_started(step.ctx, server_id)
            servers.unlock_ours(step.ctx, server_id)
        except errors.NotFound:
            continue  # its owner has deleted it
        except errors.UpgradeFlowsError as exc:
            left = left or residue(step, step.ctx.cloud.compute.start, (server_id,), exc)
    return left


def running(cloud: Cloud, host: str) -> list[str]:
    """Return what of a host runs or is under way, in words; empty where it may be rebooted."""
    found = []
    for server in cloud.compute.servers(host=host):
        if server.task_state is not None:
            found.append(f"{server.name} ({server.id}) is {server.task_state}")
        elif server.power_state == RUNNING and server.status not in ("SHUTOFF", "SUSPENDED"):
            found.append(f"{server.name} ({server.id}) is {server.status} and runs")
    found += [
        f"migration {m.id} of {m.server_id} from {m.source} to {m.destination} is {m.status}"
        for m in cloud.compute.migrations_of_host(host)
        if m.status != "finished"
    ]
    return found


def leftovers(cloud: Cloud, host: str, moved: list[str]) -> list[dict[str, str]]:
    """Return what was forgotten on a host, with the command that removes it."""
    compute = cloud.compute
    here = {server.id for server in compute.servers(host=host)}
    finished = compute.migrations_of_host(host)
    known = here | {m.id for m in finished} | {m.server_id for m in finished}
    found = [
        {
            "what": f"an allocation of {consumer}, which is not on {host}",
            "remedy": f"openstack resource provider allocation show {consumer}; nova-manage"
            f" placement heal_allocations, or openstack resource provider allocation delete"
            f" {consumer} if the instance does not exist",
        }
        for consumer in cloud.placement.consumers(host)
        if consumer not in known
    ]
    for server_id in moved:
        for port in cloud.network.ports(device_id=server_id):
            stale = [b for b in cloud.network.bindings(port.id) if b.host == host]
            if stale and not stale[0].active:
                found.append(
                    {
                        "what": f"an INACTIVE binding of port {port.id} on {host}, which stands in"
                        f" the way of a migration of {server_id} to it",
                        "remedy": f"openstack port binding delete --host {host} {port.id}",
                    }
                )
    return found
