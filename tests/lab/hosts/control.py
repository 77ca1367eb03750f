"""Bring the hosts with real guests up and down, and do to them what tests need."""

from __future__ import annotations

import datetime
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab import processes, services, waiting
from tests.lab.errors import LabError
from tests.lab.hosts import behaviour, files, layout, network, power, seed
from tests.lab.hosts.layout import Host
from tests.lab.settings import ROOT, Settings

BOOT_SECONDS = 60
REPORT_SECONDS = 120


def up() -> None:
    """Switch all hosts on and wait until Nova and Neutron know them; the cloud must run."""
    settings = Settings.load()
    hosts = layout.all_hosts(settings)
    started = _utc_now()
    files.prepare_machine()
    files.write_shared(settings)
    network.make_fabric()
    booted = [host for host in hosts if power.power_on(host, settings)]
    _start_agent(settings, hosts)
    seed.basics()
    since: dict[str, datetime.datetime | None] = {}
    for host in hosts:
        _wait_booted(host)
        restarted = _start_missing(host)
        since[host.name] = started if host in booted or restarted else None
    _wait_reports(settings, since)


def reset() -> None:
    """Give the hosts back as ``up`` made them, agents' modes included, if there are any hosts."""
    settings = Settings.load()
    if layout.folder(settings).exists():
        for name in settings.virt_hosts:
            behaviour.set_mode(name, "ovs", wait=False)
        up()
        for name in settings.virt_hosts:
            sweep(name)


def down() -> None:
    """Switch all hosts off and remove all links; their disks stay."""
    settings = Settings.load()
    if not layout.folder(settings).exists():
        return  # what is there belongs to another lab: the names of links are the machine's
    hosts = layout.all_hosts(settings)
    with ThreadPoolExecutor() as pool:
        list(pool.map(power.power_off, hosts))
    processes.stop(behaviour.PROCESS, grace=1.5)
    network.remove(hosts)


def exec_(
    host: str, argv: Sequence[str | Path], check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a host; its output is in the result."""
    return power.run(layout.host(host), argv, check=check, timeout=timeout)


def power_off(host: str) -> None:
    """Cut the power of a host."""
    power.power_off(layout.host(host))


def power_on(host: str, wait: bool = True) -> None:
    """Switch a host on; ``wait`` until Nova has heard of it."""
    settings, started = Settings.load(), _utc_now()
    power.power_on(layout.host(host, settings), settings)
    if wait:
        _wait_booted(layout.host(host, settings))
        _wait_reports(settings, {host: started})


def service(host: str, action: str, name: str) -> None:
    """Start, stop or kill a service of a host (see layout.SERVICES)."""
    power.service(layout.host(host), action, name)


def restart_vswitchd(host: str) -> None:
    """Restart the data plane of a host's switch, which forgets all vhost-user connections."""
    service(host, "stop", "vswitchd")
    service(host, "start", "vswitchd")


def set_mode(host: str, mode: str, wait: bool = True, **changes: Any) -> None:
    """Have a host's network agent offer taps (ovs) or one of the two kinds of vhost-user ports."""
    behaviour.set_mode(host, mode, wait, **changes)


def services_of(host: str) -> dict[str, bool]:
    """Return which services of a host run."""
    found = layout.host(host)
    script = 'for s; do kill -0 "$(cat /run/$s.pid)" 2>/dev/null && echo $s; done; true'
    words = ["bash", "-c", script, "bash", *layout.SERVICES]
    running = power.run(found, words).stdout.split()
    return {name: name in running for name in layout.SERVICES}


def status() -> dict[str, dict[str, Any]]:
    """Return of each host: whether it is on, its services, guests and switch ports."""
    result: dict[str, dict[str, Any]] = {}
    for host in layout.all_hosts(Settings.load()):
        pid = power.init_pid(host)
        result[host.name] = {"pid": pid}
        if pid:
            ports = ["ovs-vsctl", "--timeout=5", "list-ports", "br-int"]
            guests = ["virsh", "list", "--all", "--name"]
            result[host.name] |= {
                "services": services_of(host.name),
                "guests": exec_(host.name, guests, check=False).stdout.split(),
                "ports": exec_(host.name, ports, check=False).stdout.split(),
            }
    return result


def sweep(host: str) -> list[str]:
    """Remove switch ports of guests that are not on the host, and return their names.

    Nova leaves some at the target of a failed live migration between kinds of ports.
    """
    guests = exec_(host, ["virsh", "list", "--all", "--uuid"]).stdout.split()
    listed = exec_(host, ["ovs-vsctl", "--timeout=5", "list-ports", "br-int"]).stdout.split()
    swept = []
    for port in (name for name in listed if name.startswith(("tap", "vhu"))):
        query = ["ovs-vsctl", "--if-exists", "get", "Interface", port, "external_ids:vm-uuid"]
        if exec_(host, query).stdout.strip().strip('"') not in guests:
            exec_(host, ["ovs-vsctl", "--timeout=5", "--if-exists", "del-port", "br-int", port])
            swept.append(port)
    return swept


def _start_agent(settings: Settings, hosts: list[Host]) -> None:
    behaviour.write_missing(settings)
    variables = {
        **services.environment(settings),
        "LAB_TRANSPORT_URL": settings.amqp_url,
        "PYTHONPATH": str(ROOT.parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv: list[str | Path] = [settings.venv / "bin" / "python", "-m", "tests.lab.hosts.agent"]
    sockets = [f"{host.name}={host.ovsdb}" for host in hosts]
    processes.start(behaviour.PROCESS, [*argv, settings.agents, *sockets], variables)


def _start_missing(host: Host) -> bool:
    """Start the services that do not run; return whether there were any."""
    missing = [name for name, runs in services_of(host.name).items() if not runs]
    if "libvirtd" in missing and "nova-compute" not in missing:
        # Nova disables a host without libvirtd, and only looks again within a minute
        power.service(host, "stop", "nova-compute")
        missing.append("nova-compute")
    for name in missing:
        power.service(host, "start", name)
    return bool(missing)


def _wait_booted(host: Host) -> None:
    """Wait until a host has started its services."""
    booted = host.folder / "run" / "booted"

    def done() -> bool:
        if power.init_pid(host) is None:
            raise LabError(f"{host.name} has died: see {host.folder}/boot.log")
        return booted.exists()

    waiting.until(f"{host.name} has booted (see {host.folder}/boot.log)", done, BOOT_SECONDS)


def _wait_reports(settings: Settings, since: dict[str, datetime.datetime | None]) -> None:
    """Wait until nova-compute (after the time given) and network agent of hosts have reported."""
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
    discovered = layout.folder(settings) / "discovered"
    if not discovered.exists():
        services.discover_hosts(settings)
        discovered.touch()
    for name in since:
        waiting.until(f"Neutron has the agent of {name}", lambda n=name: behaviour.reported(n), 60)


def _utc_now() -> datetime.datetime:
    # what Nova reports has no fraction of a second
    return datetime.datetime.utcfromtimestamp(int(time.time()) - 1)
