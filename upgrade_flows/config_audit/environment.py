"""Options as an installed environment knows them, asked with that environment's own Python."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upgrade_flows.config_audit.metadata import Release, Service, service_of
from upgrade_flows.errors import RequestError

#: the packages of services that are not called like them
DISTRIBUTIONS = {"heat": "openstack-heat", "placement": "openstack-placement"}

#: seconds after which reading options counts as failed
PATIENCE = 300


def read(environment: Path, service: str, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """Return what ``reader`` prints of a service.

    :param environment: a virtualenv.
    :param plugins: packages in it that add options to the service.
    :raises RequestError: there is no Python, or the service is not installed, or does not load.
    """
    python = environment.absolute() / "bin" / "python"
    if not python.exists():
        raise RequestError(f"{environment} is no environment: it has no bin/python")
    script = (importlib.resources.files("upgrade_flows.config_audit") / "reader.py").read_text()
    wanted = [DISTRIBUTIONS.get(service, service), *plugins]
    try:
        with tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run(
                [python, "-", *wanted],
                input=script,
                cwd=elsewhere,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RequestError(f"the options of {service} cannot be read: {exc}") from exc
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RequestError(f"the options of {service} cannot be read in {environment}: {last}")
    # what services print while they are imported comes before
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def with_environment(
    release: Release, environment: Path, service: str, plugins: Sequence[str] = ()
) -> Release:
    """Return a release in which a service's options are those of an environment.

    :raises RequestError: they cannot be read.
    """
    found: Service = service_of(service, read(environment, service, plugins))
    return release.with_service(found)
