"""Taking a host out of service, and giving it back exactly as it was."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import HostService
from upgrade_flows.flows.host_upgrade.tasks.base import HostStep
from upgrade_flows.model import codec
from upgrade_flows.steps.base import Context, note, undo


class ObserveHost(HostStep):
    """Note how the host is in service, and which instances it has, before anything is touched.

    Provides ``host_before``.  Changes nothing, so there is nothing to revert.
    """

    default_provides = "host_before"

    def execute(self) -> dict[str, Any]:
        compute, network = self.ctx.cloud.compute, self.ctx.cloud.network
        service = compute.service(self.host)
        return {
            "service": codec.to_plain(service),
            "hypervisor_version": compute.hypervisor(self.host).version,
            "agents": sorted(
                agent.agent_type
                for agent in network.agents()
                if agent.host == self.host and agent.alive
            ),
            "instances": [
                {"id": server.id, "name": server.name, "status": server.status}
                for server in compute.servers(host=self.host)
            ],
            "at": self.ctx.cloud.clock.time(),
        }


class LookAtHost(HostStep):
    """Ask the host itself what it runs.  Provides ``facts``.

    Changes nothing, so there is nothing to revert.
    """

    default_provides = "facts"

    def execute(self) -> dict[str, Any]:
        return self.look()


class FenceHost(HostStep):
    """Disable the compute service of the host, so that nothing more is placed there.

    Reverted by giving the host back as it was, unless somebody else has changed that since.
    """

    def execute(self, host_before: dict[str, Any]) -> None:
        now = self.ctx.cloud.compute.service(self.host)
        if not (_is_as(now, host_before["service"]) or _is_ours(self.ctx, now)):
            raise errors.StepFailed(
                f"{_changed(self.host, now, host_before['service'])}: make it as it was, and"
                " resume the run; or roll it back, and plan anew"
            )
        fence(self.ctx, self.host)

    def revert(self, host_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return give_back(self, host_before)


class AwaitArrivals(HostStep):
    """Wait until what was on its way to the host when it was fenced has arrived, or has not.

    Changes nothing, so there is nothing to revert.
    """

    def execute(self) -> None:
        await_arrivals(self.ctx, self.host)


class OpenHost(HostStep):
    """Give the host back as it was: with the state and the reason that it had.

    Reverted by fencing it again: what follows is our work on it.  One that somebody else has
    taken out of service meanwhile stays so, with their reason.
    """

    def execute(self, host_before: dict[str, Any]) -> None:
        left = give_back(self, host_before)
        if left:
            raise errors.StepFailed(left["residue"]["why"])

    def revert(self, host_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._fence_again, host_before["service"])

    def _fence_again(self, was: dict[str, Any]) -> None:
        now = self.ctx.cloud.compute.service(self.host)
        if now.enabled or _is_as(now, was):
            fence(self.ctx, self.host)


def reason(ctx: Context) -> str:
    """Return the reason that a host carries while it is ours."""
    return f"upgrade-flows {ctx.run_id}: host upgrade"


def fence(ctx: Context, host: str) -> None:
    """Disable a host with our reason."""
    ctx.cloud.compute.set_host_enabled(host, False, reason(ctx))


def give_back(step: HostStep, before: dict[str, Any]) -> dict[str, Any] | None:
    """Bring back the state and the reason that a host had; return the residue, or None.

    A host whose reason is not ours any more was given another one by somebody else: it is
    left as they want it.
    """
    was, compute = before["service"], step.ctx.cloud.compute
    now = compute.service(step.host)
    if _is_as(now, was):
        return None
    if not _is_ours(step.ctx, now):
        return note(step, f"{_changed(step.host, now, was)}: left so")
    why = None if was["enabled"] else was["disabled_reason"]
    return undo(step, compute.set_host_enabled, step.host, was["enabled"], why)


def _is_as(now: HostService, was: dict[str, Any]) -> bool:
    return (now.enabled, now.disabled_reason) == (was["enabled"], was["disabled_reason"])


def _is_ours(ctx: Context, now: HostService) -> bool:
    return not now.enabled and now.disabled_reason == reason(ctx)


def _changed(host: str, now: HostService, was: dict[str, Any]) -> str:
    did = "enabled it" if now.enabled else f"disabled it ({now.disabled_reason or 'no reason'})"
    then = "enabled" if was["enabled"] else f"disabled ({was['disabled_reason'] or 'no reason'})"
    return f"host {host} was {then}, and somebody has {did} meanwhile"


def await_arrivals(ctx: Context, host: str) -> None:
    """Wait until nothing is on its way to a host.

    :raises StepFailed: it took too long; what does not end is named.
    """
    try:
        wait.until(
            ctx.cloud.clock,
            f"what is on its way to {host} to arrive",
            lambda: arrivals(ctx, host),
            lambda found: not found,
            deadline_s=ctx.settings.arrival_s,
            first_s=0.2,
            most_s=5.0,
        )
    except errors.TimedOut as exc:
        raise errors.StepFailed(
            f"{exc}; look at them, delete or reset what is stuck, and resume the run"
        ) from exc


def arrivals(ctx: Context, host: str) -> list[str]:
    """Return what is on its way to a host: builds, migrations, and what has room reserved."""
    compute = ctx.cloud.compute
    servers = {server.id: server for server in compute.servers(host=host)}
    migrations = compute.migrations_of_host(host)
    found = [
        f"instance {server.name} ({server.id}) is being built"
        for server in servers.values()
        if server.status == "BUILD"
    ]
    found += [
        f"instance {m.server_id} comes from {m.source} (migration {m.id} is {m.status})"
        for m in migrations
        if m.destination == host and m.source != host and m.status != "finished"
    ]
    known = {*servers, *(m.id for m in migrations), *(m.server_id for m in migrations)}
    for consumer in ctx.cloud.placement.consumers(host):
        if consumer not in known and _is_being_built(ctx, consumer):
            found.append(f"instance {consumer} is being built")
    return found


def _is_being_built(ctx: Context, server_id: str) -> bool:
    try:
        return ctx.cloud.compute.server(server_id).status == "BUILD"
    except errors.NotFound:
        return False
