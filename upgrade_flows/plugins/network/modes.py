"""The plug modes of Open vSwitch hosts, worked out as Neutron's mechanism driver does.

Source: ``neutron/plugins/ml2/drivers/openvswitch/mech_driver/mech_openvswitch.py``
(``get_vif_type``, ``_pre_get_vif_details``, ``get_vhost_mode``) of Neutron 26.
"""

from __future__ import annotations

from upgrade_flows.model.inventory import Agent, Port
from upgrade_flows.plugins.base import VifMode

DEFAULT_BRIDGE = "br-int"
DEFAULT_SOCKET_DIR = "/var/run/openvswitch"
VHOSTUSER_KINDS = ("dpdkvhostuser", "dpdkvhostuserclient")


def of_ovs(hybrid: bool, bridge: str) -> VifMode:
    """Return the mode of a port that is plugged with a tap device."""
    return VifMode("ovs-hybrid" if hybrid else "ovs", (("bridge", bridge),))


def of_vhostuser(kind: str, socket_dir: str, bridge: str) -> VifMode:
    """Return the mode of a port that is plugged with a vhost-user socket."""
    return VifMode(kind, (("bridge", bridge), ("socket_dir", socket_dir)))


def from_agent(port: Port, agent: Agent) -> VifMode:
    """Return the mode in which Neutron would bind a port on the agent's host now."""
    config = agent.configurations
    bridge = str(config.get("integration_bridge") or DEFAULT_BRIDGE)
    interfaces = (config.get("ovs_capabilities") or {}).get("iface_types") or []
    offered = [kind for kind in reversed(VHOSTUSER_KINDS) if kind in interfaces]
    if config.get("datapath_type") == "netdev" and offered:
        return of_vhostuser(
            offered[0], str(config.get("vhostuser_socket_dir") or DEFAULT_SOCKET_DIR), bridge
        )
    return of_ovs(bool(config.get("ovs_hybrid_plug")), bridge)
