"""Interfaces that are plugged into a running guest: brought up by their MAC, in real namespaces."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.unit.guest_sandbox import MAC, NIC, SHELLS, GuestSandbox, can_unshare
from tests.unit.host_sandbox import without_agent
from upgrade_flows.cloud import wait
from upgrade_flows.errors import HostError
from upgrade_flows.plugins.base import GuestNic
from upgrade_flows.plugins.workload import commands, hostkeys, scripts
from upgrade_flows.plugins.workload.hooks.plugin import Hooks
from upgrade_flows.plugins.workload.shell import Shell, SshSettings

pytestmark = pytest.mark.skipif(not can_unshare(), reason="there are no namespaces to be had")

#: whether a port answers, if only by saying that nobody listens there
CONNECT = """
import socket
def comes(port):
    with socket.socket() as made:
        made.bind(("10.9.0.50", 0))
        made.settimeout(0.3)
        try:
            made.connect(("10.9.0.5", port))
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return True
"""

OWN = "fa:16:3e:00:00:01"


@pytest.fixture(params=SHELLS)
def sandbox(request, tmp_path, monkeypatch):
    without_agent(monkeypatch)
    monkeypatch.setattr(hostkeys, "_PINNED", {})
    monkeypatch.setattr(commands, "ARRIVAL_S", 2)
    made = GuestSandbox(tmp_path, request.param, network=True)
    made.plug(OWN, "eth0")
    made.do("ip link set eth0 up")
    made.do("ip addr add 10.9.0.50/24 dev eth0")
    made.do("ip route add default via 10.9.0.1 dev eth0")
    yield made
    made.end()


def addresses(sandbox, link="eth1"):
    said = sandbox.do(f"ip -brief addr show dev {link}").split()
    return [one for one in said[2:] if not one.startswith("fe80:")]


def until(what, fetch, done):
    return wait.until(wait.SystemClock(), what, fetch, done, deadline_s=10)


def test_an_interface_is_up_with_its_addresses_when_the_command_for_resume_runs(sandbox):
    sandbox.plug(MAC)
    command = f"ip addr show dev eth1 >{sandbox.folder}/log"
    guest = sandbox.guest("surrogate", nics=(NIC,))
    Hooks().resume(guest, {"ssh": sandbox.ssh, "resume": command}, {})
    said = (sandbox.folder / "log").read_text()
    assert "10.9.0.5/24" in said
    assert "fd00:9::5/64" in said


def test_what_comes_from_an_address_leaves_by_its_own_interface(sandbox):
    sandbox.plug(MAC)
    Hooks().resume(sandbox.guest("surrogate", nics=(NIC,)), {"ssh": sandbox.ssh}, {})

    def way(to, source):
        said = sandbox.do(f"ip route get {to} from {source}").split()
        return said[said.index("dev") + 1]

    for to in ("10.9.0.77", "192.0.2.1"):
        assert (to, way(to, "10.9.0.5"), way(to, "10.9.0.50")) == (to, "eth1", "eth0")
    sandbox.do("ip link del eth0")
    assert "via 10.9.0.1 dev eth1" in sandbox.do("ip route show default")


def test_an_interface_that_does_not_come_is_an_error_that_names_it(sandbox):
    with pytest.raises(HostError, match=f"the interface {MAC}.* did not come within 2 s"):
        Hooks().resume(sandbox.guest("surrogate", nics=(NIC,)), {"ssh": sandbox.ssh}, {})


def test_a_surrogate_that_is_prepared_brings_interfaces_up_as_they_come(sandbox):
    original, surrogate = sandbox.guest(), sandbox.guest("surrogate", nics=(NIC,))
    Hooks().prepare(original, surrogate, {"ssh": sandbox.ssh})
    sandbox.plug(MAC)
    found = until("eth1", lambda: addresses(sandbox), lambda said: len(said) == 2)
    assert found == ["10.9.0.5/24", "fd00:9::5/64"]
    Hooks().resume(surrogate, {"ssh": sandbox.ssh}, {})
    assert not (sandbox.root / "run/upgrade-flows/nics.pid").exists()


def test_a_quiet_original_brings_interfaces_up_that_come_back_and_once_more(sandbox):
    sandbox.plug(MAC)
    sandbox.do("ip link set eth1 up")
    sandbox.do("ip addr add 10.9.0.5/24 dev eth1")
    Hooks().quiesce(sandbox.guest(nics=(NIC,)), {"ssh": sandbox.ssh}, {})
    for _ in range(2):
        sandbox.do("ip link del eth1")
        sandbox.plug(MAC)
        until("eth1", lambda: addresses(sandbox), lambda said: len(said) == 2)


def test_an_address_that_the_guest_takes_away_again_comes_back(sandbox):
    sandbox.plug(MAC)
    Hooks().quiesce(sandbox.guest(nics=(NIC,)), {"ssh": sandbox.ssh}, {})
    until("eth1", lambda: addresses(sandbox), lambda said: len(said) == 2)
    sandbox.do("ip addr flush dev eth1")
    until("eth1", lambda: addresses(sandbox), lambda said: len(said) == 2)


def test_nothing_is_brought_up_after_a_withdrawal(sandbox):
    surrogate = sandbox.guest("surrogate", nics=(NIC,))
    Hooks().prepare(sandbox.guest(), surrogate, {"ssh": sandbox.ssh})
    Hooks().withdraw(surrogate, {"ssh": sandbox.ssh}, {})
    sandbox.plug(MAC)
    time.sleep(0.5)
    assert addresses(sandbox) == []


def test_interfaces_are_left_alone_where_the_settings_say_so(sandbox):
    sandbox.plug(MAC)
    said = {"ssh": sandbox.ssh, "network": False, "resume": "true"}
    Hooks().resume(sandbox.guest("surrogate", nics=(NIC,)), said, {})
    assert addresses(sandbox) == []


def test_an_address_that_the_guest_has_set_itself_is_no_error(sandbox):
    sandbox.plug(MAC)
    sandbox.do("ip link set eth1 up")
    sandbox.do("ip addr add 10.9.0.5/24 dev eth1")
    nic = GuestNic(MAC.upper(), ("10.9.0.5/24",), "10.9.0.1")
    Hooks().resume(sandbox.guest("surrogate", nics=(nic,)), {"ssh": sandbox.ssh}, {})
    assert "from 10.9.0.5" in sandbox.do("ip rule")


@pytest.mark.skipif(shutil.which("nft") is None, reason="there is no nft")
def test_nothing_but_ssh_comes_to_a_locked_address(sandbox):
    sandbox.plug(MAC)
    guest = sandbox.guest("surrogate", nics=(NIC,))
    Hooks().resume(guest, {"ssh": sandbox.ssh}, {})

    def comes(port):
        return sandbox.do("python3 -c", f"{CONNECT}\nprint(comes({port}))") == "True\n"

    def run(what):
        variables = "addresses='10.9.0.5/24 fd00:9::5/64'\nport=22\nimages=/x\nmark=y\npid=1\n"
        lines = scripts.script("nics", "criu").replace("\n}\nmain ", f"\n{what}\n}}\nmain ")
        Shell(guest, SshSettings(**sandbox.ssh)).run(what, variables + lines, 10)

    assert (comes(22), comes(80)) == (True, True)
    run("lock")
    run("lock")
    assert (comes(22), comes(80)) == (True, False)
    run("unlock")
    assert (comes(22), comes(80)) == (True, True)
    assert sandbox.do("nft list tables") == ""
