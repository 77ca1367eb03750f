"""How the metadata of a release is made: its packages, installed where nobody else sees them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrade_flows.config_audit import environment
from upgrade_flows.errors import RequestError

#: seconds after which an installation counts as failed
PATIENCE = 1800


@dataclass(frozen=True)
class Source:
    """Where a release's packages are from.

    :param day: of the release; libraries are as they were then.
    :param majors: the first number of the versions of each service.
    :param also: what its services need besides to be asked for their options, and what was
        published by that day but not used yet.
    """

    day: str
    majors: dict[str, int]
    also: tuple[str, ...] = ()


def _majors(nova: int) -> dict[str, int]:
    """Return the numbers of a release; all services have counted together since 2023.1."""
    return {
        "nova": nova,
        "neutron": nova - 5,
        "cinder": nova - 5,
        "glance": nova - 1,
        "keystone": nova - 4,
        "placement": nova - 18,
        "heat": nova - 7,
    }


SOURCES = {
    "2023.1": Source("2023-03-22", _majors(27), ("sqlalchemy<2", "os-brick>=6.2.2,<6.3")),
    "2023.2": Source("2023-10-04", _majors(28)),
    "2024.1": Source("2024-04-03", _majors(29)),
    "2024.2": Source("2024-10-02", _majors(30)),
    "2025.1": Source("2025-04-02", _majors(31)),
    "2025.2": Source("2025-10-01", _majors(32)),
    "2026.1": Source("2026-04-01", _majors(33)),
    "2026.2": Source(
        # cinder's driver options need what only an extra of it asks for
        "2026-09-30",
        _majors(34),
        ("pyroute2", "google-api-python-client"),
    ),
}


def make(
    release: str, constraints: Path | None = None, tell: Callable[[str], None] = lambda said: None
) -> dict[str, Any]:
    """Install the services of a release in an environment of its own, and read their options.

    The services are of the newest version of the release, since fixes add options; their
    libraries are those of a list of constraints, or as they were on the day of the release.

    :param constraints: the release's list; it may name the services as well.
    :raises RequestError: the release is unknown, or its packages cannot be installed or read.
    """
    source = SOURCES.get(release)
    if source is None:
        raise RequestError(f"release {release} is not known; known are {', '.join(SOURCES)}")
    with tempfile.TemporaryDirectory(prefix="upgrade-flows-options-") as place:
        where = Path(place) / "environment"
        _run([*uv(), "venv", "--python", sys.executable, str(where)])
        tell(f"installing the services of {release}")
        _run([*uv(), "pip", "install", "--python", str(where), *_wanted(source, constraints)])
        services = {}
        for service in source.majors:
            tell(f"reading the options of {service}")
            services[service] = environment.read(where, service)
    made = {"constraints": constraints.name} if constraints else {"day": source.day}
    return {"release": release, "made": made, "services": services}


def _wanted(source: Source, constraints: Path | None) -> list[str]:
    named = {environment.DISTRIBUTIONS.get(name, name): major
             for name, major in source.majors.items()}  # fmt: skip
    wanted = [f"{name}>={major},<{major + 1}" for name, major in named.items()]
    if constraints:
        return [*wanted, "--constraints", str(constraints)]
    wanted += [*source.also, "--exclude-newer", source.day]
    newer = [re.split("[<>]", one)[0] for one in source.also if "<" in one]
    for name in (*named, *newer):
        wanted += ["--exclude-newer-package", f"{name}=9999-01-01"]
    return wanted


def uv() -> list[str]:
    """Return how uv is called: that of our environment, or the one on PATH."""
    own = Path(sys.executable).parent / "uv"
    return [str(own) if own.exists() else "uv"]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RequestError(f"{command[0]} {command[1]} failed: {exc}") from exc
    if done.returncode:
        lines = [line.strip() for line in done.stderr.strip().splitlines() if line.strip()]
        raise RequestError(f"the packages cannot be installed: {' '.join(lines)[:600]}")
