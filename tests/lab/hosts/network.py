"""The links between the hosts, the prober and the control plane."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from tests.lab.hosts.layout import (
    BRIDGE,
    CONTROL_ADDRESSES,
    CONTROL_LINK,
    CONTROL_PLANE,
    FABRIC,
    FABRIC_ADDRESSES,
    Host,
)
from tests.lab.settings import Settings


def make_fabric() -> None:
    """Make the bridge in a namespace of its own, and the machine's link to it."""
    if exists(FABRIC):
        return
    _run("ip", "netns", "add", FABRIC)
    _in(FABRIC, "link", "set", "lo", "up")
    _in(FABRIC, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
    _in(FABRIC, "link", "set", BRIDGE, "up")
    for address in FABRIC_ADDRESSES:
        _in(FABRIC, "addr", "add", address, "dev", BRIDGE)
    _no_checksum_offload(FABRIC, BRIDGE)
    _run("ip", "link", "add", CONTROL_LINK, "type", "veth", "peer", "name", "cp", "netns", FABRIC)
    _in(FABRIC, "link", "set", "cp", "master", BRIDGE, "up")
    for address in CONTROL_ADDRESSES:
        _run("ip", "addr", "add", address, "dev", CONTROL_LINK)
    _run("ip", "link", "set", CONTROL_LINK, "up")
    _run("ethtool", "-K", CONTROL_LINK, "tx", "off")
    # packets to a loopback address may come in here
    Path(f"/proc/sys/net/ipv4/conf/{CONTROL_LINK}/route_localnet").write_text("1")


def make_host_links(host: Host, settings: Settings) -> None:
    """Give a host eth0 for management and eth1 as the uplink of its guests' switch."""
    name = host.namespace
    if exists(name):
        return
    _run("ip", "netns", "add", name)
    _in(name, "link", "set", "lo", "up")
    for peer, link in ((f"ufm{host.number}", "eth0"), (f"ufd{host.number}", "eth1")):
        ends = ("type", "veth", "peer", "name", link, "netns", name)
        _run("ip", "link", "add", peer, "netns", FABRIC, *ends)
        _in(FABRIC, "link", "set", peer, "master", BRIDGE, "up")
        _in(name, "link", "set", link, "up")
    # the switch runs in user space, where nobody completes checksums
    _no_checksum_offload(FABRIC, f"ufd{host.number}")
    _no_checksum_offload(name, "eth1")
    _in(name, "addr", "add", f"{host.address}/24", "dev", "eth0")
    _route_to_control_plane(name, host.address, settings.vip)


def remove(hosts: list[Host]) -> None:
    """Remove all links and namespaces."""
    for name in (*(host.namespace for host in hosts), FABRIC):
        if exists(name):
            _run("ip", "netns", "del", name)
    with suppress(subprocess.CalledProcessError):
        _run("ip", "link", "del", CONTROL_LINK)


def exists(namespace: str) -> bool:
    """Return whether there is such a network namespace."""
    return Path("/run/netns", namespace).exists()


def _route_to_control_plane(namespace: str, source: str, vip: str) -> None:
    """Make a 127.x.x.x address of the machine reachable from a namespace, which has its own lo."""
    setting = "net.ipv4.conf.eth0.route_localnet=1"
    _run("ip", "netns", "exec", namespace, "sysctl", "-qw", setting)
    route = (f"{vip}/32", "via", CONTROL_PLANE, "dev", "eth0", "src", source, "table", "77")
    _in(namespace, "route", "add", *route)
    # before the table of local addresses, which has all of 127.0.0.0/8
    _in(namespace, "rule", "add", "pref", "77", "to", vip, "lookup", "77")
    _in(namespace, "rule", "add", "pref", "78", "lookup", "local")
    _in(namespace, "rule", "del", "pref", "0")


def _no_checksum_offload(namespace: str, link: str) -> None:
    _run("ip", "netns", "exec", namespace, "ethtool", "-K", link, "tx", "off")


def _in(namespace: str, *words: str) -> None:
    _run("ip", "-n", namespace, *words)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20)
