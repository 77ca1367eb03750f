"""Connections to the lab's APIs."""

from __future__ import annotations

from functools import lru_cache

import openstack
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.lab.errors import LabError
from tests.lab.settings import Settings


def connect(cloud: str = "lab-admin", **changes: str) -> Connection:
    """Return a connection to a cloud of the lab's clouds.yaml."""
    path = Settings.load().clouds_yaml
    if not path.exists():
        raise LabError(f"there is no {path}: is the lab up? (python -m tests.lab up)")
    config = OpenStackConfig(config_files=[str(path)], load_envvars=False)
    return Connection(config=config.get_one(cloud=cloud, **changes))


@lru_cache(maxsize=4)
def shared(cloud: str = "lab-admin") -> Connection:
    """Return the one connection of this process to a cloud, logged in already."""
    connection = connect(cloud)
    connection.authorize()
    return connection


__all__ = ["Connection", "connect", "openstack", "shared"]
