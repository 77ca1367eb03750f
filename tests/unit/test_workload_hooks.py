"""The workload plugins hooks and stateless: what runs in the guests in each phase."""

from __future__ import annotations

import json
import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.unit.guest_sandbox import NIC, SHELLS, VOLUME, GuestSandbox
from tests.unit.host_sandbox import without_agent
from tests.unit.test_docs import blocks
from upgrade_flows.cloud import wait
from upgrade_flows.errors import HostError, HostUnreachable, RequestError, StepFailed
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.base import WorkloadPlugin
from upgrade_flows.plugins.workload import commands, hostkeys
from upgrade_flows.plugins.workload.hooks.plugin import Hooks
from upgrade_flows.plugins.workload.stateless import Stateless

DOC = Path(__file__).parents[2] / "doc/source"
PHASES = ("check", "ready", "prepare", "quiesce", "mount", "resume", "withdraw", "restore")


@pytest.fixture(params=SHELLS)
def sandbox(request, tmp_path, monkeypatch):
    without_agent(monkeypatch)
    monkeypatch.setattr(hostkeys, "_PINNED", {})
    made = GuestSandbox(tmp_path, request.param)
    yield made
    made.end()


def settings(sandbox, **more):
    """Return settings without any care for interfaces, which a sandbox does not have."""
    return {"ssh": sandbox.ssh, "network": False, **more}


def noting(sandbox, *phases):
    """Return settings whose commands write down that they ran, and in which guest."""
    note = f'echo "$UF_PHASE $UF_ROLE" >>{sandbox.folder}/log'
    return settings(sandbox, **dict.fromkeys(phases, note))


def log(sandbox):
    path = sandbox.folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def there_and_back(sandbox, said):
    """Go through all phases, and back again."""
    plugin, notes = Hooks(), {}
    original, surrogate = sandbox.guest(), sandbox.guest("surrogate")
    assert plugin.refusals(original, said) == []
    plugin.ready(surrogate, said)
    notes |= plugin.prepare(original, surrogate, said)
    notes |= plugin.quiesce(original, said, notes)
    plugin.resume(surrogate, said, json.loads(json.dumps(notes)))
    notes |= plugin.withdraw(surrogate, said, notes) or {}
    plugin.restore(original, said, notes)
    return notes


def test_each_phase_runs_its_command_in_its_guest(sandbox):
    notes = there_and_back(sandbox, noting(sandbox, *PHASES))
    assert log(sandbox) == [
        "check original",
        "ready surrogate",
        "prepare original",
        "prepare surrogate",
        "quiesce original",
        "resume surrogate",
        "withdraw surrogate",
        "restore original",
    ]
    assert list(notes["host_keys"]) == [sandbox.guest().server_id]


def test_what_has_no_command_of_its_own_is_undone_as_it_is_done(sandbox):
    there_and_back(sandbox, noting(sandbox, "quiesce", "resume"))
    assert log(sandbox) == [
        "quiesce original",
        "resume surrogate",
        "withdraw surrogate",
        "restore original",
    ]


def test_a_phase_without_command_asks_nobody(sandbox):
    said = settings(sandbox)
    Hooks().prepare(sandbox.guest(), sandbox.guest("surrogate"), said)
    Hooks().quiesce(sandbox.guest(), said, {})
    Hooks().restore(sandbox.guest(addresses=("127.0.0.9",)), said, {})
    assert sandbox.scripts == []


def test_an_original_is_logged_in_to_before_its_workload_goes_quiet(sandbox):
    said = settings(sandbox, quiesce="true")
    Hooks().prepare(sandbox.guest(), sandbox.guest("surrogate"), said)
    made = sandbox.connections
    assert made > 0
    Hooks().quiesce(sandbox.guest(), said, {})
    assert sandbox.connections == made


def test_a_command_is_told_what_it_is_about(sandbox):
    path = sandbox.folder / "told"
    names = ("PHASE", "ROLE", "SERVER", "NAME", "VOLUMES", "NICS")
    command = "\n".join(f'printf "%s\\n" "$UF_{name}" >>{path}' for name in names)
    guest = sandbox.guest(name="it's $(touch x) `id`\t\"", nics=(NIC,), volumes=(VOLUME,))
    Hooks().quiesce(guest, settings(sandbox, quiesce=command), {})
    assert path.read_text().splitlines() == [
        "quiesce",
        "original",
        guest.server_id,
        guest.name,
        f"{sandbox.root}/dev/disk/by-id/virtio-{VOLUME[:20]}",
        '[{"mac": "fa:16:3e:00:00:05", "addresses": ["10.9.0.5/24", "fd00:9::5/64"],'
        ' "gateway": "10.9.0.1"}]',
    ]


def test_a_command_of_several_lines_runs_as_it_was_written(sandbox):
    command = f'for word in \'a  b\' "$HOME"; do\n  echo "<$word>"\ndone >{sandbox.folder}/said\n'
    Hooks().quiesce(sandbox.guest(), settings(sandbox, quiesce=command), {})
    assert (sandbox.folder / "said").read_text() == f"<a  b>\n<{sandbox.root}>\n"


def test_a_command_that_fails_is_an_error_with_guest_phase_code_and_what_it_said_last(
    sandbox,
):
    command = "seq 1 2000; echo it is broken >&2; exit 7"
    with pytest.raises(HostError) as caught:
        Hooks().quiesce(sandbox.guest(), settings(sandbox, quiesce=command), {})
    said = str(caught.value)
    assert said.startswith(f"web (original, {sandbox.guest().server_id}): the command for quiesce")
    assert "ended with 7: " in said
    assert said.endswith("\n2000\nit is broken")
    assert len(said) < 2200


def test_a_command_that_goes_on_for_too_long_is_ended_in_the_guest(sandbox):
    command = f"trap 'echo ended >{sandbox.folder}/log; exit 1' TERM; sleep 3600 & wait"
    said = settings(sandbox, quiesce=command, timeout_s={"quiesce": 1})
    with pytest.raises(HostError, match="it did not end within 1 s, and was ended"):
        Hooks().quiesce(sandbox.guest(), said, {})
    assert log(sandbox) == ["ended"]


def test_a_daemon_that_a_command_leaves_behind_does_not_hold_it_up(sandbox):
    said = settings(sandbox, resume=f"(sleep 5; echo late >{sandbox.folder}/log) & echo started")
    Hooks().resume(sandbox.guest("surrogate"), said, {})
    assert log(sandbox) == []


def test_a_check_that_fails_is_a_refusal_and_an_unreachable_guest_is_not(sandbox):
    said = settings(sandbox, check="echo no backup; false")
    (refusal,) = Hooks().refusals(sandbox.guest(), said)
    assert refusal.endswith("the command for check ended with 1: no backup")
    sandbox.stop()
    with pytest.raises(HostUnreachable):
        Hooks().refusals(sandbox.guest(addresses=("127.0.0.2",)), said | {"network": True})


def test_a_boot_disk_is_updated_by_a_command_that_knows_its_device(sandbox):
    sandbox.plug_volume(VOLUME)
    said = settings(sandbox, update=f'echo "$UF_DEVICE" >{sandbox.folder}/log')
    Hooks().update(sandbox.guest(), said, f"/dev/disk/by-id/virtio-{VOLUME[:20]}")
    assert log(sandbox) == [f"{sandbox.root}/dev/disk/by-id/virtio-{VOLUME[:20]}"]


def test_a_device_without_link_is_found_by_its_serial_number(sandbox):
    sandbox.plug_volume(VOLUME, link=False)
    said = settings(sandbox, update=f'echo "$UF_DEVICE" >{sandbox.folder}/log')
    Hooks().update(sandbox.guest(), said, f"/dev/disk/by-id/virtio-{VOLUME[:20]}")
    assert log(sandbox) == [f"{sandbox.root}/dev/vdb"]


def test_without_a_command_no_boot_disk_is_updated(sandbox):
    with pytest.raises(StepFailed, match="no command that updates a boot disk"):
        Hooks().update(sandbox.guest(), settings(sandbox), "/dev/vdb")
    assert not Hooks().updates(settings(sandbox))
    assert Hooks().updates(settings(sandbox, update="true"))


def test_volumes_are_there_when_the_workload_resumes(sandbox):
    sandbox.plug_volume(VOLUME, link=False)
    said = settings(sandbox, resume=f'echo "$UF_VOLUMES" >{sandbox.folder}/log')
    Hooks().resume(sandbox.guest("surrogate", volumes=(VOLUME,)), said, {})
    assert log(sandbox) == [f"{sandbox.root}/dev/vdb"]


def test_volumes_are_mounted_before_the_workload_resumes_there_and_back(sandbox):
    sandbox.plug_volume(VOLUME)
    said = noting(sandbox, "mount", "resume")
    Hooks().resume(sandbox.guest("surrogate", volumes=(VOLUME,)), said, {})
    Hooks().restore(sandbox.guest(volumes=(VOLUME,)), said, {})
    assert log(sandbox) == [
        "mount surrogate",
        "resume surrogate",
        "mount original",
        "restore original",
    ]


def test_volumes_are_mounted_while_interfaces_are_on_their_way(sandbox, monkeypatch):
    monkeypatch.setattr(commands, "ARRIVAL_S", 1)
    sandbox.plug_volume(VOLUME)
    said = {**noting(sandbox, "mount", "resume"), "network": True}
    surrogate = sandbox.guest("surrogate", nics=(NIC,), volumes=(VOLUME,))
    with pytest.raises(HostError, match=r"the interface .* did not come within 1 s"):
        Hooks().resume(surrogate, said, {})
    assert log(sandbox) == ["mount surrogate"]


def test_a_volume_that_does_not_come_is_an_error(sandbox, monkeypatch):
    monkeypatch.setattr(commands, "ARRIVAL_S", 1)
    said = settings(sandbox, resume="true")
    with pytest.raises(HostError, match=f"volume {VOLUME[:20]} did not come within 1 s"):
        Hooks().resume(sandbox.guest("surrogate", volumes=(VOLUME,)), said, {})


def test_a_resume_that_still_waits_for_a_volume_is_ended_by_a_withdrawal(sandbox):
    guest = sandbox.guest("surrogate", volumes=(VOLUME,))
    said = noting(sandbox, "resume", "withdraw")
    with ThreadPoolExecutor(1) as pool:
        resumed = pool.submit(Hooks().resume, guest, said, {})
        waiting = sandbox.root / "run/upgrade-flows"
        wait.until(wait.SystemClock(), "it", lambda: list(waiting.glob("waits.*")), bool)
        Hooks().withdraw(guest, said, {})
        sandbox.plug_volume(VOLUME)
        with pytest.raises(HostError):
            resumed.result(5)
    assert log(sandbox) == ["withdraw surrogate"]
    assert list(waiting.glob("waits.*")) == []


def test_a_probe_runs_in_the_guest(sandbox):
    assert Hooks().run(sandbox.guest(), settings(sandbox), "echo fine", 5) == "fine\n"
    said = {"ssh": sandbox.ssh}
    assert Stateless().run(sandbox.guest(), said, "echo fine", 5) == "fine\n"
    with pytest.raises(StepFailed, match="no ssh for probes"):
        Stateless().run(sandbox.guest(), {}, "echo fine", 5)


def test_an_original_is_stopped_where_nobody_lets_go_of_its_volumes():
    assert Hooks().cut({}, has_data_volumes=False) == "hot"
    assert Hooks().cut({}, has_data_volumes=True) == "cold"
    assert Hooks().cut({"quiesce": "umount /data"}, has_data_volumes=True) == "hot"
    assert Stateless().cut({}, has_data_volumes=False) == "hot"
    assert Stateless().cut({}, has_data_volumes=True) == "cold"


def test_a_stateless_workload_begins_with_a_boot_unless_its_guest_does_not_need_one():
    plugin = Stateless()
    assert plugin.reboots({})
    assert not plugin.reboots({"reboot": False})
    assert not Hooks().reboots({})
    assert (plugin.needs_ssh({}), Hooks().needs_ssh({})) == (False, True)
    with pytest.raises(StepFailed, match="does not update boot disks"):
        plugin.update(None, {}, "/dev/vdb")


def test_all_that_is_wrong_with_settings_is_said_at_once():
    bad = {
        "ssh": {"user": "-o"},
        "quiesce": ["umount", "/data"],
        "resume": "a\0b",
        "network": "no",
        "stop": "true",
        "timeout_s": {"quiesce": -1, "stop": 3},
    }
    with pytest.raises(RequestError) as caught:
        Hooks().check(bad)
    said = str(caught.value)
    for part in (
        *("ssh: user", "quiesce: a command", "resume: a command", "network: true", "stop is un"),
        *("timeout_s: quiesce: a number of seconds", "timeout_s: stop is unknown"),
    ):
        assert part in said, part
    with pytest.raises(RequestError, match=r"hooks is unknown .*; reboot: true or"):
        Stateless().check({"hooks": {}, "reboot": 1})


def test_the_plugins_are_installed():
    assert {"hooks", "stateless"} <= set(registry.load().workload)


def test_the_settings_that_the_manual_shows_are_understood():
    page = (DOC / "operator/workloads.rst").read_text("utf-8")
    shown = re.findall(r":caption: settings of the plugin ``([a-z]+)``\n\n((?:   .*\n|\n)+)", page)
    assert [name for name, _ in shown] == ["stateless", "hooks", "criu"]
    known = registry.load().workload
    for name, text in shown:
        known[name].check(yaml.safe_load(textwrap.dedent(text)))
    (way,) = [text for text in blocks(page, ".. code-block:: yaml") if text.startswith("ssh:\n")]
    Hooks().check(yaml.safe_load(way))


def test_the_plugin_that_the_manual_shows_keeps_the_contract():
    (text,) = blocks((DOC / "plugins/workload.rst").read_text("utf-8"), ".. code-block:: python")
    made = {}
    exec(compile(text, "workload.rst", "exec"), made)
    agent = made["Agent"]()
    assert isinstance(agent, WorkloadPlugin)
    agent.check({"token_file": "/x"})
    with pytest.raises(RequestError, match="token_file, nothing else"):
        agent.check({})
    with pytest.raises(HostError):
        agent.restore(None, {}, {})
