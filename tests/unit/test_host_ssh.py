"""The host plugin ssh: how it reaches hosts, and what it says of them."""

from __future__ import annotations

import re
import socket
import textwrap
from pathlib import Path

import asyncssh
import pytest
import yaml

from tests.unit.host_sandbox import Sandbox, without_agent
from upgrade_flows.errors import HostError, HostUnreachable, RequestError
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.host import scripts
from upgrade_flows.plugins.host.ssh import connection
from upgrade_flows.plugins.host.ssh.connection import Machine
from upgrade_flows.plugins.host.ssh.plugin import SshHost
from upgrade_flows.plugins.host.ssh.settings import read

HOST = "compute-1"
GROUP = {
    "path": "/etc/libvirt/qemu.conf",
    "line": 'group = "hugetlbfs"',
    "instead_of": "^#?group *=",
}


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    without_agent(monkeypatch)
    made = Sandbox(tmp_path)
    yield made
    made.stop()


def look(sandbox, **settings):
    return SshHost().look(HOST, {**sandbox.settings, **settings})


def test_a_look_says_what_a_host_is(sandbox):
    facts = look(sandbox, packages={"qemu": "latest", "nano": "", "helper": "3"}, files=[GROUP])
    utilization = facts.pop("memory_utilization")
    assert utilization == pytest.approx(0.4)
    assert facts == {
        "manager": "apt",
        "boot_id": "boot-1",
        "kernel": "6.1.0-18-amd64",
        "kernels": ["6.1.0-9-amd64", "6.1.0-18-amd64"],
        "newest_kernel": "6.1.0-18-amd64",
        "headers": ["6.1.0-18-amd64"],
        "modules": {"zfs": ["6.1.0-18-amd64"]},
        "packages": {"qemu": "7.0", "nano": "5"},
        "candidates": {"qemu": "7.2"},
        "hugepages": {"2048": 1024},
        "vfs": {"ens1": 8},
        "time_synchronized": True,
        "uptime_s": 1234.5,
        "os": "Debian GNU/Linux 12",
        "versions": {"libvirt": "9.0.0"},
        "lines": [{"path": GROUP["path"], "line": GROUP["line"], "now": '#group = "root"'}],
    }
    assert sandbox.commands == ["sh -s"]


def test_what_is_missing_is_said_in_words(sandbox):
    sandbox.write("/run/reboot-required", "")
    settings = {
        **sandbox.settings,
        "packages": {"qemu": "8.2", "nano": "latest", "library": "", "helper": "", "tool": "2"},
        "remove": ["library", "absent"],
        "source": {"name": "new", "text": "deb new"},
        "kernel": "6.12.1",
        "files": [GROUP],
    }
    del settings["packages"]["library"]
    facts = SshHost().look(HOST, settings)
    assert SshHost().missing(settings, facts) == [
        "package source new is not in place",
        "package qemu is 7.0, 8.2 is wanted",
        "package nano is 5, 6 is wanted",
        "package helper is not installed",
        "package library is still installed",
        "/etc/libvirt/qemu.conf has '#group = \"root\"' instead of 'group = \"hugetlbfs\"'",
        "kernel 6.1.0-18-amd64 runs, 6.12.1 is wanted",
    ]
    assert SshHost().wants_reboot(settings, facts, facts)
    assert facts["reboot_required"]


def test_a_new_kernel_wants_a_reboot_and_other_packages_do_not():
    plugin, settings = SshHost(), {"packages": {"qemu": ""}}
    old = {"kernel": "1", "kernels": ["1"], "packages": {"qemu": "1"}}
    assert not plugin.wants_reboot(settings, old, {**old, "packages": {"qemu": "2"}})
    assert plugin.wants_reboot(settings, old, {**old, "kernels": ["1", "2"]})
    assert plugin.wants_reboot(settings, old, {**old, "reboot_required": True})


def test_a_version_that_cannot_be_had_again_is_a_fact(sandbox):
    sandbox.set(archive={"qemu": ["7.2"]})
    assert look(sandbox, packages={"qemu": ""})["no_way_back"] == {"qemu": "7.0"}


def test_a_reboot_makes_another_boot(sandbox):
    settings = {**sandbox.settings, "packages": {"qemu": ""}}
    SshHost().reboot(HOST, settings)
    assert look(sandbox, packages={"qemu": ""})["boot_id"] == "boot-2"


def test_a_connection_that_is_lost_by_the_reboot_counts_as_taken(sandbox):
    sandbox.mood = "drops-late"
    SshHost().reboot(HOST, {**sandbox.settings, "packages": {"qemu": ""}})
    assert sandbox.path("/proc/sys/kernel/random/boot_id").read_text() == "boot-2\n"


def test_a_reboot_of_a_host_that_does_not_answer_is_not_taken(sandbox):
    sandbox.stop()
    with pytest.raises(HostUnreachable):
        SshHost().reboot(HOST, {**sandbox.settings, "packages": {"qemu": ""}})


def test_a_reboot_that_is_refused_is_an_error(sandbox):
    settings = {**sandbox.settings, "packages": {"qemu": ""}, "reboot_command": ["false"]}
    with pytest.raises(HostError, match="compute-1: asking for a reboot ended with 1"):
        SshHost().reboot(HOST, settings)


@pytest.mark.parametrize("mood", ["drops", "drops-late"])
def test_a_lost_connection_is_unreachable(sandbox, mood):
    sandbox.mood = mood
    with pytest.raises(HostUnreachable, match=r"compute-1: .* while looking ran"):
        look(sandbox, packages={"qemu": ""})


def test_a_host_without_server_is_unreachable(sandbox):
    sandbox.stop()
    with pytest.raises(HostUnreachable, match=r"compute-1 cannot be reached: .*call failed"):
        look(sandbox, packages={"qemu": ""})


def test_a_server_that_says_nothing_is_unreachable(sandbox, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sandbox.port = silent.getsockname()[1]
        sandbox.know(sandbox.host_key)
        with pytest.raises(HostUnreachable, match=r"does not answer within 0\.3 s"):
            look(sandbox, packages={"qemu": ""})


def test_a_command_that_does_not_end_is_given_up(sandbox):
    sandbox.mood = "hangs"
    settings = read({**sandbox.settings, "packages": {"qemu": ""}, "command_s": 0.5})
    with pytest.raises(HostError, match=r"patience did not end within 0\.5 s") as caught:
        Machine(HOST, settings).run("patience", scripts.script("run", ["true"]))
    assert not isinstance(caught.value, HostUnreachable)


def test_an_unknown_host_key_is_refused_with_what_to_do(sandbox):
    sandbox.know(None)
    with pytest.raises(HostError, match="is not known in") as caught:
        look(sandbox, packages={"qemu": ""})
    assert f"ssh-keyscan -p {sandbox.port} 127.0.0.1 >> " in str(caught.value)
    assert sandbox.host_key.get_fingerprint() in str(caught.value)
    assert not isinstance(caught.value, HostUnreachable)
    assert sandbox.commands == []


def test_a_changed_host_key_is_refused(sandbox):
    sandbox.know(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(HostError, match=r"is another one than is known for 127\.0\.0\.1"):
        look(sandbox, packages={"qemu": ""})
    assert sandbox.commands == []


@pytest.mark.parametrize("more", ["UserKnownHostsFile none", "UserKnownHostsFile /dev/null"])
def test_host_keys_are_verified_whatever_the_configuration_says(sandbox, more):
    sandbox.know(None, f"StrictHostKeyChecking no\n{more}")
    with pytest.raises(HostError, match=r"(?i)known"):
        look(sandbox, packages={"qemu": ""})
    assert sandbox.commands == []


def test_a_refused_login_is_unreachable_because_a_host_that_boots_refuses_too(sandbox):
    other = asyncssh.generate_private_key("ssh-ed25519")
    other.write_private_key(str(sandbox.folder / "key"))
    with pytest.raises(HostUnreachable, match="refuses the login of nobody-else"):
        look(sandbox, packages={"qemu": ""}, user="nobody-else")


def test_a_configuration_that_is_not_there_is_named(sandbox):
    with pytest.raises(HostError, match="/no/such/file"):
        look(sandbox, packages={"qemu": ""}, ssh_config="/no/such/file")


NASTY = [
    "a b",
    "it's",
    '"quoted"',
    "$(touch /tmp/x)",
    "`id`",
    "new\nline",
    "-n",
    "",
    "*",
    "\\",
    "~",
]


def test_arguments_come_through_as_they_are(sandbox):
    settings = read({**sandbox.settings, "packages": {"qemu": ""}})
    words = ["sh", "-c", 'for w; do printf "<%s>" "$w"; done >&2; exit 3', "sh", *NASTY]
    with pytest.raises(HostError) as caught:
        Machine(HOST, settings).run("it", scripts.script("run", words))
    assert str(caught.value) == "compute-1: it ended with 3: " + "".join(f"<{w}>" for w in NASTY)
    assert sandbox.commands == ["sh -s"]


def test_sudo_is_used_and_its_refusal_is_a_refusal(sandbox):
    settings = {**sandbox.settings, "packages": {"qemu": "7.2"}, "sudo": True}
    facts = SshHost().look(HOST, settings)
    assert sandbox.commands == ["sudo -n sh -s"]
    assert SshHost().refusals(HOST, settings, facts) == []
    sandbox.set(sudo=False)
    (said,) = SshHost().refusals(HOST, settings, facts)
    assert said.endswith("sudo: a password is required")
    sandbox.set(uid=1000)
    (said,) = SshHost().refusals(HOST, {**settings, "sudo": False}, facts)
    assert said == "compute-1: the user of the login is not root; set sudo"


def refusals(sandbox, **settings):
    settings = {**sandbox.settings, **settings}
    return SshHost().refusals(HOST, settings, SshHost().look(HOST, settings))


def test_nothing_is_refused_where_nothing_is_against_it(sandbox):
    before = sandbox.whole()
    source = {"name": "new", "text": "deb new"}
    assert refusals(sandbox, packages={"qemu": "8.2"}, source=source, remove=["nano"]) == []
    assert sandbox.whole() == before


@pytest.mark.parametrize(
    ("state", "settings", "said"),
    [
        ({}, {"packages": {"qemu": "9"}}, "Version '9' for 'qemu' was not found"),
        (
            {},
            {"packages": {"qemu": "8.3"}, "source": {"name": "new", "text": "deb new"}},
            "Version '8.3' for 'qemu' was not found",
        ),
        (
            {},
            {"packages": {"qemu": "8.2"}, "source": {"name": "new", "text": "deb gone"}},
            "package source new cannot be read: E: Failed to fetch deb gone",
        ),
        ({"held": ["qemu"]}, {"packages": {"qemu": "7.2"}}, "qemu is held: apt-mark unhold qemu"),
        ({"free": 1000}, {"packages": {"nano": ""}}, "/boot has 0 MiB free, 500 are needed"),
        ({"interrupted": True}, {"packages": {"nano": ""}}, "dpkg --configure -a"),
        ({"conflicts": {"qemu": ["tool"]}}, {"packages": {"qemu": "7.2"}}, "tool would be removed"),
        ({}, {"kernel": "6.12"}, "module zfs cannot be built for kernel 6.12"),
    ],
)
def test_what_would_fail_is_refused(sandbox, state, settings, said):
    sandbox.set(**state)
    assert any(said in why for why in refusals(sandbox, **settings))


def test_a_file_that_is_too_large_is_refused(sandbox):
    sandbox.write("/etc/large", "x" * 300_000)
    line = {"path": "/etc/large", "line": "x"}
    assert any("/etc/large has 300000 bytes" in said for said in refusals(sandbox, files=[line]))


def test_headers_that_come_with_the_kernel_are_enough(sandbox):
    wanted = {"linux-image-6.12": "", "linux-headers-6.12": ""}
    sandbox.set(archive={"linux-image-6.12": ["1"], "linux-headers-6.12": ["1"]})
    assert refusals(sandbox, packages=wanted) == []
    del wanted["linux-headers-6.12"]
    (said,) = refusals(sandbox, packages=wanted)
    assert "module zfs cannot be built for kernel 6.12" in said


def test_all_that_is_wrong_with_settings_is_said_at_once():
    bad = {
        "adress": "x",
        "address": "{name}",
        "user": "-o",
        "sudo": "yes",
        "manager": "zypper",
        "packages": {"-rf": "1", "ok": 3, "x": "1 2"},
        "remove": ["a b"],
        "source": {"name": "../x", "text": "deb http://me:secret@host/"},
        "files": [
            {"path": "relative", "line": "a\nb"},
            {"path": "/x", "line": "y", "instead_of": "("},
        ],
        "services": ["--all"],
        "command_s": 0,
        "reboot_command": "reboot",
    }
    with pytest.raises(RequestError) as caught:
        SshHost().check(bad)
    said = str(caught.value)
    for part in (
        *(
            "adress is unknown",
            "address: {host}",
            "user: ",
            "sudo: ",
            "manager: ",
            "'-rf'",
            "ok: a",
        ),
        *("x: a version", "remove: ", "source: name", "text holds a password", "files[0]: path"),
        *(
            "files[0]: line",
            "files[1]: instead_of",
            "services: ",
            "command_s: ",
            "reboot_command: ",
        ),
    ):
        assert part in said, part
    assert "secret" not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "nothing is wanted"),
        ([], "an object is wanted"),
        ({"packages": {"a": ""}, "remove": ["a"]}, "to be installed and to be removed"),
        (
            {"files": [GROUP, {"path": GROUP["path"], "line": "group = 1"}]},
            "would replace 'group = 1'",
        ),
        ({"source": {}}, "name is missing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(RequestError, match=said):
        SshHost().check(settings)


def test_the_settings_that_the_manual_shows_are_understood():
    page = Path(__file__).parents[2] / "doc/source/operator/host_plugins.rst"
    shown = re.findall(
        r":caption: settings of the plugin ``([a-z]+)``\n\n((?:   .*\n|\n)+)",
        page.read_text("utf-8"),
    )
    assert [name for name, _ in shown] == ["ssh", "ansible", "command"]
    for name, text in shown:
        registry.load().host[name].check(yaml.safe_load(textwrap.dedent(text)))
