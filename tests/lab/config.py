"""Write the configuration of all services."""

from __future__ import annotations

import shutil
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.lab.agents import DOWN_SECONDS
from tests.lab.hosts import layout
from tests.lab.services import WSGI
from tests.lab.settings import API_PORTS, ROOT, Settings

PLAIN = {  # file under <etc>: its template
    "keystone/keystone.conf": "keystone.conf.j2",
    "placement/placement.conf": "placement.conf.j2",
    "glance/glance-api.conf": "glance-api.conf.j2",
    "nova/nova.conf": "nova.conf.j2",
    "nova/nova-db.conf": "nova-db.conf.j2",
    "neutron/neutron.conf": "neutron.conf.j2",
    "cinder/cinder.conf": "cinder.conf.j2",
    "cinder/nfs_shares": "nfs_shares.j2",
    "heat/heat.conf": "heat.conf.j2",
    "bin/sudo": "sudo.j2",
}
DATA = (
    "keystone/fernet-keys",
    "keystone/credential-keys",
    "glance/images",
    "nova",
    "neutron",
    "cinder",
    "heat",
    "lock",
    "log",
    "agents",
)


def render(settings: Settings) -> None:
    """Write every configuration file anew, and the folders they name."""
    settings.run.mkdir(parents=True, exist_ok=True)
    settings.etc.mkdir(exist_ok=True)
    settings.etc.chmod(0o700)
    for name in DATA:
        (settings.run / name).mkdir(parents=True, exist_ok=True)
    (settings.run / "keystone").chmod(0o700)
    for name, template in PLAIN.items():
        write(settings, settings.etc / name, template)
    (settings.etc / "bin" / "sudo").chmod(0o700)
    for name in ("nova", "neutron"):
        path = settings.etc / name / f"{name}-api.conf"
        write(settings, path, "log-file.conf.j2", log_file=f"{name}-api.log")
    for host in layout.fake_hosts(settings):
        host.state(settings).mkdir(exist_ok=True)
        path, values = host.compute_conf(settings), {"host": host.name, "address": host.address}
        write(settings, path, "fake-host.conf.j2", **values)
    for name, application in WSGI.items():
        write(
            settings,
            settings.etc / "uwsgi" / f"{name}.ini",
            "uwsgi.ini.j2",
            port=API_PORTS[name],
            module=application.module,
            processes=application.processes,
            threads=application.threads,
            extra=[line.format(etc=settings.etc, venv=settings.venv) for line in application.extra],
        )
    write(settings, settings.clouds_yaml, "clouds.yaml.j2")


def write(settings: Settings, path: Path, template: str, **values: object) -> None:
    """Write a file, readable by its owner only, from one of the lab's templates."""
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(lab=settings, agent_down_time=DOWN_SECONDS)
    text = environment.get_template(template).render(**values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(text)


def forget(settings: Settings) -> None:
    """Remove the rendered configuration."""
    shutil.rmtree(settings.etc, ignore_errors=True)
