"""OVS-DPDK ports (vhost-user): the mode is which side, OVS or QEMU, owns the socket."""

from __future__ import annotations

from upgrade_flows.model.inventory import Agent, Port
from upgrade_flows.plugins.base import NetworkPlugin, VifMode
from upgrade_flows.plugins.network import modes


class OvsDpdkNetwork(NetworkPlugin):
    """Ports whose VIF type is ``vhostuser`` and which OVS plugs.

    ``dpdkvhostuser``: OVS is the server and QEMU the client (``vhostuser_mode`` names QEMU's
    side, so it is ``client``); the guest loses its network for good when OVS restarts.
    ``dpdkvhostuserclient``: QEMU is the server (``vhostuser_mode`` is ``server``), and OVS
    connects again.  The OVS port keeps its name in both, so the change can be made in place.
    """

    def claims(self, port: Port, agent: Agent | None) -> bool:
        return port.vif_type == "vhostuser"

    def bound_mode(self, port: Port) -> VifMode:
        details = port.vif_details
        return modes.of_vhostuser(
            "dpdkvhostuserclient" if details.get("vhostuser_mode") == "server" else "dpdkvhostuser",
            str(details.get("vhostuser_socket", "")).rpartition("/")[0],
            str(details.get("bridge_name") or modes.DEFAULT_BRIDGE),
        )

    def wanted_mode(self, port: Port, agent: Agent) -> VifMode:
        return modes.from_agent(port, agent)

    def rebind_refusal(self, port: Port, wanted: VifMode) -> str | None:
        now = self.bound_mode(port)
        if now == wanted or (
            wanted.kind in modes.VHOSTUSER_KINDS
            and dict(now.facts)["bridge"] == dict(wanted.facts)["bridge"]
        ):
            return None
        return (
            f"the OVS port that port {port.id} is plugged with as {now} would stay on the host"
            f" when it is plugged as {wanted}"
        )

    def live_migration_refusal(self, port: Port, wanted: VifMode) -> str | None:
        now = self.bound_mode(port)
        if now == wanted:
            return None
        return (
            f"port {port.id} is plugged as {now}, the destination binds it as {wanted}: the"
            " guest keeps its side of the socket over a live migration, so both ends would be"
            " clients, or both servers"
        )
