"""The three pages, asked over HTTP."""

import json
import math
import socket
import urllib.error
import urllib.request

import pytest

from tests.unit.service_fakes import Conductor
from upgrade_flows.engine.conductor import InHand
from upgrade_flows.errors import RequestError
from upgrade_flows.service.health import Health, Server
from upgrade_flows.service.metrics import Metrics


def ask(server, path, method="GET"):
    host, port = server.server_address[:2]
    where = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(f"http://{where}:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


@pytest.fixture
def health():
    return Health("one", ttl_s=30.0)


@pytest.fixture
def server(health):
    with Server(("127.0.0.1", 0), health, Metrics("one", "1.0")) as running:
        yield running


def working(health, alive=True, **kwargs):
    conductor = Conductor(**kwargs)
    health.working(conductor.status, lambda: alive)
    return conductor


def test_a_conductor_that_starts_says_what_it_waits_for(health, server):
    health.starting("the cloud https://keystone#RegionOne")
    reason = "starting: waiting for the cloud https://keystone#RegionOne"
    code, body = ask(server, "/readyz")
    assert (code, json.loads(body)) == (503, {"ready": False, "reasons": [reason]})
    code, body = ask(server, "/healthz")
    assert (code, json.loads(body)) == (503, {"ok": False, "reasons": [reason], "name": "one"})


def test_a_conductor_at_work_is_well_and_says_what_it_does(health, server):
    working(health, owner="me", ages=(1.23456, 0.5), jobs=(InHand("run-1", "web-1", "undo", 9.0),))
    code, body = ask(server, "/healthz")
    assert code == 200
    assert json.loads(body) == {
        "ok": True,
        "reasons": [],
        "name": "one",
        "owner": "me",
        "jobs": [{"run_id": "run-1", "subject": "web-1", "work": "undo", "since": 9.0}],
        "capacity": 10,
        "stopping": False,
        "journal_ok_s": 1.235,
        "board_ok_s": 0.5,
        "last_error": "",
    }
    assert ask(server, "/readyz")[0] == 200


@pytest.mark.parametrize(("ages", "what"), [((60.0, 0.0), "journal"), ((0.0, math.inf), "board")])
def test_twice_the_lifetime_without_a_word_is_illness(health, server, ages, what):
    working(health, ages=ages)
    code, body = ask(server, "/healthz")
    assert code == 503
    (reason,) = json.loads(body)["reasons"]
    assert reason.startswith(f"the {what} was last heard of ")
    assert ask(server, "/readyz")[0] == 503


def test_just_below_the_limit_is_health(health, server):
    working(health, ages=(59.9, 59.9))
    assert ask(server, "/healthz")[0] == 200


def test_a_loop_that_has_ended_is_illness(health, server):
    working(health, alive=False)
    code, body = ask(server, "/healthz")
    assert (code, json.loads(body)["reasons"]) == (503, ["the loop has ended"])


def test_a_conductor_that_stops_is_well_but_takes_nothing_on(health, server):
    working(health).stop()
    assert ask(server, "/healthz")[0] == 200
    code, body = ask(server, "/readyz")
    assert code == 503
    assert json.loads(body)["reasons"] == ["stopping: 0 jobs are brought to a halt"]


def test_an_error_is_shown_without_its_password():
    health = Health("one", 30.0, lambda text: text.replace("hunter22", "***"))
    working(health).error = "hunter22 was refused"
    assert health.healthz()[1]["last_error"] == "*** was refused"


def test_the_metrics_are_in_prometheus_own_format(server):
    code, body = ask(server, "/metrics")
    assert code == 200
    assert '\nupgrade_flows_steps_total{what="finished"} 0.0\n' in body


def test_other_pages_and_methods_do_not_exist(server):
    code, body = ask(server, "/")
    assert (code, json.loads(body)) == (404, {"pages": ["/healthz", "/readyz", "/metrics"]})
    assert ask(server, "/healthz", "POST")[0] == 501
    assert ask(server, "/metrics", "HEAD") == (200, "")


def test_an_address_that_is_taken_is_refused_with_its_option(health, server):
    with pytest.raises(RequestError, match=r"^\[conductor\] health_address: .* name another"):
        Server(server.server_address, health, Metrics("two", "1.0"))


def test_ipv6_is_served(health):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    with Server(("::1", 0), health, Metrics("one", "1.0")) as server:
        assert ask(server, "/metrics")[0] == 200
