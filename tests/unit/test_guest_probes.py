"""How a guest is asked whether it serves, and what is said if it does not."""

from __future__ import annotations

import http.server
import itertools
import socket
import threading

import pytest

from tests.unit.test_wait import Clock
from upgrade_flows import errors
from upgrade_flows.steps import guest_probes
from upgrade_flows.steps.guest_probes import await_ready, check_probes


class World:
    """A guest whose parts come up at some second of the clock."""

    def __init__(self, monkeypatch, **up):
        self.clock, self.up = Clock(), up
        self.asked = []
        self.pages = {"/": (200, "hello")}
        self.said = ""
        monkeypatch.setattr(guest_probes, "connects", self.connects)
        monkeypatch.setattr(guest_probes, "fetch", self.fetch)

    def is_up(self, what):
        self.asked.append((what, round(self.clock.now, 2)))
        return self.clock.now >= self.up.get(what, 1e9)

    def connects(self, address, port, patience_s):
        return self.is_up(f"{address}:{port}")

    def fetch(self, address, port, path, patience_s):
        return self.pages.get(path, (404, "")) if self.is_up(f"{address}:{port}") else (0, "")

    def console(self):
        return self.said if self.is_up("console") else ""

    def run(self, command):
        if not self.is_up(command):
            raise errors.HostUnreachable("web: 10.0.0.5 cannot be reached")
        return "status: done\n"

    def wait(self, *probes, deadline_s=60.0, addresses=("10.0.0.5",)):
        await_ready(
            self.clock,
            probes,
            addresses,
            what="web",
            console=self.console,
            run=self.run,
            deadline_s=deadline_s,
        )


@pytest.mark.parametrize(
    "probe",
    [
        {"tcp": 22},
        {"http": "/", "port": 22, "expect": "ell"},
        {"ssh": "systemctl is-active web"},
        {"console": r"^web login:"},
        {"cloud_init": True},
    ],
)
def test_each_kind_of_probe_passes_when_the_guest_is_up_and_not_before(monkeypatch, probe):
    up = {"10.0.0.5:22": 7, "systemctl is-active web": 7, "console": 7}
    world = World(monkeypatch, **up)
    world.said = "x\r\nCloud-init v. 22.4.2 finished at Thu, 20 Nov. Up 12 s\r\nweb login: "
    world.wait(probe)
    assert 7 <= world.clock.now < 9.1


def test_all_probes_have_to_pass(monkeypatch):
    world = World(monkeypatch, **{"10.0.0.5:22": 9, "10.0.0.5:80": 1})
    world.wait({"tcp": 80}, {"tcp": 22})
    assert world.clock.now >= 9


def test_a_probe_that_has_passed_is_not_asked_again(monkeypatch):
    world = World(monkeypatch, **{"10.0.0.5:22": 3, "10.0.0.5:80": 0})
    world.wait({"tcp": 80}, {"tcp": 22})
    assert [what for what, _ in world.asked].count("10.0.0.5:80") == 1


def test_without_probes_nobody_is_asked(monkeypatch):
    world = World(monkeypatch)
    world.wait()
    assert (world.asked, world.clock.now) == ([], 0)


def test_one_of_the_addresses_is_enough(monkeypatch):
    world = World(monkeypatch, **{"10.0.0.6:22": 0})
    world.wait({"tcp": 22}, addresses=("10.0.0.5", "10.0.0.6"))
    assert [what for what, _ in world.asked] == ["10.0.0.5:22", "10.0.0.6:22"]


def test_a_port_is_asked_often_and_a_console_is_not(monkeypatch):
    world = World(monkeypatch, **{"10.0.0.5:22": 10, "console": 10})
    world.said = "ready"
    world.wait({"tcp": 22}, {"console": "ready"})
    moments = {what: [at for asked, at in world.asked if asked == what] for what, _ in world.asked}
    ports, consoles = moments["10.0.0.5:22"], moments["console"]
    assert max(b - a for a, b in itertools.pairwise(ports)) <= 0.11
    assert min(b - a for a, b in itertools.pairwise(consoles)) >= 0.99


def test_a_time_out_says_which_probes_did_not_pass_and_why(monkeypatch):
    world = World(monkeypatch, **{"10.0.0.5:22": 0, "10.0.0.5:80": 0})
    probes = [{"tcp": 22}, {"tcp": 7}, {"http": "/no"}, {"http": "/", "expect": "x"}, {"ssh": "up"}]
    with pytest.raises(errors.TimedOut) as caught:
        world.wait(*probes, {"console": "ready"}, {"cloud_init": True}, deadline_s=3)
    said = str(caught.value)
    assert said.startswith("web to answer: not within 3 s; last seen: ")
    for part in (
        *(
            "tcp 7: no answer at 10.0.0.5",
            "http /no: 10.0.0.5 answers 404",
            "console ready: not",
        ),
        *("http /: 10.0.0.5 answers 200 without 'x'", "ssh up: web: 10.0.0.5 cannot be reached"),
        "cloud_init True: not done",
    ):
        assert part in said, part
    assert "tcp 22" not in said


def test_a_console_that_cannot_be_read_yet_is_waited_for(monkeypatch):
    world = World(monkeypatch)
    texts = [errors.Conflict("no console"), errors.NotFound("no console"), "ready"]

    def says():
        text = texts.pop(0)
        if isinstance(text, Exception):
            raise text
        return text

    world.console = says
    world.wait({"console": "ready"})
    assert texts == []


def test_cloud_init_is_asked_inside_where_the_console_does_not_say(monkeypatch):
    world = World(monkeypatch, console=0, **{"cloud-init status": 5})
    world.wait({"cloud_init": True})
    assert 5 <= world.clock.now < 7.1


@pytest.fixture
def server():
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/state" else 503)
            self.end_headers()
            self.wfile.write("wörd".encode())

        def log_message(self, *words):
            return

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_address[1]
    made.shutdown()
    made.server_close()


def test_a_real_port_and_a_real_page_are_asked(server):
    assert guest_probes.connects("127.0.0.1", server, 1.0)
    assert guest_probes.fetch("127.0.0.1", server, "/state", 1.0) == (200, "wörd")
    assert guest_probes.fetch("127.0.0.1", server, "/", 1.0) == (503, "wörd")


def test_a_port_where_nobody_listens_answers_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert guest_probes.fetch("127.0.0.1", port, "/", 0.1) == (0, "")
    assert not guest_probes.connects("127.0.0.1", port, 0.1)
    assert guest_probes.fetch("127.0.0.1", port, "/", 0.1) == (0, "")


def test_what_is_meant_is_understood():
    check_probes(
        [
            {"tcp": 80},
            {"http": "/path?x=1", "port": 8080, "expect": "ready"},
            {"ssh": "systemctl is-active web"},
            {"console": "login:"},
            {"cloud_init": True},
        ]
    )
    check_probes([])


def test_all_that_is_wrong_with_probes_is_said_at_once():
    bad = [
        {"tcp": 0},
        {"http": "path", "port": "80", "expect": 1, "host": "x"},
        {"ssh": " "},
        {"console": "("},
        {"console": ""},
        {"cloud_init": False},
        {"tcp": 80, "ssh": "true"},
        "tcp",
        {"http": "/a b"},
    ]
    with pytest.raises(errors.RequestError) as caught:
        check_probes(bad)
    assert str(caught.value).split("; ") == [
        "probe 1: tcp: a port from 1 to 65535 is wanted",
        "probe 2: host is unknown",
        "probe 2: http: a path that begins with / is wanted, as it goes over the line",
        "probe 2: port: a port from 1 to 65535 is wanted",
        "probe 2: expect: a text is wanted",
        "probe 3: ssh: a command is wanted",
        "probe 4: console: no regular expression: missing ), unterminated subpattern at position 0",
        "probe 5: console: a regular expression is wanted",
        "probe 6: cloud_init: only true is meant",
        "probe 7: it must be one of tcp, http, ssh, console, cloud_init",
        "probe 8: it must be one of tcp, http, ssh, console, cloud_init",
        "probe 9: http: a path that begins with / is wanted, as it goes over the line",
    ]
    with pytest.raises(errors.RequestError, match="a list is wanted"):
        check_probes({"tcp": 80})
