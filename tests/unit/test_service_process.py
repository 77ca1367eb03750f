"""The process as a whole: signals, exit codes, and what systemd hears."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from upgrade_flows.engine.store import Journal

ROOT = Path(__file__).parents[2]


class Service:
    """``tests.unit.service_fakes`` in a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.config, self.stderr = folder / "conductor.conf", folder / "stderr"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.process = None

    def start(self, fake="", board="redis://:hunter22@board/0", more="", args=(), **environ):
        self.config.write_text(
            f"[board]\nurl = {board}\n[conductor]\nhealth_address = 127.0.0.1:{self.port}\n"
            f"name = blue\n[journal]\nurl = sqlite:///{self.folder / 'journal.db'}\n{more}"
        )
        self.config.chmod(0o640)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.unit.service_fakes",
                f"--config-file={self.config}",
                *args,
            ],
            cwd=ROOT,
            env={**os.environ, "FAKE": fake, **environ},
            stdout=subprocess.DEVNULL,
            stderr=self.stderr.open("w"),
        )
        return self

    def said(self):
        return self.stderr.read_text()

    def until(self, text, timeout_s=30):
        until = time.monotonic() + timeout_s
        while text not in self.said():
            assert time.monotonic() < until, self.said()
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        return self

    def send(self, number):
        self.process.send_signal(number)
        return self

    def ends(self, timeout_s=30):
        return self.process.wait(timeout_s)

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as got:
            return got.code, got.read().decode()


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_conductor_works_until_it_is_told_to_stop(service, number):
    service.start().until("Conductor blue works as ")
    assert service.ask("/readyz")[0] == 200
    assert service.ask("/healthz")[0] == 200
    assert 'upgrade_flows_subjects_total{state="changed"} 1.0' in service.ask("/metrics")[1]
    assert service.send(number).ends() == 0
    assert "Stopped: everything is parked and given back" in service.said()
    assert "Traceback" not in service.said()


def test_the_second_signal_ends_it_within_its_steps(service):
    service.start("stuck").until("works as").send(signal.SIGTERM)
    service.until("Waiting for a step of web-1 (change, run run-1), begun 1 min 1 s ago")
    code, body = service.ask("/readyz")
    assert (code, json.loads(body)["reasons"]) == (503, ["stopping: 1 jobs are brought to a halt"])
    assert service.ask("/healthz")[0] == 200
    assert service.send(signal.SIGTERM).ends() == 143
    assert "told twice: ended within its steps" in service.said()


def test_sighup_reads_the_level_of_the_log_again(service):
    service.start().until("works as")
    service.config.write_text("[DEFAULT]\ndebug = true\n" + service.config.read_text())
    service.send(signal.SIGHUP).until("The configuration was read again")
    service.ask("/healthz")
    service.until('"GET /healthz HTTP/1.1" 200')
    assert service.send(signal.SIGTERM).ends() == 0


def test_a_cloud_that_is_away_is_named_waited_for_and_given_up(service):
    service.start("no-cloud", PATIENCE_S="2").until("does not answer, trying again")
    code, body = service.ask("/readyz")
    assert code == 503
    assert json.loads(body)["reasons"] == ["starting: waiting for the cloud fake"]
    assert service.ends() == 1
    last = service.said().splitlines()[-1]
    assert last == (
        "upgrade-flows-conductor: the cloud fake did not answer for 2 s: connection refused"
    )


def test_it_can_be_stopped_while_it_waits_for_the_cloud(service):
    service.start("no-cloud").until("trying again").send(signal.SIGTERM)
    assert service.ends(10) == 0
    assert "Told to stop before it began" in service.said()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"board": ""}, "[board] url is missing"),
        ({"board": "gopher://uf:opensesame@h"}, "[board] url: the URL of the board is wrong"),
        ({"more": "[conductor]\nttl_s = 1\n"}, "the configuration cannot be used"),
        ({"more": "[journal]\nurl = postgresql://uf:opensesame@db/uf\n"}, "key_file is missing"),
        ({"more": "[journal]\nurl = mysql:uf:opensesame@db/uf\nkey_file=/dev/null\n"}, "journal"),
        ({"more": "[notifications]\ntransport_url = pigeon://uf:opensesame@roof\n"}, "'pigeon'"),
    ],
    ids=["no board", "bad board", "bad value", "no key", "bad journal", "bad bus"],
)
def test_what_is_configured_wrong_is_refused_with_one_line_and_code_2(service, given, message):
    assert service.start(**given).ends() == 2
    line = service.said().splitlines()[-1]
    assert line.startswith("upgrade-flows-conductor: ")
    assert message in line
    assert "opensesame" not in service.said()
    assert "Traceback" not in service.said()


def test_a_journal_that_another_machine_works_on_is_refused(service):
    journal = Journal.open(f"sqlite:///{service.folder / 'journal.db'}")
    with journal.keeper("elsewhere/1a2b/7/9/x"):
        assert service.start().ends() == 2
    journal.close()
    assert "the journal is an SQLite file, and elsewhere works on it" in service.said()


def test_a_loop_that_crashes_ends_the_process_with_its_traceback_but_no_password(service):
    assert service.start("crash").ends() == 1
    assert "ZeroDivisionError" in service.said()
    assert "Traceback" in service.said()
    assert "hunter22" not in service.said()


def test_a_loop_that_ends_by_itself_is_an_error(service):
    assert service.start("gone").ends() == 1
    assert "the conductor's loop has ended by itself" in service.said()


def test_an_error_is_said_on_stderr_when_the_log_is_a_file(service):
    log = service.folder / "log"
    assert service.start("crash", args=[f"--log-file={log}"]).ends() == 1
    assert len(service.said().splitlines()) == 1
    assert "ZeroDivisionError" in log.read_text()


def test_debugging_shows_no_password(service):
    service.start(args=["--debug"], more="[notifications]\ntransport_url = fake://a:opensesame@b\n")
    service.until("works as").send(signal.SIGTERM)
    assert service.ends() == 0
    assert "board.url" in service.said()
    assert "hunter22" not in service.said()
    assert "opensesame" not in service.said()


def test_a_configuration_that_everybody_can_read_is_complained_about(service):
    config = service.folder / "open.conf"
    config.touch(0o644)
    service.start(args=[f"--config-file={config}"]).until("works as").send(signal.SIGTERM)
    assert service.ends() == 0
    assert f"{config} holds a password, and every user of this host can read it" in service.said()


def test_systemd_hears_of_the_start_of_every_second_and_of_the_end(service, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(20)
        service.start(NOTIFY_SOCKET=path)
        said = ""
        while "WATCHDOG=1\nSTATUS=Working, 0 of 10 jobs" not in said:
            said += heard.recv(4096).decode() + "\n"
        service.send(signal.SIGTERM)
        while "STOPPING=1" not in said:
            said += heard.recv(4096).decode() + "\n"
    assert service.ends() == 0
    parts = ["STATUS=Waiting for the journal", "STATUS=Waiting for the cloud ",
             "STATUS=Waiting for the job board", "READY=1", "WATCHDOG=1", "STOPPING=1"]  # fmt: skip
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert "EXTEND_TIMEOUT_USEC=300000000" in said


def test_the_help_has_an_example():
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.service_fakes", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Example: upgrade-flows-conductor --config-file /etc/upgrade-flows/" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
