"""Bring up what a benchmark needs: the lab, its real guests, the command line client."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from tests.lab import api, cloud, hosts, packages, processes, services, waiting
from tests.lab.settings import API_PORTS, Settings

CONSTRAINTS = Path(__file__).with_name("constraints-cli.txt")


def lab() -> Settings:
    """Return the settings of a lab that is up, and have the clients of this process find it."""
    settings = Settings.load()
    if not _runs(settings):
        cloud.up()
        settings = Settings.load()
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(settings.clouds_yaml)
    api.shared("lab-admin")
    return settings


def guests() -> None:
    """Make sure that the hosts with real guests are up."""
    found = hosts.status().values()
    if not all(host["pid"] and all(host["services"].values()) for host in found):
        print("bringing up the hosts with real guests ...", flush=True)
        hosts.up()


def client(settings: Settings) -> Path:
    """Return the program ``openstack``, in a virtualenv of its own, as pinned."""
    digest = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()[:12]
    venv = settings.cache / f"venv-cli-{digest}"
    done = venv / ".complete"
    if not done.exists():
        print(f"installing the command line client into {venv} ...", flush=True)
        uv: list[str | Path] = [sys.executable, "-m", "uv"]
        env = {"UV_CACHE_DIR": str(settings.cache / "uv"), "UV_NO_PROGRESS": "1"}
        log = settings.log / "venv-cli.out"
        packages.run([*uv, "venv", "--clear", "--no-project", "--python", "3.11", venv], log, env)
        install = [*uv, "pip", "install", "--compile-bytecode", "--python", venv / "bin/python"]
        packages.run([*install, "--requirement", CONSTRAINTS], log, env)
        done.touch()
    return venv / "bin" / "openstack"


def _runs(settings: Settings) -> bool:
    return (
        settings.clouds_yaml.exists()
        and all(processes.alive(name) for name in services.all_names(settings))
        and all(waiting.answers(settings.url(project)) for project in API_PORTS)
    )
