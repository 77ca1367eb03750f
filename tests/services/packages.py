"""The Debian packages that the private servers are made of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.services.errors import ServiceError

PACKAGES = {
    "redis": ("redis-server",),
    "etcd": ("etcd-server",),
    "zookeeper": ("zookeeper",),  # brings a Java runtime
    "postgresql": ("postgresql",),
    "mariadb": ("mariadb-server",),
}
# what these packages would run, and start again with the machine
SYSTEM_SERVICES = {
    "redis-server": "redis-server",
    "etcd-server": "etcd",
    "postgresql": "postgresql",
    "mariadb-server": "mariadb",
}
POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL_SECONDS = 1800


def missing(*names: str) -> tuple[str, ...]:
    """Return the packages of these servers that are not installed."""
    wanted = sorted({package for name in names for package in packages_of(name)})
    if not wanted:
        return ()
    if not shutil.which("dpkg-query"):
        return tuple(wanted)
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *wanted]
    lines = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout.splitlines()
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return tuple(package for package in wanted if package not in installed)


def install(*names: str) -> tuple[str, ...]:
    """Install what is missing, none of it running by itself; return what that was.

    The services of packages that were there before stay as they are.
    """
    wanted = missing(*names)
    if not wanted:
        return ()
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServiceError(
            "these Debian 12 packages are missing, and only root on Debian can install them: "
            + " ".join(wanted)
        )
    apt = ["apt-get", "--option=DPkg::Lock::Timeout=600", "--quiet"]
    with _no_services():
        _run([*apt, "update"])
        _run([*apt, "install", "--yes", "--no-install-recommends", *wanted])
    for service in filter(None, map(SYSTEM_SERVICES.get, wanted)):
        _run(["update-rc.d", service, "disable"])
    return wanted


def packages_of(name: str) -> tuple[str, ...]:
    """Return the packages of a server."""
    try:
        return PACKAGES[name]
    except KeyError:
        known = ", ".join(sorted(PACKAGES))
        raise ServiceError(f"there is no server called {name!r}; there are {known}") from None


def _run(argv: Sequence[str]) -> None:
    result = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        timeout=INSTALL_SECONDS,
    )
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-10:])
        raise ServiceError(f"{' '.join(argv[:5])} ... failed:\n{tail}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep Debian from starting its own services while it installs packages."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
