"""Names, addresses and folders of the lab's hosts: those that run real guests, and the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.settings import ROOT, Settings

FABRIC = "uf-fabric"  # the network namespace that connects the virt hosts, and has the prober
BRIDGE = "fab"
MANAGEMENT = "10.77.0"
FABRIC_ADDRESSES = (f"{MANAGEMENT}.1/24", "10.88.0.1/24", "10.89.0.1/24")
CONTROL_PLANE = f"{MANAGEMENT}.254"  # the machine itself, which has the APIs on a loopback address
# and is in the guests' networks too, as an operator's machine may be
CONTROL_ADDRESSES = (f"{CONTROL_PLANE}/24", "10.88.0.254/24", "10.89.0.254/24")
CONTROL_LINK = "uf-cp"
LOOPBACK = "127.0.8"  # a fake host has an address of the machine's own
VIRT, FAKE = "virt", "fake"
SERVICES = {  # kind of host: its services, in the order of their start
    VIRT: ("ovsdb", "libvirtd", "sshd", "vswitchd", "nova-compute"),
    FAKE: ("sshd", "nova-compute"),
}
SCRIPTS = ROOT / "hosts" / "scripts"
SOCKET_DIR = "/run/openvswitch"
GUEST_MEMORY = "/var/lib/libvirt/memory"
GUEST_MEMORY_MB = 4096


@dataclass(frozen=True)
class Host:
    """One host: its kind and number make its addresses."""

    name: str
    number: int
    folder: Path
    kind: str = VIRT

    @property
    def services(self) -> tuple[str, ...]:
        """What it starts when it boots."""
        return SERVICES[self.kind]

    @property
    def address(self) -> str:
        """The address for management and migrations."""
        if self.kind == FAKE:
            return f"{LOOPBACK}.{self.number}"
        return f"{MANAGEMENT}.{10 + self.number}"

    @property
    def namespace(self) -> str:
        """The name of its network namespace; a fake host is in the machine's."""
        return "" if self.kind == FAKE else f"uf-{self.name}"

    @property
    def process(self) -> str:
        """The name of the process that supervises it, and ends with its power."""
        return f"host-{self.name}"

    @property
    def faults(self) -> Path:
        """The folder of what is wrong with it, one file each (see faults.py)."""
        return self.folder / "faults"

    @property
    def ovsdb(self) -> Path:
        """The socket of its Open vSwitch database, as seen from outside."""
        return self.folder / "run" / "openvswitch" / "db.sock"

    @property
    def libvirt_uri(self) -> str:
        """How libvirt's tools reach its libvirtd from outside."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt/libvirt-sock"

    def state(self, settings: Settings) -> Path:
        """Return the folder of its nova-compute."""
        return settings.run / "nova" / self.name if self.kind == FAKE else self.folder / "nova"

    def compute_conf(self, settings: Settings) -> Path:
        """Return what its nova-compute reads after nova.conf."""
        if self.kind == FAKE:
            return settings.etc / "nova" / f"{self.name}.conf"
        return Path("/var/lib/nova/nova-compute.conf")


def folder(settings: Settings) -> Path:
    """Return the folder of what all hosts share and of each host."""
    return settings.run / "hosts"


def virt_hosts(settings: Settings) -> list[Host]:
    """Return the hosts that run real guests, in order."""
    names = enumerate(settings.virt_hosts, start=1)
    return [Host(name, number, folder(settings) / name) for number, name in names]


def fake_hosts(settings: Settings) -> list[Host]:
    """Return the hosts on Nova's fake driver, in order."""
    names = enumerate(settings.fake_hosts, start=1)
    return [Host(name, number, folder(settings) / name, FAKE) for number, name in names]


def all_hosts(settings: Settings) -> list[Host]:
    """Return the hosts of both kinds."""
    return [*fake_hosts(settings), *virt_hosts(settings)]


def host(name: str, settings: Settings | None = None) -> Host:
    """Return a host by its name."""
    for known in all_hosts(settings or Settings.load()):
        if known.name == name:
            return known
    raise KeyError(f"{name} is none of the hosts of the lab")
