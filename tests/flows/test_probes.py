"""A guest that answers is asked while it is changed, and its silence is reported."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from taskflow import engines

from tests.flows.scenes import PLUGINS, action_for, cloud_with, context
from upgrade_flows.cloud.collect import collect
from upgrade_flows.errors import RequestError
from upgrade_flows.flows import capability
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan
from upgrade_flows.steps import probes


@contextlib.contextmanager
def guest(port=0):
    """Listen on loopback, as a guest would; yield the port."""
    with socket.create_server(("127.0.0.1", port)) as server:
        stopped = threading.Event()

        def serve():
            while not stopped.is_set():
                with contextlib.suppress(OSError):
                    server.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)


def at_loopback(case, **more):
    """Return a cloud whose one instance has an address on loopback, and its planned action."""
    cloud, server = cloud_with(case)
    for port in cloud.direct.network.ports(device_id=server):
        cloud.change_port(port.id, fixed_ips=(("subnet", "127.0.0.1"),))
    cloud.world.fips_of.clear()
    scope = Scope(servers=(server,))
    request = UpgradeRequest("recreate", scope, Target(case, options=more))
    (action,) = make_plan(request, collect(cloud, scope), PLUGINS).actions
    return cloud, action


def test_the_longest_silence_is_what_is_noted():
    with guest() as port:
        watch = probes.Watch("127.0.0.1", port)
        watch.start()
        time.sleep(0.3)
    time.sleep(0.6)
    with guest(port):
        time.sleep(0.4)
        silence = watch.stop()
    assert silence >= 0.5


@pytest.mark.parametrize("case", ["rebind", "snapshot"])
def test_a_guest_that_answers_is_watched_and_its_silence_is_in_the_outcome(case):
    with guest() as port:
        cloud, action = at_loopback(case, probe=f"tcp:{port}")
        flow = capability.get("recreate").change(context(cloud), action)
        outcome = engines.run(flow)["outcome"]
    assert isinstance(outcome["probed_downtime_s"], float)
    assert not probes._WATCHES


def test_a_guest_that_does_not_answer_is_not_measured():
    with guest() as port:
        pass
    cloud, action = at_loopback("rebind", probe=f"tcp:{port}")
    flow = capability.get("recreate").change(context(cloud), action)
    assert engines.run(flow)["outcome"]["probed_downtime_s"] is None


def test_without_a_probe_nobody_is_asked():
    cloud, server = cloud_with("rebind")
    action = action_for("rebind", cloud, server)
    assert "probe_port" not in action.details


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"probe": "ping"}, "the probe is 'ping'"),
        ({"probe": "tcp:http"}, "it must be tcp:<port>"),
        ({"probe": "tcp:70000"}, "it must be tcp:<port>"),
        ({"prob": "tcp:22"}, "unknown option prob"),
    ],
)
def test_a_probe_that_makes_no_sense_is_refused(options, said):
    cloud, _ = cloud_with("rebind")
    request = UpgradeRequest("recreate", Scope(everything=True), Target(options=options))
    with pytest.raises(RequestError, match=said):
        make_plan(request, collect(cloud, request.scope), PLUGINS)
