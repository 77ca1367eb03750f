"""What every step of a live update knows: the instance, its plan, and the guests of the two."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model.plan import Action
from upgrade_flows.plugins.base import Guest, GuestNic, WorkloadPlugin
from upgrade_flows.steps import ports
from upgrade_flows.steps.base import Context, Step


class LiveStep(Step):
    """A step whose subject is the original, or something that belongs to it or its surrogate."""

    def __init__(self, ctx: Context, action: Action, subject: str = "", **more: Any) -> None:
        super().__init__(ctx, subject or action.subject, **more)
        self.original = action.subject
        self.name_of_original = action.name
        self.details = action.details

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the workload plugin."""
        return dict(self.details["workload"]["settings"])

    @property
    def plugin(self) -> WorkloadPlugin:
        """The plugin that knows the workload.

        :raises PluginError: it is not installed in this process.
        """
        name = str(self.details["workload"]["plugin"])
        try:
            plugin: WorkloadPlugin = self.ctx.plugins.workload[name]
        except KeyError:
            known = ", ".join(sorted(self.ctx.plugins.workload)) or "none"
            raise errors.PluginError(
                f"there is no workload plugin {name!r} (known: {known})"
            ) from None
        return plugin

    @property
    def hot(self) -> bool:
        """Whether the workload lets go of everything by itself, with the original running on."""
        return bool(self.details["cut"] == "hot")

    def guest(self, recorded: dict[str, Any]) -> Guest:
        """Return the original as the workload plugin reaches it."""
        return self._guest(self.original, "original", tuple(recorded["addresses"]), recorded)

    def surrogate(
        self,
        server_id: str,
        health: dict[str, Any],
        recorded: dict[str, Any],
        ports_left: bool = True,
    ) -> Guest:
        """Return the surrogate as the workload plugin reaches it, by its own port first.

        :param ports_left: whether the original has let go of its ports, or may have; as long as
            it has not, whoever answers at their addresses is the original.
        """
        carried = recorded["addresses"] if ports_left else ()
        addresses = (*health["addresses"], *carried)
        return self._guest(server_id, "surrogate", addresses, recorded)

    def _guest(
        self, server_id: str, role: str, addresses: tuple[str, ...], recorded: dict[str, Any]
    ) -> Guest:
        return Guest(
            server_id=server_id,
            name=self.name_of_original,
            role=role,
            addresses=addresses,
            nics=tuple(
                GuestNic(nic["mac"], tuple(nic["addresses"]), nic["gateway"])
                for nic in recorded["nics"]
            ),
            volumes=tuple(self.details["volumes"]),
            console=lambda: self.ctx.cloud.compute.console(server_id),
        )


def exists(ctx: Context, server_id: str) -> bool:
    """Whether a server is there, and not on its way out."""
    try:
        server = ctx.cloud.compute.server(server_id)
    except errors.NotFound:
        return False
    return server.status not in ("DELETED", "SOFT_DELETED") and server.task_state != "deleting"


def delete_server(step: LiveStep, server_id: str) -> None:
    """Delete one of the two servers, as soon as Nova has forgotten the ports that have left it.

    When it deletes a server, Nova unbinds the ports that its cache has of it, whoever holds them
    by now; and it rewrites that cache only some time after they have left.
    """
    ctx = step.ctx
    for port in _remembered(step, server_id):
        for now in ctx.cloud.network.ports(mac_address=port["mac"]):
            ctx.cloud.compute.refresh_port(server_id, now.id)
    wait.until(
        ctx.cloud.clock,
        f"Nova to forget the ports that have left server {server_id}",
        lambda: _remembered(step, server_id),
        lambda left: not left,
        deadline_s=ctx.settings.port_s,
    )
    ctx.cloud.compute.delete(server_id)


def _remembered(step: LiveStep, server_id: str) -> list[dict[str, Any]]:
    """Return the plan's ports that Nova takes for a server's though they are not."""
    held = list(step.ctx.cloud.network.ports(device_id=server_id))
    macs = {port.mac_address for port in held}
    known = set(step.ctx.cloud.compute.server(server_id).addresses)
    known -= {address for port in held for address in ports.addresses(port)}
    return [
        port
        for port in step.details["ports"]
        if port["mac"] not in macs and known & set(port["addresses"])
    ]
