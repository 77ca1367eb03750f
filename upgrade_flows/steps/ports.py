"""Steps that change how, where and to whom a port is bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model.inventory import Port
from upgrade_flows.steps import waiting
from upgrade_flows.steps.base import Context, Step, residue, undo


class RebindPort(Step):
    """Take a port's binding away and bind it again on the same host.

    Neutron works a port's VIF type and details out when it binds it, from what the host's
    agent reports at that moment; a reboot keeps the old ones.  The server is off meanwhile.
    Done when the port is bound in the wanted mode.

    Reverted by binding it again, which gives the old mode back if the agent still offers it;
    if not, that is reported.
    """

    def __init__(
        self, ctx: Context, port_id: str, host: str, wanted: str, mode_of: Callable[[Port], str]
    ) -> None:
        super().__init__(ctx, port_id)
        self.host = host
        self.wanted = wanted
        self.mode_of = mode_of

    def execute(self, before: dict[str, Any]) -> None:
        mode = self.mode_of(self._bind_anew())
        if mode != self.wanted:
            raise errors.StepFailed(
                f"port {self.subject} was bound as {mode} on {self.host}, not as {self.wanted}:"
                " the host's agent does not offer that mode (any more)"
            )

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        try:
            port = self.ctx.cloud.network.port(self.subject)
            if self.mode_of(port) != before["identity"]["vif_modes"][self.subject]:
                self._bind_anew()
        except errors.UpgradeFlowsError as exc:
            return residue(self, self.ctx.cloud.network.bind, (self.subject, self.host), exc)
        return in_another_mode(self, before, self.subject)

    def _bind_anew(self) -> Port:
        """Unbind the port, also if an earlier attempt has, and bind it: the server is off."""
        self.ctx.cloud.network.unbind(self.subject)
        return self.ctx.cloud.network.bind(self.subject, self.host)


class ReleasePort(Step):
    """Set a port free from its stopped server, so that it outlives it and can be adopted.

    A port without ``device_id`` is not found by Nova when it deletes the server, so also a
    port that Nova made itself survives, with its MAC and addresses, floating IPs and all that
    its owner set.

    Reverted by giving the port back, and making sure that Nova's network cache still holds it,
    or holds it again.  A server that is gone takes no port back.  If the host's agent no longer
    offers the old mode, that is reported.
    """

    def __init__(self, ctx: Context, port_id: str, server_id: str) -> None:
        super().__init__(ctx, port_id)
        self.server_id = server_id

    def execute(self, before: dict[str, Any]) -> None:
        network = self.ctx.cloud.network
        port = network.port(self.subject)
        if port.device_id not in ("", self.server_id):
            raise errors.StepFailed(f"port {port.id} belongs to {port.device_id} now")
        if port.device_id:
            network.set_owner(self.subject, "", "")
        if port.binding_host:
            network.unbind(self.subject)

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        try:
            self.ctx.cloud.compute.server(self.server_id)
        except errors.NotFound:
            return None
        except errors.UpgradeFlowsError as exc:
            return residue(self, self._give_back, (self.subject,), exc)
        return undo(self, self._give_back, before["ports"][self.subject]) or in_another_mode(
            self, before, self.subject
        )

    def _give_back(self, was: dict[str, Any]) -> None:
        network, compute = self.ctx.cloud.network, self.ctx.cloud.compute
        server = compute.server(self.server_id)
        port = free(self.ctx, self.subject, but_for=self.server_id)
        if port.device_id != self.server_id:
            network.set_owner(self.subject, self.server_id, was["device_owner"])
        port = network.port(self.subject)
        if port.binding_host != was["binding_host"]:
            network.bind(self.subject, was["binding_host"])
        if port.dns_name != was["dns_name"]:
            network.set_dns_name(self.subject, was["dns_name"])
        if not set(addresses(port)) <= set(server.addresses):
            compute.refresh_port(self.server_id, self.subject)
            waiting.with_addresses(self.ctx, self.server_id, addresses(port))


class AwaitPort(Step):
    """Wait until a port of a running server is plugged, as its host's agent says.

    Changes nothing, so there is nothing to revert.
    """

    def __init__(self, ctx: Context, port_id: str) -> None:
        super().__init__(ctx, port_id)

    def execute(self, before: dict[str, Any]) -> None:
        was = before["ports"][self.subject]
        if before["identity"]["status"] == "ACTIVE" and was["status"] == "ACTIVE":
            waiting.port_active(self.ctx, self.subject)


def in_another_mode(step: Step, before: dict[str, Any], *port_ids: str) -> dict[str, Any] | None:
    """Return the residue of an undo: ports that are not bound in the mode that they had.

    Whatever binds a port anew binds it as the host's agent offers now, in an undo too.

    :param port_ids: which ports to look at; by default all that were recorded.
    """
    modes = before["identity"]["vif_modes"]
    network = step.ctx.cloud.network
    for port_id in port_ids or sorted(modes):
        try:
            port = network.port(port_id)
        except errors.UpgradeFlowsError as exc:
            return residue(step, network.port, (port_id,), exc)
        mode = step.ctx.plugins.mode_of(port)
        if mode != modes[port_id]:
            why = errors.StepFailed(
                f"port {port_id} is bound as {mode}; the host's agent no longer binds it as"
                f" {modes[port_id]}"
            )
            return residue(step, network.bind, (port_id, port.binding_host), why)
    return None


def addresses(port: Port) -> tuple[str, ...]:
    """Return the fixed addresses of a port."""
    return tuple(pair[1] for pair in port.fixed_ips)


def free(ctx: Context, port_id: str, but_for: str = "") -> Port:
    """Wait until a port belongs to nobody (or to ``but_for``), and return it."""
    return wait.until(
        ctx.cloud.clock,
        f"port {port_id} to be free",
        lambda: ctx.cloud.network.port(port_id),
        lambda port: port.device_id in ("", but_for),
        deadline_s=ctx.settings.port_s,
    )
