"""What the tests on real stores share: one server of each kind, started when first wanted."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests import services
from tests.durable.needs import need
from tests.durable.scene import Scene


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    yield from _session("redis", tmp_path_factory)


@pytest.fixture(scope="session")
def etcd(tmp_path_factory):
    yield from _session("etcd", tmp_path_factory)


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory):
    yield from _session("zookeeper", tmp_path_factory)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    yield from _session("postgresql", tmp_path_factory)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory):
    yield from _session("mariadb", tmp_path_factory)


@pytest.fixture
def service(request):
    """Return the server that a test is parametrized with, by its name."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(request) -> Iterator[Callable[[str], str]]:
    """Return a function: the kind of server in, the URL of a new, empty database out.

    The databases are gone after the test.
    """
    made: list[tuple[services.Database, str]] = []

    def new(kind: str = "postgresql") -> str:
        server = request.getfixturevalue(kind)
        name = f"test_{secrets.token_hex(6)}"
        made.append((server, name))
        return server.create_database(name)

    yield new
    for server, name in made:
        server.start()  # a test may have left it killed or paused
        server.drop_database(name)


@pytest.fixture
def scene(request, database, tmp_path) -> Iterator[Scene]:
    """Return a scene on the kinds of board and database that the test is parametrized with."""
    board, kind = request.param
    server, journal_url = request.getfixturevalue(board), database(kind)
    with contextlib.ExitStack() as stack:
        stack.callback(server.start)  # a test may have left it killed or paused
        yield Scene(tmp_path, server, request.getfixturevalue(kind), journal_url, stack)


def _session(name: str, folders: pytest.TempPathFactory) -> Iterator[services.Service]:
    need(name)
    with services.running(name, folder=folders.mktemp(name)) as found:
        yield found[name]
