"""The private servers do what tests of crashes rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from tests import services
from tests.durable.clients import keep, told
from tests.durable.needs import need

EVERY = pytest.mark.parametrize("service", services.NAMES, indirect=True)
DATABASES = pytest.mark.parametrize("kind", ["postgresql", "mariadb"])


@EVERY
def test_what_was_kept_is_told_after_a_restart_on_the_same_url(service):
    url, pid = service.url, service.pid
    keep(service, "before the restart")
    service.restart()
    assert service.url == url
    assert service.pid != pid
    assert told(service) == "before the restart"


@EVERY
def test_what_was_kept_is_told_after_a_crash(service):
    keep(service, "before the crash")
    service.kill()
    assert service.pid is None
    assert not service.answers()
    service.start()
    assert told(service) == "before the crash"


def test_a_killed_server_with_many_threads_has_let_go_of_its_port_and_files(mariadb):
    keep(mariadb, "before the crashes")
    for _ in range(10):
        mariadb.kill()
        mariadb.start()
    assert told(mariadb) == "before the crashes"


@EVERY
def test_a_paused_server_is_silent_and_goes_on_as_the_same_process(service):
    keep(service, "before the pause")
    pid = service.pid
    service.pause()
    assert not service.answers()
    assert service.pid == pid
    service.go_on()
    assert told(service) == "before the pause"
    assert service.pid == pid


@EVERY
def test_a_server_listens_on_loopback_only(service):
    sockets = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    listening = [line.split()[1] for line in sockets.splitlines() if line.split()[3] == "0A"]
    ours = [address for address in listening if address.endswith(f":{service.port:04X}")]
    assert ours == [f"0100007F:{service.port:04X}"]


@pytest.mark.parametrize("name", services.NAMES)
def test_nothing_runs_after_stop_even_if_paused_before(name, tmp_path):
    need(name)
    service = services.start(name, tmp_path / name)
    folder = str(service.folder)
    assert _processes_of(folder)
    service.pause()
    service.stop()
    service.stop()
    assert service.pid is None
    assert _processes_of(folder) == []


@DATABASES
def test_a_new_database_is_empty_whatever_was_in_it_before(kind, request, database):
    database(kind)  # makes sure that it can run
    server = request.getfixturevalue(kind)
    url = server.create_database("twice")
    forgotten = sqlalchemy.create_engine(url).connect()
    forgotten.execute(sqlalchemy.text("CREATE TABLE seen (number INTEGER)"))
    forgotten.commit()
    forgotten.execute(sqlalchemy.text("SELECT * FROM seen"))

    assert server.create_database("twice") == url

    assert sqlalchemy.inspect(sqlalchemy.create_engine(url)).get_table_names() == []
    forgotten.invalidate()
    server.drop_database("twice")


@DATABASES
def test_two_databases_of_one_test_differ(kind, database):
    assert database(kind) != database(kind)


def test_a_wrong_password_is_refused(postgresql):
    url = sqlalchemy.make_url(postgresql.url).set(password="wrong")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        sqlalchemy.create_engine(url).connect()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path):
    need("redis")
    service = services.start("redis", tmp_path / "redis")
    service.stop()
    log = service.data / "appendonlydir" / "appendonly.aof.1.incr.aof"
    log.write_bytes(b"this is not what Redis wrote\r\n" + b"x" * 100)
    with pytest.raises(services.ServiceError, match="Bad file format reading the append only"):
        service.start()
    assert service.pid is None


def test_a_server_whose_port_was_taken_says_so(tmp_path):
    need("redis")
    service = services.start("redis", tmp_path / "one")
    service.stop()
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
        "print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(service.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        with pytest.raises(services.ServiceError, match="used by another process"):
            service.start()
        other.stdin.close()


def test_the_command_line_starts_tells_and_ends_servers_that_outlive_it(tmp_path):
    need("redis", "postgresql")
    up = _command("up", "redis", "postgresql", "--folder", tmp_path)
    try:
        found = json.loads((tmp_path / "services.json").read_text())
        lines = "".join(f"{name} {found[name]['url']}\n" for name in ("redis", "postgresql"))
        assert up.stdout == lines
        status = _command("status", "--folder", tmp_path)
        assert status.returncode == 0
        assert [line.split()[1] for line in status.stdout.splitlines()] == ["answers", "answers"]
    finally:
        down = _command("down", "--folder", tmp_path)
    assert down.stdout == "redis ended\npostgresql ended\n"
    assert [services.find(name, tmp_path / name).pid for name in found] == [None, None]
    assert _command("status", "--folder", tmp_path).returncode == 1


def _command(*words: object) -> subprocess.CompletedProcess:
    argv = [sys.executable, "-m", "tests.services", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=Path.cwd())


def _processes_of(folder: str) -> list[int]:
    """Return the processes that have a folder below this one as their place or argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            place, words = os.readlink(path / "cwd"), (path / "cmdline").read_text()
        except OSError:
            continue
        if place.startswith(folder) or folder in words:
            found.append(int(path.name))
    return found
