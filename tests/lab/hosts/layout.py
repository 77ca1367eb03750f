"""Names, addresses and folders of the hosts that run real guests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.settings import ROOT, Settings

FABRIC = "uf-fabric"  # the network namespace that connects the hosts, and has the prober
BRIDGE = "fab"
MANAGEMENT = "10.77.0"
FABRIC_ADDRESSES = (f"{MANAGEMENT}.1/24", "10.88.0.1/24", "10.89.0.1/24")
CONTROL_PLANE = f"{MANAGEMENT}.254"  # the machine itself, which has the APIs on a loopback address
# and is in the guests' networks too, as an operator's machine may be
CONTROL_ADDRESSES = (f"{CONTROL_PLANE}/24", "10.88.0.254/24", "10.89.0.254/24")
CONTROL_LINK = "uf-cp"
SERVICES = ("ovsdb", "libvirtd", "sshd", "vswitchd", "nova-compute")
SCRIPTS = ROOT / "hosts" / "scripts"
SOCKET_DIR = "/run/openvswitch"
GUEST_MEMORY = "/var/lib/libvirt/memory"
GUEST_MEMORY_MB = 4096


@dataclass(frozen=True)
class Host:
    """One host: its number makes its addresses."""

    name: str
    number: int
    folder: Path

    @property
    def address(self) -> str:
        """The address for management and migrations."""
        return f"{MANAGEMENT}.{10 + self.number}"

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"uf-{self.name}"

    @property
    def process(self) -> str:
        """The name of the process that holds its namespaces."""
        return f"host-{self.name}"

    @property
    def ovsdb(self) -> Path:
        """The socket of its Open vSwitch database, as seen from outside."""
        return self.folder / "run" / "openvswitch" / "db.sock"

    @property
    def libvirt_uri(self) -> str:
        """How libvirt's tools reach its libvirtd from outside."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt/libvirt-sock"


def folder(settings: Settings) -> Path:
    """Return the folder of what all hosts share and of each host."""
    return settings.run / "hosts"


def all_hosts(settings: Settings) -> list[Host]:
    """Return the hosts, in order."""
    names = enumerate(settings.virt_hosts, start=1)
    return [Host(name, number, folder(settings) / name) for number, name in names]


def host(name: str, settings: Settings | None = None) -> Host:
    """Return a host by its name."""
    for known in all_hosts(settings or Settings.load()):
        if known.name == name:
            return known
    raise KeyError(f"{name} is none of the hosts with real guests")
