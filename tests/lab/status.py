"""Tell what of the lab runs."""

from __future__ import annotations

from tests.lab import database, messaging, processes, services, waiting
from tests.lab.hosts import access, layout, power
from tests.lab.settings import API_PORTS, Settings


def show() -> bool:
    """Print a table of processes and APIs; return whether all are well."""
    settings = Settings.load()
    infrastructure = [database.NAME, messaging.MAPPER, messaging.BROKER, messaging.MEMCACHED]
    hosts = {host.process: host for host in layout.all_hosts(settings)}
    fakes = [host.process for host in layout.fake_hosts(settings)]
    expected = [*infrastructure, *services.all_names(settings), *fakes]
    urls = {services.api_name(project): settings.url(project) for project in API_PORTS}
    well = True
    print(f"{'process':28} {'pid':>8}  state")
    for name in [*expected, *(name for name in processes.names() if name not in expected)]:
        pid = processes.pid(name)
        state = "runs" if pid else "is not there"
        if pid and name in urls and not waiting.answers(urls[name]):
            pid, state = None, f"does not answer on {urls[name]}"
        elif pid and name in urls:
            state = f"answers on {urls[name]}"
        elif pid and name in hosts:
            found = power.services_of(hosts[name])
            missing = [service for service, runs in found.items() if not runs]
            if missing:
                pid, state = None, f"has no {', '.join(missing)}"
        if not pid and (log := processes.log_of(name)):
            state += f" (see {log})"
        well = well and pid is not None
        print(f"{name:28} {pid or '-':>8}  {state}")
    print(f"ssh -F {access.ssh_config()} HOST")
    return well
