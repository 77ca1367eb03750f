"""Bring the hosts with real guests up and down, and do to them what tests need."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab import processes, services, waiting
from tests.lab.hosts import (
    access,
    behaviour,
    faults,
    files,
    layout,
    machines,
    network,
    power,
    seed,
    system,
)
from tests.lab.hosts.layout import Host
from tests.lab.settings import ROOT, Settings


def up() -> None:
    """Switch all hosts on and wait until Nova and Neutron know them; the cloud must run."""
    settings = Settings.load()
    hosts = layout.virt_hosts(settings)
    started = machines.utc()
    files.prepare_machine()
    access.write_shared(settings)
    system.make(settings)
    faults.mend(*settings.virt_hosts)
    network.make_fabric()
    booted = [host for host in hosts if power.power_on(host, settings)]
    _start_agent(settings, hosts)
    seed.basics()
    since: dict[str, datetime.datetime | None] = {}
    for host in hosts:
        machines.wait_booted(host)
        restarted = machines.start_missing(host)
        since[host.name] = started if host in booted or restarted else None
    _wait_known(settings, since)


def reset() -> None:
    """Give the hosts back as ``up`` made them, agents' modes included, if there are any hosts."""
    settings = Settings.load()
    if files.known(settings):
        for name in settings.virt_hosts:
            behaviour.set_mode(name, "ovs", wait=False)
        up()
        for name in settings.virt_hosts:
            sweep(name)


def down() -> None:
    """Switch all hosts off and remove all links; their disks stay."""
    settings = Settings.load()
    if not files.known(settings):
        return  # what is there belongs to another lab: the names of links are the machine's
    hosts = layout.virt_hosts(settings)
    with ThreadPoolExecutor() as pool:
        list(pool.map(power.power_off, hosts))
    processes.stop(behaviour.PROCESS, grace=1.5)
    network.remove(hosts)


def restart_vswitchd(host: str) -> None:
    """Restart the data plane of a host's switch, which forgets all vhost-user connections."""
    machines.service(host, "stop", "vswitchd")
    machines.service(host, "start", "vswitchd")


def set_mode(host: str, mode: str, wait: bool = True, **changes: Any) -> None:
    """Have a host's network agent offer taps (ovs) or one of the two kinds of vhost-user ports."""
    behaviour.set_mode(host, mode, wait, **changes)


def status() -> dict[str, dict[str, Any]]:
    """Return of each host: whether it is on, its services, guests and switch ports."""
    result: dict[str, dict[str, Any]] = {}
    for host in layout.virt_hosts(Settings.load()):
        pid = power.init_pid(host)
        result[host.name] = {"pid": pid}
        if pid:
            ports = ["ovs-vsctl", "--timeout=5", "list-ports", "br-int"]
            guests = ["virsh", "list", "--all", "--name"]
            result[host.name] |= {
                "services": machines.services_of(host.name),
                "guests": machines.exec_(host.name, guests, check=False).stdout.split(),
                "ports": machines.exec_(host.name, ports, check=False).stdout.split(),
            }
    return result


def sweep(host: str) -> list[str]:
    """Remove switch ports of guests that are not on the host, and return their names.

    Nova leaves some at the target of a failed live migration between kinds of ports.
    """
    vsctl = ["ovs-vsctl", "--timeout=5", "--if-exists"]
    guests = machines.exec_(host, ["virsh", "list", "--all", "--uuid"]).stdout.split()
    listed = machines.exec_(host, [*vsctl, "list-ports", "br-int"]).stdout.split()
    swept = []
    for port in (name for name in listed if name.startswith(("tap", "vhu"))):
        query = [*vsctl, "get", "Interface", port, "external_ids:vm-uuid"]
        if machines.exec_(host, query).stdout.strip().strip('"') not in guests:
            machines.exec_(host, [*vsctl, "del-port", "br-int", port])
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


def _wait_known(settings: Settings, since: dict[str, datetime.datetime | None]) -> None:
    """Wait until nova-compute (after the time given) and network agent of hosts have reported."""
    machines.wait_compute(since)
    discovered = layout.folder(settings) / "discovered"
    if not discovered.exists():
        services.discover_hosts(settings)
        discovered.touch()
    for name in since:
        waiting.until(f"Neutron has the agent of {name}", lambda n=name: behaviour.reported(n), 60)
