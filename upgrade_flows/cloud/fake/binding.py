"""Port binding as ML2's Open vSwitch driver does it, from what the host's agent reports."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows.cloud.api import PortBinding
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Agent, Port

MODES = ("ovs", "ovs-hybrid", "dpdkvhostuser", "dpdkvhostuserclient")
_KERNEL = ("geneve", "gre", "internal", "patch", "system", "tap", "vxlan")
_UNBOUND = ("unbound", "binding_failed", "")


def configurations(
    mode: str, bridge: str = "br-int", socket_dir: str = "/var/run/openvswitch"
) -> dict[str, Any]:
    """Return what neutron-openvswitch-agent reports about a host in that mode."""
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known are {', '.join(MODES)}")
    dpdk = {
        "dpdkvhostuser": ["dpdk", "dpdkvhostuser"],
        "dpdkvhostuserclient": ["dpdk", "dpdkvhostuser", "dpdkvhostuserclient"],
    }.get(mode, [])
    return {
        "bridge_mappings": {"physnet1": "br-ex"},
        "integration_bridge": bridge,
        "tunnel_types": ["vxlan"],
        "datapath_type": "netdev" if dpdk else "system",
        "ovs_capabilities": {
            "datapath_types": ["netdev", "system"],
            "iface_types": sorted([*dpdk, *_KERNEL]),
        },
        "vhostuser_socket_dir": socket_dir,
        "ovs_hybrid_plug": mode == "ovs-hybrid",
        "l2_population": False,
        "extensions": [],
    }


def vif(agent: Agent, port_id: str) -> tuple[str, dict[str, Any]]:
    """Return the VIF type and details that a binding on the agent's host gets now.

    ``vhostuser_mode`` is QEMU's side: it is the server where Open vSwitch is the client.
    """
    reported = agent.configurations
    kinds = reported["ovs_capabilities"]["iface_types"]
    details: dict[str, Any] = {
        "datapath_type": reported["datapath_type"],
        "bridge_name": reported["integration_bridge"],
        "connectivity": "l2",
    }
    vhost = reported["datapath_type"] == "netdev" and any("vhostuser" in kind for kind in kinds)
    if not vhost:
        return "ovs", {
            "port_filter": True,
            "ovs_hybrid_plug": reported["ovs_hybrid_plug"],
            **details,
        }
    return "vhostuser", {
        "port_filter": False,
        "ovs_hybrid_plug": False,
        "vhostuser_mode": "server" if "dpdkvhostuserclient" in kinds else "client",
        "vhostuser_ovs_plug": True,
        "vhostuser_socket": f"{reported['vhostuser_socket_dir']}/vhu{port_id[:11]}",
        **details,
    }


def bound(port: Port) -> bool:
    """Whether a port has a working binding."""
    return bool(port.binding_host) and port.vif_type not in _UNBOUND


def bind(world: World, port_id: str, host: str) -> None:
    """Bind a port to a host.

    As in Neutron, naming the host that a port is bound to already changes nothing: the VIF
    is worked out anew only if the host changes, or if there is no working binding.
    """
    port = world.port(port_id)
    if port.binding_host == host and bound(port):
        return
    kind, details = _vif_on(world, port_id, host)
    forget(world, port_id, host)
    world.put_port(dataclasses.replace(port, binding_host=host, vif_type=kind, vif_details=details))


def prepare(world: World, port_id: str, host: str) -> PortBinding:
    """Give a port an INACTIVE binding on a host where its server is to come."""
    kind, details = _vif_on(world, port_id, host)
    port = world.port(port_id)
    made = PortBinding(host, False, kind, details, port.vnic_type, dict(port.binding_profile))
    world.bindings.setdefault(port_id, {})[host] = made
    return made


def activate(world: World, port_id: str, host: str) -> None:
    """Make the INACTIVE binding on a host the port's own; the one of before is gone."""
    made = world.bindings.get(port_id, {}).get(host)
    if made is None:
        bind(world, port_id, host)
        return
    forget(world, port_id, host)
    world.put_port(
        dataclasses.replace(
            world.port(port_id),
            binding_host=host,
            vif_type=made.vif_type,
            vif_details=made.vif_details,
        )
    )


def forget(world: World, port_id: str, host: str) -> None:
    """Delete the INACTIVE binding on a host, if there is one."""
    others = world.bindings.get(port_id, {})
    others.pop(host, None)
    if not others:
        world.bindings.pop(port_id, None)


def listed(world: World, port_id: str) -> tuple[PortBinding, ...]:
    """Return all bindings of a port, the ACTIVE one first."""
    port = world.port(port_id)
    others = sorted(world.bindings.get(port_id, {}).items())
    own = PortBinding(
        port.binding_host,
        True,
        port.vif_type,
        dict(port.vif_details),
        port.vnic_type,
        dict(port.binding_profile),
    )
    active = (own,) if port.binding_host else ()
    return (*active, *(item for _, item in others))


def unbind(world: World, port_id: str) -> None:
    """Take a port's binding away; the DNS name and the owner stay."""
    world.put_port(
        dataclasses.replace(
            world.port(port_id), binding_host="", vif_type="unbound", vif_details={}
        )
    )


def release(world: World, port_id: str) -> None:
    """Unbind a port as Nova does when a server lets go of it: owner and DNS name go too."""
    unbind(world, port_id)
    world.bindings.pop(port_id, None)
    world.put_port(
        dataclasses.replace(world.port(port_id), device_id="", device_owner="", dns_name="")
    )


def _vif_on(world: World, port_id: str, host: str) -> tuple[str, dict[str, Any]]:
    record = world.hosts.get(host)
    if record is None or not record.agent.alive:
        return "binding_failed", {}
    return vif(record.agent, port_id)
