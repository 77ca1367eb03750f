"""Bring the whole lab up and take it down again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.lab import (
    agents,
    api,
    catalog,
    config,
    database,
    hosts,
    messaging,
    packages,
    processes,
    seed,
    services,
    storage,
    waiting,
)
from tests.lab.errors import LabError
from tests.lab.hosts import fakes, layout, power
from tests.lab.settings import API_PORTS, Settings


class Report:
    """Print what is done, with the seconds since the beginning."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self.start:6.1f} s] {text}", flush=True)


def up(fake_hosts: bool = True) -> None:
    """Bring the lab up from wherever it is; safe to repeat."""
    say = Report()
    settings = Settings.load(create=True)
    if packages.install_debian(settings):
        say("Debian packages installed")
    if packages.install_venv(settings):
        say(f"virtualenv of the services made: {settings.venv}")
    config.render(settings)
    storage.mount(settings)
    together(
        lambda: database.start(settings),
        lambda: messaging.start(settings),
        lambda: messaging.start_memcached(settings),
    )
    say("MariaDB, RabbitMQ and memcached run")
    # the projects with the longest way to go first
    together(*(_bringer(settings, project, say) for project in services.SCHEMAS), at_once=4)
    together(*(_waiter(settings, project) for project in API_PORTS))
    say("all APIs answer")
    services.start_agents(settings)
    if fake_hosts:
        services.start_fake_hosts(settings)
    seed.basics(api.connect("lab-admin"), api.connect("lab-demo"))
    say("flavors, image, networks, volume type, key and quotas are there")
    if fake_hosts:
        _wait_hosts(settings)
        services.discover_hosts(settings)
        say(f"nova-compute and network agent report on {', '.join(settings.fake_hosts)}")
    waiting.until("cinder-volume is up", _volume_service_up, 60)
    _check_alive(settings, fake_hosts)
    say("the lab is up: python -m tests.lab env")


def down(keep_state: bool = False, purge: bool = False) -> None:
    """Stop everything; forget the data unless told to keep it, and the cache if told to purge."""
    say = Report()
    settings = Settings.load()
    hosts.down()
    fakes.down(settings)
    say("hosts switched off")
    processes.stop(*services.all_names(settings), grace=services.STOP_SECONDS)
    say("OpenStack stopped")
    together(database.stop, messaging.stop)
    rest = processes.names()
    processes.stop(*rest)
    storage.unmount(settings)
    say("MariaDB, RabbitMQ and memcached stopped")
    if not keep_state:
        shutil.rmtree(settings.run, ignore_errors=True)
        say(f"{settings.run} removed")
    if purge:
        shutil.rmtree(settings.state, ignore_errors=True)
        say(f"{settings.state} removed")


def together(*tasks: Callable[[], object], at_once: int = 8) -> None:
    """Run tasks in threads, and raise the first failure when all have ended."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        futures = [pool.submit(task) for task in tasks]
    for future in futures:
        future.result()


def _bringer(settings: Settings, project: str, say: Report) -> Callable[[], None]:
    def bring() -> None:
        if services.make_schema(settings, project):
            say(f"{project}: database made")
        services.start_project(settings, project)
        if project == "keystone":
            services.wait_api(settings, project)
            catalog.fill(api.connect(), settings)
            say("keystone: catalogue is there")

    return bring


def _waiter(settings: Settings, project: str) -> Callable[[], None]:
    return lambda: services.wait_api(settings, project)


def _wait_hosts(settings: Settings) -> None:
    """Wait for a report of every fake host's nova-compute and agent since these processes run."""
    cloud = api.connect()
    before = {service.host: service.updated_at for service in _computes(cloud)}

    def reporting() -> bool:
        now = {
            service.host: service.updated_at
            for service in _computes(cloud)
            if service.state == "up" and service.updated_at
        }
        return all(now.get(host, before.get(host)) != before.get(host) for host in names)

    names = settings.fake_hosts
    what = f"nova-compute reports on {', '.join(names)} (see {settings.log})"
    waiting.until(what, reporting, 120)
    agents.wait_reported(*names, cloud=cloud)


def _check_alive(settings: Settings, fake_hosts: bool) -> None:
    names = services.all_names(settings)
    dead = [name for name in names if not processes.alive(name)]
    if dead:
        logs = ", ".join(f"{name} (see {processes.log_of(name)})" for name in dead)
        raise LabError(f"ended soon after their start: {logs}")
    for host in layout.fake_hosts(settings) if fake_hosts else ():
        if not all(power.services_of(host).values()):
            raise LabError(f"not all services of {host.name} run: see {host.folder}/log")


def _computes(cloud: api.Connection) -> list:
    return list(cloud.compute.services(binary="nova-compute"))


def _volume_service_up() -> bool:
    found = api.shared().block_storage.services(binary="cinder-volume")
    return any(service.state == "up" for service in found)
