"""The keys of the hosts, and how an operator's ssh reaches them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.hosts import layout
from tests.lab.hosts.layout import Host
from tests.lab.settings import ROOT, Settings

TEMPLATES = ROOT / "hosts" / "templates"
HOST_KEY = "ssh_host_ed25519_key"
ENTRY = """\
Host {name}
    HostName {address}
    Port 22
    User root
    IdentityFile {shared}/ssh/id_ed25519
    IdentitiesOnly yes
    UserKnownHostsFile {shared}/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
    ConnectTimeout 10
    LogLevel ERROR
"""


def write_shared(settings: Settings) -> None:
    """Make the key that opens all hosts, each host's own, and the operator's configuration."""
    shared = layout.folder(settings)
    keys = shared / "ssh"  # /root/.ssh of every host
    if not (keys / "authorized_keys").exists():
        shutil.rmtree(keys, ignore_errors=True)
        keys.mkdir(mode=0o700, parents=True)
        _generate(keys / "id_ed25519")
        shutil.copy(keys / "id_ed25519.pub", keys / "authorized_keys")
    shutil.copy(TEMPLATES / "ssh_config", keys / "config")
    known, entries = [], []
    for host in layout.all_hosts(settings):
        key = host.folder / HOST_KEY
        if not key.exists():
            host.folder.mkdir(parents=True, exist_ok=True)
            _generate(key)
        public = key.with_suffix(".pub").read_text().split()[:2]
        known.append(" ".join([f"{host.name},{host.address}", *public]))
        entries.append(ENTRY.format(name=host.name, address=host.address, shared=shared))
    (shared / "known_hosts").write_text("\n".join(known) + "\n")
    _path(settings).write_text("\n".join(entries))


def write_host(host: Host, root: Path, settings: Settings) -> None:
    """Write what a host's sshd needs into its new root folder."""
    etc = root / "etc" / "ssh"
    etc.mkdir(parents=True, exist_ok=True)
    for name in (HOST_KEY, f"{HOST_KEY}.pub"):
        shutil.copy(host.folder / name, etc / name)
    shutil.copy(layout.folder(settings) / "ssh" / "authorized_keys", etc / "authorized_keys")
    text = (TEMPLATES / "sshd_config").read_text()
    (etc / "sshd_config").write_text(text.format(address=host.address))


def guest_key(settings: Settings | None = None) -> Path:
    """Return the private key that opens guests whose owner asked for it, made if need be."""
    path = layout.folder(settings or Settings.load()) / "guest" / "id_ed25519"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _generate(path)
    return path


def ssh_config() -> Path:
    """Return the operator's OpenSSH client configuration, which knows all hosts by name."""
    return _path(Settings.load())


def ssh(
    host: str, command: str, check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command on a host as the operator does."""
    argv = ["ssh", "-F", str(ssh_config()), host, command]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode:
        raise LabError(f"{host}: {command}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def _path(settings: Settings) -> Path:
    return layout.folder(settings) / "ssh_config"


def _generate(path: Path) -> None:
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.stem, "-f", str(path)]
    subprocess.run(keygen, check=True)
