"""The steps of the host plugin ssh: what they do, can be undone and be done twice."""

from __future__ import annotations

import contextlib
import json
import stat

import pytest
from taskflow import engines, exceptions
from taskflow.types import failure

from tests.flows.scenes import Sabotage, sabotage, steps_of
from tests.unit.host_sandbox import Sandbox, without_agent
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.host import lines
from upgrade_flows.plugins.host.lines import Line
from upgrade_flows.plugins.host.ssh.plugin import STEPS, SshHost
from upgrade_flows.steps.base import Context
from upgrade_flows.steps.vault import Vault

HOST = "compute-1"
CONFIGURATION = "/etc/libvirt/qemu.conf"
SETTINGS = {
    "packages": {"qemu": "8.2", "library": "latest", "old-tool": ""},
    "remove": ["nano"],
    "source": {"name": "new", "text": "deb new\n"},
    "files": [
        {"path": CONFIGURATION, "line": 'group = "hugetlbfs"', "instead_of": "^#?group *="},
        {"path": CONFIGURATION, "line": 'it\'s = $(touch x) `id` "\\\\"'},
        {"path": "/etc/it's a $(new) file", "line": "made = yes"},
    ],
    "services": ["libvirtd", "spare"],
}
NAMES = [
    "observe-host-packages",
    "restore-services",
    "write-package-source",
    "install-packages",
    "write-configuration-lines",
    "restart-services",
]
VAULT = Vault.temporary()


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    without_agent(monkeypatch)
    made = Sandbox(tmp_path)
    made.path(CONFIGURATION).chmod(0o640)
    yield made
    made.stop()


def flow_for(sandbox, **settings):
    ctx = Context("run-1", FakeCloud(), registry.load(), vault=VAULT)
    return SshHost().upgrade(ctx, HOST, {**sandbox.settings, **SETTINGS, **settings})


def run(flow):
    return engines.run(flow, store={"facts": {"manager": "apt"}})


def run_until_it_fails(flow):
    """Run a flow that fails, and return its results and what its reverts left behind."""
    engine = engines.load(flow, store={"facts": {"manager": "apt"}})
    with pytest.raises((Sabotage, HostError)) as caught:
        engine.run()
    left = {}
    for step in steps_of(flow):
        with contextlib.suppress(exceptions.NotFound):  # it was never begun
            said = engine.storage.get_revert_result(step.name)
            assert not isinstance(said, failure.Failure), said
            if said is not None:
                left[step.name.partition(":")[0]] = said["residue"]
    return caught.value, left


def test_the_flow_has_these_steps_and_needs_the_facts_only(sandbox):
    flow = flow_for(sandbox)
    assert [step.name for step in steps_of(flow)] == [f"{name}:{HOST}" for name in NAMES]
    assert flow.requires == {"facts"}
    assert len(STEPS) == len(NAMES)


def test_a_host_becomes_what_is_wanted_and_stays_so(sandbox):
    before = sandbox.whole()
    results = run(flow_for(sandbox))
    settings = {**sandbox.settings, **SETTINGS}
    facts = SshHost().look(HOST, settings)
    assert SshHost().missing(settings, facts) == []
    assert results["changed_packages"] == {
        "helper": ["", "3"],
        "library": ["1", "2"],
        "nano": ["5", ""],
        "old-tool": ["", "1"],
        "qemu": ["7.0", "8.2"],
    }
    assert results["changed_files"] == [CONFIGURATION, "/etc/it's a $(new) file"]
    assert sandbox.path(CONFIGURATION).read_text() == (
        '# the owner\ngroup = "hugetlbfs"\nuser = "qemu"\nit\'s = $(touch x) `id` "\\\\"\n'
    )
    assert stat.S_IMODE(sandbox.path(CONFIGURATION).stat().st_mode) == 0o640
    assert sandbox.path("/etc/it's a $(new) file").read_text() == "made = yes\n"
    assert ["systemctl", "restart", "--", "libvirtd"] in sandbox.state["calls"]
    assert sandbox.state["services"] == {"libvirtd": "active", "spare": "active"}
    assert not list(sandbox.path("/etc").rglob(".upgrade-flows*"))
    assert sandbox.whole() != before


@pytest.mark.parametrize("victim", NAMES)
def test_a_step_that_works_and_then_fails_leaves_nothing(sandbox, victim):
    before = sandbox.whole()
    _, left = run_until_it_fails(sabotage(flow_for(sandbox), f"{victim}:{HOST}"))
    assert left == {}
    assert sandbox.whole() == before


@pytest.mark.parametrize("victim", NAMES)
def test_a_step_does_nothing_new_when_it_runs_again(sandbox, victim):
    flow = flow_for(sandbox)
    (step,) = [step for step in steps_of(flow) if step.name.startswith(victim)]
    work, seen = step.execute, []

    def twice(*args, **kwargs):
        first = work(*args, **kwargs)
        seen.append(sandbox.whole())
        second = work(*args, **kwargs)
        if victim == "observe-host-packages":
            first["files"] = second["files"] = {}  # sealed anew each time
        assert second == first
        seen.append(sandbox.whole())
        return work(*args, **kwargs)

    twice.__signature__ = getattr(work, "__signature__", None)
    step.execute = twice
    run(flow)
    assert seen[0] == seen[1]


def test_an_installation_that_was_interrupted_is_taken_back(sandbox):
    before = sandbox.whole()
    sandbox.write("/fail-install", "")
    error, left = run_until_it_fails(flow_for(sandbox))
    assert "apt-get" in str(error)
    assert "returned an error code (1)" in str(error)
    assert left == {}
    assert sandbox.whole() == before


def test_an_installation_that_was_interrupted_is_finished_when_the_step_runs_again(sandbox):
    flow = flow_for(sandbox)
    (step,) = [step for step in steps_of(flow) if step.name.startswith("install")]
    work = step.execute

    def crashed(ssh_before):
        sandbox.write("/fail-install", "")
        with pytest.raises(HostError):
            work(ssh_before)
        assert sandbox.state["interrupted"]
        return work(ssh_before)

    step.execute = crashed
    results = run(flow)
    assert sorted(results["changed_packages"]) == ["helper", "library", "nano", "old-tool", "qemu"]
    assert sandbox.state["half"] == []
    assert not sandbox.state["interrupted"]


def test_a_step_that_lost_its_connection_and_did_all_the_same_is_taken_back(sandbox):
    before = sandbox.whole()
    flow = flow_for(sandbox)
    (step,) = [step for step in steps_of(flow) if step.name.startswith("install")]
    work = step.execute

    def lost(ssh_before):
        sandbox.mood = "drops-late"
        try:
            return work(ssh_before)
        finally:
            sandbox.mood = "well"

    step.execute = lost
    error, left = run_until_it_fails(flow)
    assert isinstance(error, HostUnreachable)
    assert left == {}
    assert sandbox.whole() == before


def test_a_version_that_is_gone_is_left_behind_in_words_without_contents(sandbox):
    sandbox.write(CONFIGURATION, "password = hunter2\n")
    flow = sabotage(
        flow_for(sandbox),
        f"restart-services:{HOST}",
        lambda: sandbox.set(archive={"qemu": ["7.2"], "nano": ["5"], "library": ["1"]}),
    )
    error, left = run_until_it_fails(flow)
    assert isinstance(error, Sabotage)
    assert list(left) == ["install-packages"]
    assert "Version '7.0' for 'qemu' was not found" in left["install-packages"]["why"]
    assert left["install-packages"]["call"].startswith("InstallPackages.restore_packages(Record()")
    assert len(json.dumps(left)) < 2000
    assert sandbox.path(CONFIGURATION).read_text() == "password = hunter2\n"


def test_what_others_changed_later_is_left_alone(sandbox):
    def meddle():
        sandbox.write(CONFIGURATION, "somebody else's\n")
        sandbox.set(installed={**sandbox.state["installed"], "tool": "3"})

    flow = sabotage(flow_for(sandbox), f"restart-services:{HOST}", meddle)
    _, left = run_until_it_fails(flow)
    (said,) = left["write-configuration-lines"]
    assert "was changed by somebody else since; left alone" in said["why"]
    assert sandbox.path(CONFIGURATION).read_text() == "somebody else's\n"
    assert sandbox.state["installed"]["tool"] == "3"
    assert sandbox.state["installed"]["qemu"] == "7.0"


def test_a_host_that_is_gone_makes_every_revert_a_residue(sandbox):
    flow = sabotage(flow_for(sandbox), f"restart-services:{HOST}", sandbox.stop)
    _, left = run_until_it_fails(flow)
    assert set(left) == {
        *("restore-services", "write-package-source", "install-packages"),
        "write-configuration-lines",
    }


def test_contents_of_files_are_sealed_in_the_journal(sandbox):
    sandbox.write(CONFIGURATION, "password = hunter2\n")
    results = run(flow_for(sandbox))
    recorded = json.dumps(results["ssh_before"])
    assert VAULT.open(results["ssh_before"]["files"][CONFIGURATION])
    assert "hunter2" not in recorded
    assert "password" not in recorded


def test_a_package_source_that_was_there_is_put_back(sandbox):
    sandbox.write("/etc/apt/sources.list.d/new.list", "deb old\n")
    before = sandbox.whole()
    _, left = run_until_it_fails(sabotage(flow_for(sandbox), f"restart-services:{HOST}"))
    assert left == {}
    assert sandbox.whole() == before


def test_packages_alone_touch_no_file_and_lines_alone_touch_no_package(sandbox):
    run(flow_for(sandbox, source={"name": "new", "text": "deb new"}, files=[], services=[]))
    assert sandbox.path(CONFIGURATION).read_text().startswith("# the owner\n#group")
    calls = sandbox.state["calls"]
    ctx = Context("run-1", FakeCloud(), registry.load(), vault=VAULT)
    settings = {**sandbox.settings, "files": SETTINGS["files"]}
    run(SshHost().upgrade(ctx, HOST, settings))
    assert sandbox.state["calls"] == calls


def test_a_service_that_does_not_start_undoes_the_upgrade(sandbox):
    before = sandbox.whole()
    sandbox.set(broken=["spare"])
    error, left = run_until_it_fails(flow_for(sandbox))
    assert "restarting libvirtd, spare ended with 1: Job for spare.service failed" in str(error)
    assert left == {}
    sandbox.set(broken=[])
    assert sandbox.whole() == before


def test_too_large_a_file_is_refused_before_anything_is_changed(sandbox):
    sandbox.write(CONFIGURATION, "x" * 300_000)
    before = sandbox.whole()
    error, left = run_until_it_fails(flow_for(sandbox))
    assert "has 300000 bytes; 262144 are the most" in str(error)
    assert left == {}
    assert sandbox.whole() == before


@pytest.mark.parametrize(
    ("text", "line", "instead_of", "after"),
    [
        ("a\n", "b", "", "a\nb\n"),
        ("a\nb\n", "b", "", "a\nb\n"),
        ("a\nb", "b", "", "a\nb"),
        ("x=1\na\nx=2\n", "x=3", "^x=", "a\nx=3\n"),
        ("x=3\na\n#x=2\n", "x=3", "^#?x=", "x=3\na\n"),
        ("a\n", "x=3", "^x=", "a\nx=3\n"),
        (None, "x", "", "x\n"),
        ("\udcff=1\n", "x", "", "\udcff=1\nx\n"),
    ],
)
def test_a_line_is_put_once_in_place_of_all_that_it_replaces(text, line, instead_of, after):
    def coded(said):
        return None if said is None else said.encode("utf-8", "surrogateescape")

    wanted = Line("/x", line, instead_of)
    assert lines.put(coded(text), [wanted]) == coded(after)
    assert lines.put(coded(after), [wanted]) == coded(after)
    assert lines.stands(coded(after), wanted)
    assert lines.stands(coded(text), wanted) == (text == after)
