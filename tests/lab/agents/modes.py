"""What the Open vSwitch agent of a host reports about its data plane, by mode."""

from __future__ import annotations

import json
from pathlib import Path

MODES = ("ovs", "ovs-hybrid", "dpdkvhostuser", "dpdkvhostuserclient")
DEFAULTS = {
    "mode": "ovs",
    "socket_dir": "/var/lib/vhost_sockets",
    "alive": True,
    "bridge": "br-int",
}


def path_of(folder: Path, host: str) -> Path:
    """Return the file that says how a host's agent behaves."""
    return folder / f"{host}.json"


def read(folder: Path, host: str) -> dict:
    """Return how the agent of a host behaves; what its file leaves out is at its default."""
    path = path_of(folder, host)
    return {**DEFAULTS, **(json.loads(path.read_text()) if path.exists() else {})}


def configurations(behaviour: dict) -> dict:
    """Return the part of the agent's report that Neutron binds ports by."""
    mode = behaviour["mode"]
    vhost_user = mode.startswith("dpdkvhostuser")
    interface_types = ["dpdkvhostuser"] if vhost_user else []
    if mode == "dpdkvhostuserclient":
        interface_types.append("dpdkvhostuserclient")
    result = {
        "datapath_type": "netdev" if vhost_user else "system",
        "integration_bridge": behaviour["bridge"],
        "ovs_hybrid_plug": mode == "ovs-hybrid",
        "ovs_capabilities": {"datapath_types": [], "iface_types": interface_types},
    }
    if vhost_user:
        result["vhostuser_socket_dir"] = behaviour["socket_dir"]
    return result
