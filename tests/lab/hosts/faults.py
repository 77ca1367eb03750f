"""What is wrong with a host, as tests want it: a file each, which its scripts look for."""

from __future__ import annotations

from tests.lab.hosts import layout, migrations
from tests.lab.settings import Settings


def stay_down(host: str) -> None:
    """Let a host not come back from its next reboot until it is switched on."""
    _set(host, "stay-down", "")


def without_compute(host: str, on: bool = True) -> None:
    """Let nova-compute fail whenever it is started; one that runs is left alone."""
    _set(host, "without-compute", "" if on else None)


def slow_boot(host: str, seconds: float) -> None:
    """Let every boot take so much longer before anything is started."""
    _set(host, "slow-boot", str(seconds) if seconds else None)


def break_package(host: str, on: bool = True) -> None:
    """Let the installation of lab-kernel fail in its script postinst."""
    _set(host, "break-package", "" if on else None)


def mend(*hosts: str) -> None:
    """Put away all faults of these hosts, or of all."""
    settings = Settings.load()
    for host in layout.all_hosts(settings):
        if not hosts or host.name in hosts:
            for fault in host.faults.glob("*"):
                fault.unlink()
            migrations.forget(host, settings)


def slowness(host: layout.Host) -> float:
    """Return by how many seconds a host's boot is delayed."""
    path = host.faults / "slow-boot"
    return float(path.read_text()) if path.exists() else 0.0


def _set(name: str, fault: str, text: str | None) -> None:
    path = layout.host(name).faults / fault
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
