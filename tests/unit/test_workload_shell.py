"""How guests are reached by ssh: their host keys, addresses, and the connection that is kept."""

from __future__ import annotations

import sys

import asyncssh
import pytest

from tests.unit.guest_sandbox import GuestSandbox, console
from tests.unit.host_sandbox import without_agent
from upgrade_flows.errors import HostError, HostUnreachable, RequestError
from upgrade_flows.plugins.reading import Reader
from upgrade_flows.plugins.ssh import pool
from upgrade_flows.plugins.workload import hostkeys, shell
from upgrade_flows.plugins.workload.shell import Shell

#: a program that leads to this machine wherever it is asked to
WAY = """
import os, socket, sys, threading
with open("{folder}/asked", "w") as file:
    print(*sys.argv[1:], file=file)
made = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
def pump(source, target):
    while data := os.read(source, 65536):
        os.write(target, data)
threading.Thread(target=pump, args=(0, made.fileno()), daemon=True).start()
pump(made.fileno(), 1)
"""


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    without_agent(monkeypatch)
    monkeypatch.setattr(hostkeys, "_PINNED", {})
    made = GuestSandbox(tmp_path)
    yield made
    made.end()


def reach(sandbox, guest=None, **more):
    settings = {"ssh": {**sandbox.ssh, **more}}
    reader = Reader("a test", settings, ("ssh",))
    understood = shell.read(reader)
    reader.finish()
    return Shell(guest or sandbox.guest(), understood)


def other_key():
    return asyncssh.generate_private_key("ssh-ed25519")


def test_the_host_keys_are_those_of_the_last_whole_block_on_the_console():
    first, second, third = (other_key() for _ in range(3))
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    torn = console(third).replace("-----END SSH HOST KEY KEYS-----", "")
    found = hostkeys.parse(console(first) + console(rsa, second) + torn)
    expected = [key.export_public_key().decode().strip() for key in (rsa, second)]
    assert list(found) == expected


def test_a_key_that_the_kernel_wrote_into_is_no_key():
    text = console(other_key(), other_key())
    line = text.splitlines()[2]
    assert (
        len(hostkeys.parse(text.replace(line, line[:30] + "\n[ 1.0] eth0: up\n" + line[30:]))) == 1
    )


def test_a_guest_is_known_by_its_console(sandbox):
    assert reach(sandbox).run("greeting", "echo hello", 10) == "hello\n"


def test_a_console_without_keys_is_no_reason_to_trust(sandbox):
    sandbox.console = "web login: "
    with pytest.raises(HostError, match="console does not show its host keys"):
        reach(sandbox).run("greeting", "echo hello", 10)
    assert sandbox.scripts == []


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_guest_with_another_key_than_on_its_console_is_refused(sandbox, kind):
    sandbox.console = console(asyncssh.generate_private_key(kind))
    with pytest.raises(HostError, match=r"web \(original, server-\d+-1\)"):
        reach(sandbox).run("greeting", "echo hello", 10)
    assert sandbox.scripts == []


def test_keys_stay_known_when_the_console_has_scrolled_on(sandbox):
    guest = sandbox.guest()
    reach(sandbox, guest).run("greeting", "echo hello", 10)
    notes = hostkeys.noted(guest)
    hostkeys._PINNED.clear()
    sandbox.console = ""
    hostkeys.remember(notes)
    assert reach(sandbox, guest, connect_s=9).run("greeting", "echo again", 10) == "again\n"


def test_a_guest_that_has_made_new_keys_is_known_by_the_console_of_now(sandbox):
    text, sandbox.console = sandbox.console, console(other_key())
    hostkeys.of(sandbox.guest())
    sandbox.console = text
    assert reach(sandbox).run("greeting", "echo hello", 10) == "hello\n"


def test_keys_can_be_known_by_a_file(sandbox, tmp_path):
    sandbox.console = ""
    known = tmp_path / "known_hosts"
    public = sandbox.key.export_public_key().decode()
    known.write_text(f"[127.0.0.1]:{sandbox.port} {public}")
    assert reach(sandbox, known_hosts=str(known)).run("greeting", "echo hello", 10) == "hello\n"
    known.write_text("")
    with pytest.raises(HostError, match=f"is not known in {known}"):
        reach(sandbox, known_hosts=str(known), connect_s=9).run("greeting", "echo hello", 10)


def test_a_guest_is_reached_at_the_first_address_that_answers_with_its_key(sandbox, tmp_path):
    guest = sandbox.guest(addresses=("127.0.0.9", "127.0.0.1"))
    assert reach(sandbox, guest).run("greeting", "echo hello", 10) == "hello\n"


def test_a_guest_that_does_not_answer_is_unreachable_at_each_address(sandbox):
    sandbox.stop()
    guest = sandbox.guest(addresses=("127.0.0.1", "127.0.0.9"))
    with pytest.raises(HostUnreachable, match=r"127\.0\.0\.1 cannot.*127\.0\.0\.9 cannot"):
        reach(sandbox, guest).run("greeting", "echo hello", 10)


def test_a_guest_without_address_is_unreachable(sandbox):
    with pytest.raises(HostUnreachable, match="has no address"):
        reach(sandbox, sandbox.guest(addresses=())).run("greeting", "echo hello", 10)


def test_a_way_of_the_operators_own_leads_to_a_guest(sandbox, tmp_path):
    way = tmp_path / "way"
    way.write_text(f"#!{sys.executable} -IS\n{WAY.format(folder=tmp_path)}")
    way.chmod(0o755)
    guest = sandbox.guest(addresses=("192.0.2.1",))
    words = [str(way), "{address}", "{port}"]
    assert reach(sandbox, guest, proxy_command=words).run("greeting", "echo hello", 10) == "hello\n"
    assert (tmp_path / "asked").read_text() == f"192.0.2.1 {sandbox.port}\n"


def test_one_connection_serves_for_several_scripts(sandbox):
    one = reach(sandbox)
    assert [one.run("counting", f"echo {number}", 10) for number in (1, 2, 3)] == [
        "1\n",
        "2\n",
        "3\n",
    ]
    assert sandbox.connections == 1


def test_a_connection_that_was_lost_meanwhile_is_made_anew(sandbox):
    one = reach(sandbox)
    one.run("greeting", "echo hello", 10)
    sandbox.stop()
    sandbox.start(sandbox.port)
    assert one.run("greeting", "echo again", 10) == "again\n"
    assert sandbox.connections == 2


def test_a_connection_that_nobody_uses_is_closed(sandbox, monkeypatch):
    monkeypatch.setattr(pool, "IDLE_S", 0.05)
    one = reach(sandbox)
    one.run("greeting", "echo hello", 10)
    key = (one.guest.server_id, one.settings)
    shell.wait.until(
        shell.wait.SystemClock(), "it to go", lambda: key in pool.POOL._kept, lambda kept: not kept
    )


def test_a_connection_that_is_lost_while_a_script_runs_leaves_it_open_how_it_ended(sandbox):
    sandbox.mood = "drops"
    with pytest.raises(HostUnreachable, match="while greeting ran"):
        reach(sandbox).run("greeting", "echo hello", 10)
    assert len(sandbox.scripts) == 1


def test_a_script_that_fails_is_an_error_with_the_end_of_what_it_said(sandbox):
    with pytest.raises(HostError, match=r"web \(original, server-\d+-1\): it ended with 3: no$"):
        reach(sandbox).run("it", "echo no >&2; exit 3", 10)


def test_a_script_that_does_not_end_is_given_up(sandbox):
    with pytest.raises(HostError, match=r"patience did not end within 0\.5 s"):
        reach(sandbox).run("patience", "sleep 2", 0.5)


def test_a_guest_that_comes_up_is_waited_for(sandbox):
    text, sandbox.console = sandbox.console, ""
    asked = []

    def says():
        asked.append(1)
        return text if len(asked) > 2 else ""

    reach(sandbox, sandbox.guest(console=says)).reach(20)
    assert len(asked) == 3


def test_a_guest_that_does_not_come_up_is_said_to_with_the_last_reason(sandbox):
    sandbox.stop()
    with pytest.raises(HostUnreachable, match=r"not within 0\.2 s; last seen: no answer at 127"):
        reach(sandbox).reach(0.2)


def test_a_user_who_is_not_root_uses_sudo(sandbox):
    sandbox.shell = ("sh",)
    reach(sandbox, user="debian").run("greeting", "echo hello", 10)
    reach(sandbox, user="debian", sudo=False).run("greeting", "echo hello", 10)
    assert sandbox.commands == ["sudo -n sh -s", "sh -s"]


def test_a_key_that_cannot_be_read_is_named(sandbox):
    with pytest.raises(HostError, match="/no/such/key"):
        reach(sandbox, key="/no/such/key").run("greeting", "echo hello", 10)


def test_all_that_is_wrong_with_the_settings_of_ssh_is_said_at_once():
    bad = {
        "user": "-o",
        "port": 70000,
        "key": "id_rsa",
        "known_hosts": "none",
        "proxy_command": "nc",
        "connect_s": 0,
        "sudo": "yes",
        "password": "x",
    }
    reader = Reader("a test", {"ssh": bad}, ("ssh",))
    shell.read(reader)
    with pytest.raises(RequestError) as caught:
        reader.finish()
    for key in bad:
        assert f"ssh: {key}" in str(caught.value)
