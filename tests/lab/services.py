"""The table of the OpenStack services: how each is started, and how its schema is made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import agents, packages, processes, waiting
from tests.lab.settings import API_PORTS, ROOT, Settings

STOP_SECONDS = 6


@dataclass(frozen=True)
class Application:
    """An API under uwsgi; ``extra`` are lines of its uwsgi file that name its configuration."""

    module: str
    extra: tuple[str, ...]
    processes: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Worker:
    """A process beside the APIs, with the configuration files it reads below <etc>."""

    program: str
    files: tuple[str, ...]


NOVA = ("nova/nova.conf", "nova/nova-db.conf")
WSGI = {
    "keystone": Application(
        "keystone.wsgi.api",
        ("env = OS_KEYSTONE_CONFIG_FILES={etc}/keystone/keystone.conf",),
        processes=2,
    ),
    "placement": Application(
        "placement.wsgi.api", ("env = OS_PLACEMENT_CONFIG_DIR={etc}/placement",), threads=2
    ),
    "glance": Application(
        "glance.wsgi.api", ("env = OS_GLANCE_CONFIG_DIR={etc}/glance",), threads=2
    ),
    "neutron": Application(
        "neutron.wsgi.api",
        (
            "env = OS_NEUTRON_CONFIG_DIR={etc}/neutron",
            "env = OS_NEUTRON_CONFIG_FILES=neutron.conf;neutron-api.conf",
        ),
    ),
    "nova": Application(
        "nova.wsgi.osapi_compute",
        (
            "env = OS_NOVA_CONFIG_DIR={etc}/nova",
            # Nova takes the first for its paste file
            "env = OS_NOVA_CONFIG_FILES={venv}/etc/nova/api-paste.ini;nova.conf;nova-db.conf;"
            "nova-api.conf",
        ),
    ),
    "cinder": Application(
        "cinder.wsgi.api",
        ("pyargv = --config-file {etc}/cinder/cinder.conf --log-file cinder-api.log",),
    ),
    "heat": Application(
        "heat.wsgi.api", ("pyargv = --config-file {etc}/heat/heat.conf --log-file heat-api.log",)
    ),
}
WORKERS = {
    "neutron": (
        Worker("neutron-rpc-server", ("neutron/neutron.conf",)),
        Worker("neutron-periodic-workers", ("neutron/neutron.conf",)),
    ),
    "nova": (Worker("nova-conductor", NOVA), Worker("nova-scheduler", NOVA)),
    "cinder": (
        Worker("cinder-scheduler", ("cinder/cinder.conf",)),
        Worker("cinder-volume", ("cinder/cinder.conf",)),
    ),
    "heat": (Worker("heat-engine", ("heat/heat.conf",)),),
}
# the account and place of each cell's database come from the configuration, not from the cell
CELL = "{scheme}://{username}:{password}@{hostname}:{port}/"
SCHEMAS = {  # project: the commands that make its database
    "keystone": (
        "keystone-manage fernet_setup --keystone-user root --keystone-group root",
        "keystone-manage credential_setup --keystone-user root --keystone-group root",
        "keystone-manage db_sync",
        "keystone-manage bootstrap --bootstrap-password {password}"
        " --bootstrap-region-id {region} --bootstrap-public-url {url}"
        " --bootstrap-internal-url {url} --bootstrap-admin-url {url}",
    ),
    "nova": (
        "nova-manage api_db sync",
        "nova-manage cell_v2 map_cell0 --database_connection {cell}nova_cell0?{{query}}",
        "nova-manage cell_v2 create_cell --name cell1"
        " --database_connection {cell}nova_cell1?{{query}} --transport-url {cell}",
        "nova-manage db sync",
    ),
    "neutron": ("neutron-db-manage upgrade heads",),
    "cinder": ("cinder-manage db sync",),
    "heat": ("heat-manage db_sync",),
    "glance": ("glance-manage db_sync",),
    "placement": ("placement-manage db sync",),
}
MANAGED = {"glance": ("glance/glance-api.conf",), "nova": NOVA}  # else PROJECT/PROJECT.conf


def environment(settings: Settings) -> dict[str, str]:
    """Return what every service needs in its environment, besides the caller's."""
    path = f"{settings.etc / 'bin'}:{settings.venv / 'bin'}:{os.environ['PATH']}"
    return {
        "PATH": path,
        "TZ": "UTC",
        "PYTHONWARNINGS": "ignore",
        "OS_PLACEMENT_CONFIG_DIR": str(settings.etc / "placement"),
    }


def make_schema(settings: Settings, project: str) -> bool:
    """Create the database of a project, once; return whether it was missing."""
    files = MANAGED.get(project, (f"{project}/{project}.conf",))
    values = {
        "password": settings.password,
        "region": settings.region,
        "url": settings.keystone_url,
        "cell": CELL,
    }
    log = settings.log / f"schema-{project}.out"
    missing = False
    for number, command in enumerate(SCHEMAS[project]):
        done = settings.run / "schemas" / f"{project}-{number}"
        if done.exists():
            continue
        missing = True
        program, *words = (word.format(**values) for word in command.split())
        argv = [settings.venv / "bin" / program, *_config_files(settings, files), *words]
        packages.run(argv, log, environment(settings))
        done.parent.mkdir(exist_ok=True)
        done.touch()
    return missing


def start_project(settings: Settings, project: str) -> None:
    """Start the API and the workers of a project; nobody waits for them here."""
    uwsgi = [settings.venv / "bin" / "uwsgi", "--ini", settings.etc / "uwsgi" / f"{project}.ini"]
    processes.start(api_name(project), uwsgi, environment(settings))
    for worker in WORKERS.get(project, ()):
        argv = [settings.venv / "bin" / worker.program, *_config_files(settings, worker.files)]
        processes.start(worker.program, argv, environment(settings))


def wait_api(settings: Settings, project: str) -> None:
    """Wait until the API of a project answers."""
    waiting.for_http(api_name(project), settings.url(project), seconds=180)


def start_fake_hosts(settings: Settings, hosts: Iterable[str] | None = None) -> list[str]:
    """Switch (all or some) fake hosts on, start what does not run there; return those hosts."""
    from tests.lab.hosts import fakes

    return fakes.start(settings, hosts)


def stop_fake_hosts(settings: Settings, hosts: Iterable[str] | None = None) -> None:
    """Stop the nova-computes of (all or some) fake hosts; their guests live on."""
    from tests.lab.hosts import fakes

    fakes.stop_computes(settings, hosts)


def start_agents(settings: Settings) -> None:
    """Start the stand-in network agents of the fake hosts."""
    agents.reset(settings, only_missing=True)
    variables = {
        **environment(settings),
        "LAB_TRANSPORT_URL": settings.amqp_url,
        "PYTHONPATH": str(ROOT.parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv: list[str | Path] = [settings.venv / "bin" / "python", "-m", "tests.lab.agents.stub_l2"]
    processes.start(agents.PROCESS, [*argv, settings.agents, *settings.fake_hosts], variables)


def discover_hosts(settings: Settings) -> None:
    """Tell the Nova API about nova-computes that are new."""
    argv = [settings.venv / "bin" / "nova-manage", *_config_files(settings, NOVA)]
    log = settings.log / "discover_hosts.out"
    packages.run([*argv, "cell_v2", "discover_hosts"], log, environment(settings))


def all_names(settings: Settings) -> list[str]:
    """Return the names of all processes of the cloud but the hosts and what it needs itself."""
    names = [api_name(project) for project in API_PORTS]
    names += [worker.program for workers in WORKERS.values() for worker in workers]
    return [*names, agents.PROCESS]


def api_name(project: str) -> str:
    """Return the name of the process of an API."""
    return f"{project}-api"


def _config_files(settings: Settings, files: Iterable[str]) -> list[str]:
    return [f"--config-file={settings.etc / name}" for name in files]
