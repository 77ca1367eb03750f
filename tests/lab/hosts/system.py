"""The system files that a host has for itself: made once, copied to each host, compared."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from tests.lab import packages
from tests.lab.hosts import access, debs, layout
from tests.lab.hosts.layout import Host
from tests.lab.settings import Settings

AGENT_CONF = "vhost_sock_dir = /old\ngroup = root\n"
APT_CONF = """\
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
FILES = {
    "etc/apt/apt.conf.d/lab": APT_CONF,
    "etc/apt/sources.list.d/lab-old.list": debs.source("old") + "\n",
    "etc/dpkg/dpkg.cfg.d/lab": "force-unsafe-io\n",
    "etc/lab/agent.conf": AGENT_CONF,
    "etc/ld.so.preload": "/usr/lib/lab/uname.so\n",
    # there is no name server: do not wait for one
    "etc/resolv.conf": "options timeout:1 attempts:1\n",
    "var/lib/dpkg/status": "",
    "var/lib/dpkg/available": "",
}
FOLDERS = (
    "boot",
    "etc/apt/preferences.d",
    "etc/apt/trusted.gpg.d",
    "usr/lib/lab",
    "usr/share/lab-packages",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/lib/dpkg/info",
    "var/lib/dpkg/triggers",
    "var/lib/dpkg/updates",
)
PROGRAMS = {"systemctl": "usr/bin", "shutdown": "usr/sbin"}
LINKS = ("reboot", "poweroff", "halt")  # to shutdown
PASSING = ("var/lib/apt/", "var/cache/")  # what may differ on a host that is as new
HOLD = 'set -eu; . "$SCRIPTS/root.sh"; apt-get update; apt-get install --yes "$@"'


def make(settings: Settings) -> None:
    """Make the pattern of a host's system files, with the packages of the old source."""
    pattern, made_of = _pattern(settings), _pattern(settings) / "made-of"
    digest = _digest(settings)
    if made_of.exists() and made_of.read_text() == digest:
        return
    shutil.rmtree(pattern, ignore_errors=True)
    debs.build(layout.folder(settings) / "packages")
    root = pattern / "root"
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    names = [f"{host.address} {host.name}" for host in layout.all_hosts(settings)]
    (root / "etc/hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
    for name, directory in PROGRAMS.items():
        (root / directory).mkdir(parents=True, exist_ok=True)
        shutil.copy(layout.SCRIPTS / "bin" / name, root / directory / name)
    for name in LINKS:
        (root / "usr/sbin" / name).symlink_to("shutdown")
    library = root / "usr/lib/lab/uname.so"
    log = settings.log / "hosts.out"
    flags = ["-shared", "-fPIC", "-O2", "-o", library]
    packages.run(["gcc", *flags, layout.SCRIPTS / "uname.c"], log)
    (pattern / "log").mkdir()
    variables = {
        "FOLDER": str(pattern),
        "SHARED": str(layout.folder(settings)),
        "SCRIPTS": str(layout.SCRIPTS),
        "DEBIAN_FRONTEND": "noninteractive",
    }
    wanted = debs.SOURCES["old"]
    packages.run(["unshare", "--mount", "bash", "-c", HOLD, "bash", *wanted], log, variables)
    made_of.write_text(digest)


def write_host(host: Host, settings: Settings) -> None:
    """Give a host that is off the system files of a new one, unless it has some already."""
    digest = (_pattern(settings) / "made-of").read_text()
    seal = _seal(host)
    if not seal.exists() or json.loads(seal.read_text())["made of"] != digest:
        renew(host, settings)


def renew(host: Host, settings: Settings) -> None:
    """Give a host that is off the system files of a new one."""
    pattern, root, seal = _pattern(settings), host.folder / "root", _seal(host)
    seal.unlink(missing_ok=True)
    for folder in (root, host.folder / "work"):
        shutil.rmtree(folder, ignore_errors=True)
    # extended attributes and all
    subprocess.run(["cp", "--archive", str(pattern / "root"), str(root)], check=True)
    access.write_host(host, root, settings)
    (root / "etc/hostname").write_text(f"{host.name}\n")
    made_of = (pattern / "made-of").read_text()
    seal.write_text(json.dumps({"made of": made_of, "files": _listed(root)}))


def is_new(host: Host) -> bool:
    """Return whether the system files of a host are as those of a new one."""
    seal = _seal(host)
    return seal.exists() and json.loads(seal.read_text())["files"] == _listed(host.folder / "root")


def _listed(root: Path) -> dict[str, list[int]]:
    """Return all files (not those that change in passing) with mode, size and time."""
    result = {}
    for path in sorted(root.rglob("*")):
        name, found = str(path.relative_to(root)), path.lstat()
        if not path.is_dir() and not name.startswith(PASSING):
            result[name] = [found.st_mode, found.st_size, found.st_mtime_ns]
    return result


def _digest(settings: Settings) -> str:
    files = [Path(__file__), Path(debs.__file__), layout.SCRIPTS / "uname.c"]
    files += sorted((layout.SCRIPTS / "bin").iterdir())
    texts = [file.read_bytes() for file in files]
    hosts = [f"{host.name} {host.address}" for host in layout.all_hosts(settings)]
    return hashlib.sha256(b"\0".join([*texts, repr(hosts).encode()])).hexdigest()


def _pattern(settings: Settings) -> Path:
    return layout.folder(settings) / "pattern"


def _seal(host: Host) -> Path:
    return host.folder / "root.json"
