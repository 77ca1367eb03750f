"""What tests do to any host of the lab, with or without real guests."""

from __future__ import annotations

import datetime
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import waiting
from tests.lab.errors import LabError
from tests.lab.hosts import behaviour, debs, faults, layout, power, system
from tests.lab.settings import Settings

BOOT_SECONDS = 60
REPORT_SECONDS = 120
OLD_KERNEL = debs.RELEASES["1.0"]


def exec_(
    host: str, argv: Sequence[str | Path], check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a host; its output is in the result."""
    return power.run(layout.host(host), argv, check=check, timeout=timeout)


def power_off(host: str) -> None:
    """Cut the power of a host."""
    power.power_off(layout.host(host))


def power_on(host: str, wait: bool = True) -> None:
    """Switch a host on; ``wait`` until Nova (and for a virt host, Neutron) has heard of it."""
    settings = Settings.load()
    found = layout.host(host, settings)
    (found.faults / "stay-down").unlink(missing_ok=True)
    power.power_on(found, settings)
    if wait:
        wait_up(host)


def is_on(host: str) -> bool:
    """Return whether a host has power, though it may be booting."""
    return power.is_on(layout.host(host))


def boot_id(host: str) -> str:
    """Return which boot of a host this is; the last one, if it is off."""
    return _read(host, "boot_id")


def boots(host: str) -> int:
    """Return how often a host has booted."""
    return int(_read(host, "boots") or 0)


def kernel(host: str) -> str:
    """Return the release of the kernel that a host runs; the last one, if it is off."""
    return _read(host, "osrelease")


def service(host: str, action: str, name: str) -> None:
    """Start, stop or kill a service of a host (see layout.SERVICES)."""
    power.service(layout.host(host), action, name)


def services_of(host: str) -> dict[str, bool]:
    """Return which services of a host run."""
    return power.services_of(layout.host(host))


def wait_up(*hosts: str) -> None:
    """Wait until hosts have booted and Nova (and Neutron) has heard of them since."""
    settings = Settings.load()
    for name in hosts:
        wait_booted(layout.host(name, settings))
    times = {name: (layout.folder(settings) / name / "boot_id").stat().st_mtime for name in hosts}
    wait_compute({name: utc(when) for name, when in times.items()})
    for name in hosts:
        if layout.host(name, settings).kind == layout.VIRT:
            waiting.until(f"Neutron has the agent of {name}", lambda n=name: behaviour.reported(n))


def old(*hosts: str) -> None:
    """Make hosts as they are before an upgrade, and wait until Nova knows them.

    That is a power cycle, but nothing at all for a host that has not been changed.
    """
    settings = Settings.load()
    faults.mend(*hosts)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _old(name, settings), hosts))
    wait_up(*hosts)


def _old(name: str, settings: Settings) -> None:
    host = layout.host(name, settings)
    if not (system.is_new(host) and kernel(name) == OLD_KERNEL):
        power.power_off(host)
        system.renew(host, settings)
    power.power_on(host, settings)
    wait_booted(host)
    start_missing(host)


def start_missing(host: layout.Host) -> bool:
    """Start the services that do not run; return whether there were any."""
    missing = [name for name, runs in power.services_of(host).items() if not runs]
    if "libvirtd" in missing and "nova-compute" not in missing:
        # Nova disables a host without libvirtd, and only looks again within a minute
        power.service(host, "stop", "nova-compute")
        missing.append("nova-compute")
    for name in missing:
        power.service(host, "start", name)
    return bool(missing)


def wait_booted(host: layout.Host) -> None:
    """Wait until a host has started its services."""
    booted = host.folder / "run" / "booted"

    def done() -> bool:
        if not power.is_on(host):
            raise LabError(f"{host.name} has died: see {host.folder}/boot.log")
        return booted.exists()

    seconds = BOOT_SECONDS + faults.slowness(host)
    waiting.until(f"{host.name} has booted (see {host.folder}/boot.log)", done, seconds)


def wait_compute(since: Mapping[str, datetime.datetime | None]) -> None:
    """Wait until Nova has nova-compute of hosts as up, by a report after the time given."""
    from tests.lab import api

    nova = api.shared().compute

    def known() -> bool:
        up = {
            found.host: datetime.datetime.fromisoformat(found.updated_at[:19])
            for found in nova.services(binary="nova-compute")
            if found.state == "up" and found.updated_at
        }
        return all(
            name in up and (after is None or up[name] > after) for name, after in since.items()
        )

    waiting.until(f"nova-compute reports on {', '.join(since)}", known, REPORT_SECONDS)


def utc(when: float | None = None) -> datetime.datetime:
    """Return a time (now) as Nova reports it: without a fraction of a second."""
    return datetime.datetime.utcfromtimestamp(int(time.time() if when is None else when) - 1)


def _read(host: str, name: str) -> str:
    path = layout.host(host).folder / name
    return path.read_text().strip() if path.exists() else ""
