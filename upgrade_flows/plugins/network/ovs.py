"""Open vSwitch ports, plain or hybrid-plugged: the mode is how and into which bridge."""

from __future__ import annotations

from upgrade_flows.model.inventory import Agent, Port
from upgrade_flows.plugins.base import NetworkPlugin, VifMode
from upgrade_flows.plugins.network import modes


class OvsNetwork(NetworkPlugin):
    """Ports whose VIF type is ``ovs``.

    Their mode changes with the firewall driver (``ovs_hybrid_plug``), the integration bridge,
    or when the host moves to OVS-DPDK.  None of these can be changed in place: Nova unplugs a
    stopped instance by the *new* binding when it starts it, so the devices of the old one
    (``qbr``, ``qvo``, a tap in the old bridge) would stay behind with the same ``iface-id``.
    """

    def claims(self, port: Port, agent: Agent | None) -> bool:
        return port.vif_type == "ovs"

    def bound_mode(self, port: Port) -> VifMode:
        return modes.of_ovs(
            bool(port.vif_details.get("ovs_hybrid_plug")),
            str(port.vif_details.get("bridge_name") or modes.DEFAULT_BRIDGE),
        )

    def wanted_mode(self, port: Port, agent: Agent) -> VifMode:
        return modes.from_agent(port, agent)

    def rebind_refusal(self, port: Port, wanted: VifMode) -> str | None:
        now = self.bound_mode(port)
        if now == wanted:
            return None
        return (
            f"the devices that port {port.id} is plugged with as {now} would stay on the host"
            f" when it is plugged as {wanted}"
        )

    def live_migration_refusal(self, port: Port, wanted: VifMode) -> str | None:
        now = self.bound_mode(port)
        if now == wanted:
            return None
        return (
            f"port {port.id} is plugged as {now}, the destination binds it as {wanted}: the"
            " guest would arrive with a NIC that does not fit its port"
        )
