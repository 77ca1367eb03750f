"""The host plugin ansible: real playbooks, on this machine itself."""

from __future__ import annotations

import json
import os
import sys

import pytest
from taskflow import engines

from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import HostError, HostUnreachable, PluginError, RequestError
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.host.ansible import running
from upgrade_flows.plugins.host.ansible.plugin import AnsibleHost
from upgrade_flows.steps.base import Context

HOST = "compute-1"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with an inventory in which a compute host is this machine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "hosts").write_text(
        f"{HOST} ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        "compute-2 ansible_connection=local\n"
        "gone ansible_host=127.0.0.1 ansible_port=1\n"
    )
    return tmp_path


def playbook(here, name, *tasks, hosts="all"):
    path = here / name
    path.write_text(json.dumps([{"hosts": hosts, "gather_facts": False, "tasks": list(tasks)}]))
    return str(path)


def write(here, text):
    return {"name": "write", "ansible.builtin.copy": {"dest": f"{here}/file", "content": text}}


def settings_for(here, *tasks, **more):
    path = playbook(here, "site.yaml", *(tasks or [write(here, "new")]))
    return {"playbook": path, "inventory": str(here / "hosts"), **more}


def flow_for(settings):
    ctx = Context("run-1", FakeCloud(), registry.load())
    return AnsibleHost().upgrade(ctx, HOST, settings)


def test_a_look_says_what_the_ssh_plugin_would_say(here):
    path = playbook(
        here,
        "facts.yaml",
        {
            "ansible.builtin.set_stats": {
                "data": {"upgrade_flows_facts": {"release": "{{ release }}"}}
            }
        },
    )
    want = {"files": [{"path": f"{here}/file", "line": "a {{ b }}"}], "kernel": "9.9"}
    settings = settings_for(here, want=want, facts_playbook=path, extra_vars={"release": "r1"})
    facts = AnsibleHost().look(HOST, settings)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        assert facts["boot_id"] == stream.read().strip()
    assert facts["kernel"] == os.uname().release
    assert facts["release"] == "r1"
    assert AnsibleHost().missing(settings, facts) == [
        f"{here}/file has nothing instead of 'a {{{{ b }}}}'",
        f"kernel {os.uname().release} runs, 9.9 is wanted",
    ]
    assert AnsibleHost().wants_reboot(settings, facts, facts)
    assert not AnsibleHost().wants_reboot({**settings, "reboot": "playbook"}, facts, facts)


def test_the_playbook_runs_and_its_rollback_takes_it_back(here):
    rollback = playbook(here, "rollback.yaml", write(here, "old"))
    said = "{{ upgrade_flows_host }} {{ upgrade_flows_run }} {{ secret }} {{ inventory_hostname }}"
    settings = settings_for(
        here, write(here, said), rollback_playbook=rollback, extra_vars={"secret": "s"}
    )
    results = engines.run(flow_for(settings), store={"facts": {}})
    assert (here / "file").read_text() == f"{HOST} run-1 s {HOST}"
    assert results["ansible_playbook"] == {"changed": 1}
    (step,) = list(flow_for(settings))
    assert step.revert(result={"changed": 0}) is None
    assert (here / "file").read_text() != "old"
    assert step.revert(result={"changed": 1}) is None
    assert (here / "file").read_text() == "old"
    assert not [name for name in os.listdir(here) if name.startswith("upgrade-flows-")]


def test_without_a_rollback_the_revert_says_what_is_left(here):
    settings = settings_for(here)
    (step,) = list(flow_for(settings))
    left = step.revert(result=None)["residue"]
    assert left["why"].startswith(f"playbook {settings['playbook']} ran on compute-1, and")


def test_the_last_failure_is_told_and_no_hidden_output(here):
    fail = {"name": "break it", "ansible.builtin.fail": {"msg": "disk is full"}}
    with pytest.raises(HostError, match=r"failed: task 'break it': disk is full$"):
        engines.run(flow_for(settings_for(here, fail)), store={"facts": {}})
    fail = {**fail, "no_log": True, "ansible.builtin.fail": {"msg": "hunter2"}}
    with pytest.raises(HostError, match=r"its output is hidden \(no_log\)$") as caught:
        engines.run(flow_for(settings_for(here, fail)), store={"facts": {}})
    assert "hunter2" not in str(caught.value)


def test_a_failure_that_the_playbook_ignores_is_none(here):
    fail = {"ansible.builtin.fail": {"msg": "never mind"}, "ignore_errors": True}
    engines.run(flow_for(settings_for(here, fail)), store={"facts": {}})


def test_a_playbook_that_leaves_the_host_out_has_not_done_its_work(here):
    settings = {
        **settings_for(here),
        "playbook": playbook(here, "other.yaml", write(here, "x"), hosts="compute-2"),
    }
    with pytest.raises(HostError, match="nothing was done"):
        engines.run(flow_for(settings), store={"facts": {}})
    with pytest.raises(HostError):
        AnsibleHost().look("compute-9", settings_for(here))
    assert not (here / "file").exists()


def test_a_host_that_does_not_answer_is_unreachable(here):
    with pytest.raises(HostUnreachable, match="gone: Ansible does not reach gone"):
        AnsibleHost().look("gone", settings_for(here))
    with pytest.raises(HostUnreachable):
        AnsibleHost().reboot("gone", settings_for(here))


def test_what_cannot_run_is_refused(here):
    assert AnsibleHost().refusals(HOST, settings_for(here), {}) == []
    (said,) = AnsibleHost().refusals(HOST, settings_for(here, {"no.such.module": {}}), {})
    assert "no.such.module" in said
    settings = settings_for(here, rollback_playbook="/no/such.yaml")
    assert AnsibleHost().refusals(HOST, settings, {}) == ["/no/such.yaml does not exist here"]


def test_whether_anything_is_left_to_do_is_seen_by_want_and_done_when(here):
    plugin = AnsibleHost()
    (said,) = plugin.missing(settings_for(here), {})
    assert "cannot be seen: the settings have neither want nor done_when" in said
    settings = settings_for(here, done_when={"kernel": "2", "versions": {"qemu": "8"}})
    assert plugin.missing(settings, {"kernel": "2", "versions": {"qemu": "8", "x": "1"}}) == []
    assert plugin.missing(settings, {"kernel": "1"}) == [
        "kernel is '1', '2' is wanted",
        "versions.qemu is None, '8' is wanted",
    ]


def test_without_ansible_it_says_what_to_install(here, monkeypatch):
    monkeypatch.setattr(running.shutil, "which", lambda *_, **__: None)
    with pytest.raises(PluginError, match=r"pip install 'upgrade-flows\[ansible\]'"):
        AnsibleHost().look(HOST, settings_for(here))
    monkeypatch.setitem(sys.modules, "ansible_runner", None)
    with pytest.raises(PluginError, match="needs ansible-runner"):
        AnsibleHost().look(HOST, settings_for(here))


def test_a_name_that_would_be_a_pattern_is_refused(here):
    with pytest.raises(HostError, match="cannot be the name of a host"):
        AnsibleHost().look("all:!x", settings_for(here))


def test_all_that_is_wrong_with_settings_is_said_at_once():
    bad = {
        "inventory": "hosts",
        "limit_by": "all",
        "extra_vars": {"upgrade_flows_run": 1},
        "tags": ["a b"],
        "reboot": "never",
        "want": {"packages": {"a": 1}, "source": {}},
        "command_s": "long",
        "play": "x",
    }
    with pytest.raises(RequestError) as caught:
        AnsibleHost().check(bad)
    for part in (
        *(
            "playbook is missing",
            "inventory: ",
            "limit_by: ",
            "upgrade_flows_run is given",
            "tags:",
        ),
        *("reboot: ours or", "want: packages", "want: source is unknown", "command_s", "play is"),
    ):
        assert part in str(caught.value), part
