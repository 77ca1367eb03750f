"""Write the folders and configuration files of a host."""

from __future__ import annotations

import grp
import pwd
import shutil
import subprocess
import uuid
from pathlib import Path

from tests.lab import storage
from tests.lab.hosts import layout
from tests.lab.hosts.layout import Host
from tests.lab.settings import ROOT, Settings

TEMPLATES = ROOT / "hosts" / "templates"
FOLDERS = (
    "run/libvirt",
    "run/lock",
    "run/openvswitch",
    "run/sshd",
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
    "/etc/openvswitch",
    "/var/log/openvswitch",
    "/var/lib/libvirt",
    "/etc/libvirt",
    "/var/log/libvirt",
    "/var/cache/libvirt",
    "/var/lib/nova",
    "/root/.ssh",
)


def prepare_machine() -> None:
    """Make the mount points, and the account that libvirt's QEMU driver asks for."""
    for path in MOUNT_POINTS:
        Path(path).mkdir(mode=0o700 if path == "/root/.ssh" else 0o755, parents=True, exist_ok=True)
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


def write_shared(settings: Settings) -> None:
    """Write what all hosts have in common: names and ssh keys."""
    folder = layout.folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{host.address} {host.name}" for host in layout.all_hosts(settings)]
    (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
    # there is no name server: do not wait for one
    (folder / "resolv.conf").write_text("options timeout:1 attempts:1\n")
    ssh = folder / "ssh"
    if not (ssh / "authorized_keys").exists():
        shutil.rmtree(ssh, ignore_errors=True)
        ssh.mkdir(mode=0o700)
        for key in ("id_ed25519", "hostkey"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ssh / key)]
            subprocess.run(keygen, check=True)
        shutil.copy(ssh / "id_ed25519.pub", ssh / "authorized_keys")
    shutil.copy(TEMPLATES / "sshd_config", ssh / "sshd_config")
    shutil.copy(TEMPLATES / "ssh_config", ssh / "config")


def write_host(host: Host, settings: Settings) -> None:
    """Write the files of a host that is off."""
    shutil.rmtree(host.folder / "run", ignore_errors=True)
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
