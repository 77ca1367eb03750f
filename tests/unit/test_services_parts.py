"""The parts of the private servers that need none of the servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests import services
from tests.services import ports, processes
from tests.services.databases import PostgreSQL
from tests.services.packages import missing
from tests.services.service import Record

# a parent, and a child in a session of its own, as a database's backends are
FAMILY = """\
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def family(tmp_path):
    log = tmp_path / "log"
    process = processes.spawn([sys.executable, "-c", FAMILY], log, os.environ, tmp_path)
    processes.until("the child is up", lambda: "up" in log.read_text(), 30)
    yield process
    processes.kill(process)


def test_a_family_includes_sessions_of_their_own(family):
    members = processes.family(family)
    assert len(members) == 2
    assert members[0] == family
    assert len({os.getsid(member.pid) for member in members}) == 2


def test_pause_halts_the_whole_family_and_go_on_wakes_it(family):
    members = processes.pause(family)
    assert [_state(member.pid) for member in members] == ["T", "T"]
    processes.go_on(family)
    processes.until("all wake", lambda: "T" not in [_state(m.pid) for m in members], 10)


def test_kill_leaves_nobody_of_the_family(family):
    members = processes.family(family)
    processes.kill(family)
    assert processes.gone(members, 0)
    assert processes.family(family) == []


def test_a_pid_given_away_again_is_another_process(family):
    another = processes.Process(family.pid, family.started - 1)
    assert not processes.alive(another)
    processes.kill(another)
    assert processes.alive(family)


def test_until_ends_and_says_what_it_waited_for():
    began = time.monotonic()
    with pytest.raises(services.ServiceError, match="the cows come home: not within 0 s"):
        processes.until("the cows come home", lambda: False, 0.1)
    assert time.monotonic() - began < 5


def test_ports_are_free_differ_and_are_none_that_linux_gives_to_clients():
    found = ports.pick(3)
    assert len(set(found)) == 3
    assert all(port in ports.RANGE and ports.free(port) for port in found)


def test_a_port_that_somebody_listens_on_is_not_free():
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
    argv = [sys.executable, "-uc", code + "; input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as other:
        port = int(other.stdout.readline())
        assert not ports.free(port)
        other.communicate(b"\n")
    assert ports.free(port)


def test_a_server_that_does_not_exist_is_told_with_those_that_do():
    message = "no server called 'oracle'; there are etcd, mariadb, postgresql, redis, zookeeper"
    with pytest.raises(services.ServiceError, match=message):
        missing("redis", "oracle")


def test_a_folder_without_a_server_says_so(tmp_path):
    with pytest.raises(services.ServiceError, match="redis was never started in"):
        services.find("redis", tmp_path).url


def test_the_folder_of_another_server_is_refused(tmp_path):
    (tmp_path / "service.json").write_text('{"name": "etcd", "ports": [1], "password": "x"}')
    with pytest.raises(services.ServiceError, match="is the folder of etcd, not of redis"):
        services.find("redis", tmp_path).url


@pytest.mark.parametrize("name", ["", "Upper", "a-b", "a;b", "1a", "x" * 61])
def test_names_of_databases_that_would_need_quotes_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(PostgreSQL, "record", Record("postgresql", [1], "secret"))
    with pytest.raises(services.ServiceError, match="not a name for a database"):
        PostgreSQL(tmp_path).url_of(name)


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
