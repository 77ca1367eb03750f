"""Private servers for tests, benchmarks and demos: each in a folder and on a port of its own.

::

    with services.running("redis", "postgresql", folder=path) as found:
        found["redis"].url

    service = services.start("etcd", path)
    service.kill()  # what a crash does
    service.start()  # the same port, the same data
    service.stop()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.databases import Database, MariaDB, PostgreSQL
from tests.services.errors import ServiceError
from tests.services.packages import install, missing, packages_of
from tests.services.service import Service
from tests.services.stores import Etcd, Redis, ZooKeeper

__all__ = [
    "NAMES",
    "Database",
    "Service",
    "ServiceError",
    "find",
    "install",
    "missing",
    "running",
    "start",
]

KINDS: dict[str, type[Service]] = {
    kind.name: kind for kind in (Redis, Etcd, ZooKeeper, PostgreSQL, MariaDB)
}
NAMES = tuple(KINDS)


def find(name: str, folder: str | Path) -> Service:
    """Return the server of a folder, running or not, whoever started it."""
    packages_of(name)  # names that there are, in the error
    return KINDS[name](Path(folder))


def start(name: str, folder: str | Path) -> Service:
    """Start a server and return it once it answers; a used folder gives its data and port."""
    service = find(name, folder)
    service.start()
    return service


@contextmanager
def running(*names: str, folder: str | Path) -> Iterator[dict[str, Service]]:
    """Start servers, each below ``folder``, and stop them all in the end."""
    found: dict[str, Service] = {}
    with ExitStack() as stack:
        for name in names:
            found[name] = start(name, Path(folder) / name)
            stack.callback(found[name].stop)
        yield found
