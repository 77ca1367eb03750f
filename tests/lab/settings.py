"""Where the lab lives, what it listens on and what it is called."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CONSTRAINTS = ROOT / "constraints" / "2025.1.txt"
DEFAULT_STATE = "/var/lib/upgrade-flows-lab"

API_PORTS = {
    "keystone": 5000,
    "placement": 8778,
    "glance": 9292,
    "nova": 8774,
    "cinder": 8776,
    "neutron": 9696,
    "heat": 8004,
}
DATABASES = (
    "keystone",
    "placement",
    "glance",
    "nova_api",
    "nova_cell0",
    "nova_cell1",
    "neutron",
    "cinder",
    "heat",
)


@dataclass(frozen=True)
class Settings:
    """Everything the modules of the lab have to agree about."""

    state: Path
    password: str
    vip: str = "127.77.0.1"
    region: str = "RegionOne"
    db_port: int = 13306
    amqp_port: int = 15772
    memcache_port: int = 21211
    epmd_port: int = 14369
    fake_hosts: tuple[str, ...] = ("fake1", "fake2", "fake3", "fake4", "fake5", "fake6")
    virt_hosts: tuple[str, ...] = ("virt1", "virt2")

    @classmethod
    def load(cls, create: bool = False) -> Settings:
        """Return the settings of the lab of $UPGRADE_FLOWS_LAB.

        The password is empty as long as there is no lab; ``create`` invents one.
        """
        state = Path(os.environ.get("UPGRADE_FLOWS_LAB", DEFAULT_STATE))
        path = state / "run" / "password"
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(secrets.token_hex(16) + "\n")
        return cls(state=state, password=path.read_text().strip() if path.exists() else "")

    @property
    def cache(self) -> Path:
        """What is worth keeping between labs: virtualenvs, downloads, the guest image."""
        return self.state / "cache"

    @property
    def run(self) -> Path:
        """All data, logs and configuration of the running lab."""
        return self.state / "run"

    @property
    def etc(self) -> Path:
        """The rendered configuration files."""
        return self.run / "etc"

    @property
    def log(self) -> Path:
        """The log files of all services."""
        return self.run / "log"

    @property
    def agents(self) -> Path:
        """What each stand-in network agent shall report, one JSON file a host."""
        return self.run / "agents"

    @property
    def venv(self) -> Path:
        """The virtualenv of the OpenStack services, named after its constraints."""
        digest = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
        return self.cache / f"venv-{digest[:12]}"

    @property
    def site_packages(self) -> Path:
        """Where the services' virtualenv has its packages."""
        return self.venv / "lib" / "python3.11" / "site-packages"

    @property
    def clouds_yaml(self) -> Path:
        """The clients' configuration: the clouds lab-admin and lab-demo."""
        return self.run / "clouds.yaml"

    @property
    def amqp_url(self) -> str:
        """The message bus, as oslo.messaging wants it."""
        return f"rabbit://lab:{self.password}@{self.vip}:{self.amqp_port}/"

    @property
    def keystone_url(self) -> str:
        """The identity API."""
        return f"{self.url('keystone')}/v3"

    @property
    def volume_share(self) -> str:
        """The name of Cinder's share, also the source of the mount standing in for it."""
        return f"{self.vip}:/lab-volumes"

    def url(self, service: str) -> str:
        """Return the root URL of an API."""
        return f"http://{self.vip}:{API_PORTS[service]}"

    def database_url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return (
            f"mysql+pymysql://lab:{self.password}@{self.vip}:{self.db_port}/{name}?charset=utf8mb4"
        )
