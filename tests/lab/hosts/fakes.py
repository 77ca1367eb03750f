"""Bring the hosts without guests up and down."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.lab.hosts import access, faults, files, layout, machines, power, system
from tests.lab.hosts.layout import Host
from tests.lab.settings import Settings


def start(settings: Settings, names: Iterable[str] | None = None) -> list[str]:
    """Switch (all or some) fake hosts on, mend them and start what does not run there.

    Return the names of those where there was something to do; nobody waits for Nova here.
    """
    hosts = _chosen(settings, names)
    files.prepare_machine(virt=False)
    access.write_shared(settings)
    system.make(settings)
    started = []
    for host in hosts:
        faults.mend(host.name)
        if power.power_on(host, settings):
            started.append(host.name)
            continue
        machines.wait_booted(host)
        if machines.start_missing(host):
            started.append(host.name)
    return started


def stop_computes(settings: Settings, names: Iterable[str] | None = None) -> None:
    """Stop nova-compute on (all or some) fake hosts; their guests live on."""
    hosts = [host for host in _chosen(settings, names) if power.init_pid(host)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: power.service(host, "stop", "nova-compute", settings), hosts))


def down(settings: Settings) -> None:
    """Switch all fake hosts off; their guests will run when the lab is brought up again."""
    hosts = _chosen(settings, None)
    with ThreadPoolExecutor() as pool:
        list(pool.map(power.power_off, hosts))
    for host in hosts:
        # without it nova-compute does not see that the host was off: see driver/labvirt.py
        (host.state(settings) / "boot_id").unlink(missing_ok=True)


def _chosen(settings: Settings, names: Iterable[str] | None) -> list[Host]:
    if names is None:
        return layout.fake_hosts(settings)
    return [layout.host(name, settings) for name in names]
