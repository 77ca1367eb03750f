"""The Debian packages of the lab and the virtualenv of its services."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.settings import CONSTRAINTS, ROOT, Settings

CLOUD_PACKAGES = [
    "curl",
    "gcc",
    "libc6-dev",
    "mariadb-client",
    "mariadb-server",
    "memcached",
    "nfs-common",
    "procps",
    "python3-dev",
    "qemu-utils",
    "rabbitmq-server",
]
HOST_PACKAGES = [
    "iproute2",
    "openssh-client",
    "openssh-server",
    "python3-apt",  # Ansible's module apt
]
LIBVIRT_PACKAGES = [
    "bindfs",
    "busybox-static",
    "cpio",
    "dash",
    "dosfstools",
    "e2fsprogs",
    "ethtool",
    "fdisk",
    "fuse3",
    "genisoimage",
    "iputils-ping",
    "ipxe-qemu",
    "kmod",
    "librte-mempool-ring23",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-dev",
    "mtools",
    "openvswitch-switch",
    "openvswitch-switch-dpdk",
    "pkg-config",
    "qemu-block-extra",
    "qemu-system-x86",
    "seabios",
    "syslinux",
    "syslinux-common",
]
# what the guests for live updates have besides busybox: copied into their image
GUEST_PACKAGES = [
    "criu",
    "dropbear-bin",
    "iptables",
    "nftables",
    "util-linux",
]
# not on the list of constraints: they fit what Debian has
LIBVIRT_PYTHON = ["libvirt-python==9.0.0"]

POLICY = Path("/usr/sbin/policy-rc.d")


def install_debian(settings: Settings) -> bool:
    """Install the Debian packages that are missing; return whether there were any."""
    missing = missing_debian()
    if not missing:
        return False
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(
            "these Debian 12 packages are missing, and only root on Debian can install them: "
            + " ".join(missing)
        )
    log = settings.log / "apt.out"
    archives = settings.cache / "debs"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    apt = [
        "apt-get",
        "--option=DPkg::Lock::Timeout=600",
        "--option=APT::Keep-Downloaded-Packages=true",
        f"--option=Dir::Cache::Archives={archives}/",
        "--quiet",
    ]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        run([*apt, "update"], log, environment)
        run([*apt, "install", "--yes", "--no-install-recommends", *missing], log, environment)
    return True


def missing_debian() -> list[str]:
    """Return the packages that are not installed."""
    wanted = sorted({*CLOUD_PACKAGES, *HOST_PACKAGES, *LIBVIRT_PACKAGES, *GUEST_PACKAGES})
    if not shutil.which("dpkg-query"):
        return wanted
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *wanted]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def install_venv(settings: Settings) -> bool:
    """Make the virtualenv of the services as pinned; return whether it was missing."""
    venv, done = settings.venv, settings.venv / ".complete"
    fresh = not done.exists()
    if fresh:
        log = settings.log / "venv.out"
        uv = [sys.executable, "-m", "uv"]
        environment = {"UV_CACHE_DIR": str(settings.cache / "uv"), "UV_NO_PROGRESS": "1"}
        venv.parent.mkdir(parents=True, exist_ok=True)
        run([*uv, "venv", "--clear", "--no-project", "--python", _python(), venv], log, environment)
        install = [*uv, "pip", "install", "--compile-bytecode", "--python", venv / "bin/python"]
        run([*install, "--requirement", CONSTRAINTS, *LIBVIRT_PYTHON], log, environment)
    _adapt(settings)
    done.touch()
    return fresh


def _adapt(settings: Settings) -> None:
    """Add the lab's hypervisor driver to Nova, and mend what waits too long, or for ever."""
    packages = settings.site_packages
    # Nova loads its drivers from nova.virt only
    shutil.copyfile(ROOT / "driver" / "labvirt.py", packages / "nova" / "virt" / "lab.py")
    # The 2025.1 oslo.messaging looks for the reply of a call every half second (LP 2035113):
    # half a second for each of the forty calls of a live migration.
    driver = packages / "oslo_messaging" / "_drivers" / "amqpdriver.py"
    text = driver.read_text()
    if "time.sleep(0.5)" in text:
        driver.write_text(text.replace("time.sleep(0.5)", "time.sleep(0.01)"))
    # Nova uploads a snapshot in a native thread.  Where another one renews Nova's token at that
    # moment, it waits for ever for eventlet's lock, and so does the instance.
    glance = packages / "nova" / "image" / "glance.py"
    text = glance.read_text()
    if "utils.tpool_execute(self._client.call," in text:
        glance.write_text(
            text.replace("utils.tpool_execute(self._client.call,", "self._client.call(")
        )


def _python() -> str:
    """Return a Python 3.11, which is what the constraints are made for."""
    found = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if not found:
        raise LabError("the services of the lab need Python 3.11, and there is no python3.11")
    return found


def run(argv: list[str | Path], log: Path, env: dict[str, str] | None = None) -> None:
    """Run a command with its output at the end of a log file, which a failure points to."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in argv]
    with log.open("ab") as output:
        result = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise LabError(f"{' '.join(words[:6])} ... failed, see {log}:\n{tail}")


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
