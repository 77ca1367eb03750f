"""A second door to the lab's Keystone, behind which tokens live for as long as a test wants.

All else is the same: users, catalogue, keys; and who got a token there can use it anywhere.
"""

from __future__ import annotations

from pathlib import Path

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.lab import config, processes, services, waiting
from tests.lab.settings import Settings

PROCESS, PORT = "keystone-tokens", 5001
CONFIGURATION = f"{PROCESS}/keystone.conf"


def start(seconds: int) -> Path:
    """Open the door; return the ``clouds.yaml`` of those who go through it."""
    settings = Settings.load()
    plain = config.PLAIN["keystone/keystone.conf"]
    config.write(settings, settings.etc / CONFIGURATION, plain, token_seconds=seconds)
    ini = settings.etc / "uwsgi" / f"{PROCESS}.ini"
    config.write(
        settings,
        ini,
        "uwsgi.ini.j2",
        port=PORT,
        module=services.WSGI["keystone"].module,
        processes=1,
        threads=1,
        extra=[f"env = OS_KEYSTONE_CONFIG_FILES={settings.etc / CONFIGURATION}"],
    )
    uwsgi = [settings.venv / "bin" / "uwsgi", "--ini", ini]
    processes.start(PROCESS, uwsgi, services.environment(settings))
    url = f"http://{settings.vip}:{PORT}"
    waiting.for_http(PROCESS, url)
    text = settings.clouds_yaml.read_text().replace(settings.url("keystone"), url)
    clouds = _clouds(settings)
    clouds.touch(0o600)
    clouds.write_text(text)
    return clouds


def stop() -> None:
    """Shut the door; tokens that were given live on for their time."""
    processes.stop(PROCESS)
    _clouds(Settings.load()).unlink(missing_ok=True)


def life() -> float:
    """Return for how many seconds a new token from behind the door lives."""
    known = OpenStackConfig(config_files=[str(_clouds(Settings.load()))], load_envvars=False)
    session = Connection(config=known.get_one("lab-admin")).session
    given = session.auth.get_access(session)
    return float((given.expires - given.issued).total_seconds())


def _clouds(settings: Settings) -> Path:
    return settings.run / f"clouds-{PROCESS}.yaml"
