"""What a test needs of this machine, and what becomes of the test without it."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests import services

# set: what a test needs and does not find is its failure, not a reason to skip it
REQUIRED = "UPGRADE_FLOWS_SERVICES"
CLIENTS = {
    "redis": "redis",
    "etcd": "etcd3gw",
    "zookeeper": "kazoo",
    "postgresql": "psycopg2",
    "mariadb": "pymysql",
}


def need(*names: str) -> None:
    """Skip the test, or fail it where the servers are required, unless it can run."""
    reasons = []
    if packages := services.missing(*names):
        reasons.append(
            f"the Debian packages {' '.join(packages)} are missing; "
            f"as root: python -m tests.services install {' '.join(names)}"
        )
    if clients := [CLIENTS[n] for n in names if importlib.util.find_spec(CLIENTS[n]) is None]:
        reasons.append(f"the Python packages {' '.join(clients)} are missing")
    if not reasons:
        return
    if os.environ.get(REQUIRED):
        pytest.fail("; ".join(reasons), pytrace=False)
    pytest.skip("; ".join(reasons))
