"""Write the folders and configuration files of a host."""

from __future__ import annotations

import grp
import pwd
import subprocess
import uuid
from pathlib import Path

from tests.lab import storage
from tests.lab.hosts import layout, system
from tests.lab.hosts.layout import Host
from tests.lab.settings import ROOT, Settings

TEMPLATES = ROOT / "hosts" / "templates"
FOLDERS = (
    "openvswitch/lib",
    "openvswitch/etc",
    "openvswitch/log",
    "libvirt/lib/memory",
    "libvirt/etc/qemu",
    "libvirt/log",
    "libvirt/cache",
    "nova/instances",
    "nova/log",
)
# what a host mounts its own folders on
MOUNT_POINTS = (
    "/var/lib/openvswitch",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/lib/nova",
)
KEYS = Path("/root/.ssh")


def prepare_machine(virt: bool = True) -> None:
    """Make the mount points, and (``virt``) the account that libvirt's QEMU driver asks for."""
    KEYS.mkdir(mode=0o700, exist_ok=True)
    if not virt:
        return
    for path in MOUNT_POINTS:
        Path(path).mkdir(parents=True, exist_ok=True)
    for name in ("kvm", "libvirt", "libvirt-qemu"):
        try:
            grp.getgrnam(name)
        except KeyError:
            subprocess.run(["groupadd", "--system", name], check=True)
    try:
        pwd.getpwnam("libvirt-qemu")
    except KeyError:
        options = ["--gid", "kvm", "--home-dir", "/var/lib/libvirt", "--shell", "/usr/sbin/nologin"]
        subprocess.run(["useradd", "--system", *options, "libvirt-qemu"], check=True)


def known(settings: Settings) -> bool:
    """Return whether this lab has (or had) hosts with real guests."""
    return any((host.folder / "uuid").exists() for host in layout.virt_hosts(settings))


def write_host(host: Host, settings: Settings) -> None:
    """Write the files of a host that is off."""
    for name in ("run", "log", "faults"):
        (host.folder / name).mkdir(parents=True, exist_ok=True)
    (host.folder / "run" / "booted").unlink(missing_ok=True)
    for name in ("boot_id", "osrelease"):
        (host.folder / name).touch()
    system.write_host(host, settings)
    if host.kind == layout.VIRT:
        _write_virt(host, settings)


def _write_virt(host: Host, settings: Settings) -> None:
    for name in FOLDERS:
        (host.folder / name).mkdir(parents=True, exist_ok=True)
    identity = host.folder / "uuid"
    if not identity.exists():
        identity.write_text(str(uuid.uuid4()))
    values = {
        "name": host.name,
        "address": host.address,
        "folder": host.folder,
        "uuid": identity.read_text(),
        "memory": layout.GUEST_MEMORY,
        "memory_mb": layout.GUEST_MEMORY_MB,
        "volumes": storage.mount_point(settings).parent,
    }
    for template, name in (
        ("libvirtd.conf", "libvirt/etc/libvirtd.conf"),
        ("qemu.conf", "libvirt/etc/qemu.conf"),
        ("nova-compute.conf", "nova/nova-compute.conf"),
    ):
        _write(host.folder / name, template, values)
    helper = host.folder / "mount.nfs"
    text = (TEMPLATES / "mount.nfs").read_text()
    helper.write_text(text.replace("{volumes}", str(values["volumes"])))
    helper.chmod(0o755)


def _write(path: Path, template: str, values: dict) -> None:
    path.write_text((TEMPLATES / template).read_text().format(**values))
