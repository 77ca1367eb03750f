"""``plan hosts``: from options and files to a request, and from a cloud to a plan and a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from tests.flows import rolling_scenes
from tests.unit.cli_samples import FakeJournal, FakeRun, FakeWiring, cli, subject
from tests.unit.hosts_samples import sample
from upgrade_flows import library
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.planning import hosts
from upgrade_flows.plugins.host.ssh.plugin import SshHost

ROOT = Path(__file__).resolve().parents[2]

REQUEST = """
capability: host_upgrade
scope: {hosts: [h1, h2]}
rollout: {at_a_time: 4, canaries: 1}
target:
  options:
    plugin: ssh
    settings: {packages: {qemu: ""}}
    limits: {spare: 0.2, attempts: 2}
    failure_domains: {h1: rack-1}
    may_pause: true
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def requested(*argv):
    wiring = FakeWiring(made=sample())
    code, _, err = cli("plan", "hosts", *argv, wiring=wiring)
    assert (code, err) == (0, "")
    return wiring.request


class CloudWiring(Wiring):
    """The real parts on a cloud in memory."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.plugins = rolling_scenes.plugins(cloud)

    def connect(self, name, region):
        return self.cloud


@pytest.fixture
def cloud():
    made = FakeCloud(hosts=("h1", "h2", "h3"))
    for n in range(4):
        made.add_server(f"vm-{n}", host=f"h{n % 2 + 1}")
    return made


def settings(tmp_path, text="release: new\n"):
    (tmp_path / "settings.yaml").write_text(text)
    return "settings.yaml"


def test_the_request_is_what_the_options_say(tmp_path):
    (tmp_path / "hosts.txt").write_text("h2\n\n# rack 7\nh3  # with the fan\nh1\n")
    request = requested(
        *["--host", "h1", "--hosts-file", "hosts.txt", "--plugin", "ssh"],
        *["--settings", settings(tmp_path), "--at-a-time", "3", "--max-failures", "1"],
        *["--canaries", "2", "--bake", "60", "--canary-host", "h3", "--prefer", "moves"],
        *["--policy", "packing", "--target", "s1", "s2", "--host-groups", "left", "right"],
        *["--spare", "0.1", "--out-per-az", "2", "--migrations-per-host", "4", "--may-pause"],
        *["--no-may-cold", "--running", "cold", "--suspended", "refuse", "--unmovable", "poweroff"],
        *["--reboot", "always", "--bring-back"],
    )
    assert request.capability == "host_upgrade"
    assert request.scope == Scope(hosts=("h1", "h2", "h3"))
    rollout = request.rollout
    assert (rollout.at_a_time, rollout.max_failures, rollout.canaries) == (3, 1, 2)
    assert request.target.options == {
        "plugin": "ssh", "settings": {"release": "new"}, "reboot": "always", "prefer": "moves",
        "bake_s": 60, "canary_hosts": ["h3"], "placement": "packing", "targets": ["s1", "s2"],
        "host_groups": ["left", "right"], "default": "cold", "suspended": "refuse",
        "unmovable": "poweroff", "may_pause": True, "may_cold": False, "bring_back": True,
        "limits": {"spare": 0.1, "out_per_az": 2, "migrations_per_host": 4},
    }  # fmt: skip
    Options.read(request.target.options)


def test_options_win_over_the_request_file(tmp_path):
    (tmp_path / "hosts.yaml").write_text(REQUEST)
    request = requested("--request", "hosts.yaml", "--at-a-time", "2", "--spare", "0.1",
                        "--host-groups", "metadata", "--no-may-pause")  # fmt: skip
    assert request.scope.hosts == ("h1", "h2")
    assert (request.rollout.at_a_time, request.rollout.canaries) == (2, 1)
    options = request.target.options
    assert options["limits"] == {"spare": 0.1, "attempts": 2}
    assert options["failure_domains"] == {"h1": "rack-1"}
    assert options["host_groups"] == "metadata"
    assert options["may_pause"] is False


def test_the_example_request_is_valid_and_has_every_option():
    plain = yaml.safe_load((ROOT / "etc/upgrade_flows/hosts.yaml").read_text())
    request = UpgradeRequest.from_plain(plain)
    assert len(request.scope.hosts) == 6
    rules = hosts.rules_of(request)
    assert (rules.limits.out_of_service, rules.limits.spare) == (2, 0.1)
    known = {field.name for field in dataclasses.fields(Options)}
    assert known - set(request.target.options) == {"host_groups", "canary_instance"}
    SshHost().check(request.target.options["settings"])


def test_one_host_at_a_time_is_the_default_whatever_the_configuration_says_of_servers(tmp_path):
    (tmp_path / "uf.conf").write_text("[engine]\nat_a_time = 9\nmax_failures = 3\n")
    wiring = FakeWiring(made=sample())
    arguments = ["plan", "hosts", "--all", "--plugin", "ssh"]
    cli("--config-file", "uf.conf", *arguments, wiring=wiring)
    assert wiring.request.scope.everything
    assert (wiring.request.rollout.at_a_time, wiring.request.rollout.max_failures) == (1, 3)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "the scope is empty"),
        (["--host", "h1"], "say with --plugin how hosts are upgraded"),
        (["--host", "h1", "--plugin", "x", "--settings", "no.yaml"], "no.yaml cannot be read"),
        (["--host", "h1", "--plugin", "x", "--settings", "list.yaml"], "list.yaml holds no"),
        (["--host", "h1", "--plugin", "x", "--settings", "bad.yaml"], "is not valid YAML"),
        (["--hosts-file", "no.txt", "--plugin", "x"], "no.txt cannot be read"),
        (["--request", "other.yaml"], "other.yaml is a request of recreate"),
        (["--host", "h1", "--plugin", "x", "--at-a-time", "0"], "at_a_time is 0"),
    ],
)
def test_what_cannot_be_understood_is_exit_code_2(tmp_path, argv, said):
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "other.yaml").write_text("capability: recreate\nscope: {hosts: [h1]}\n")
    code, _, err = cli("plan", "hosts", *argv, wiring=FakeWiring(made=sample()))
    assert code == 2
    assert said in err


def test_a_cloud_is_planned_shown_and_written(tmp_path, cloud):
    code, out, err = cli(
        *["plan", "hosts", "--all", "--plugin", "simulated", "--settings", settings(tmp_path)],
        *["-o", "plan.json"],
        wiring=CloudWiring(cloud),
    )
    assert (code, err) == (0, "")
    assert "Hosts: 1 out of service at a time, nothing more begins after the first failure" in out
    assert "In all: 3 hosts, predicted to take " in out
    assert out.endswith("Run it with 'upgrade-flows run plan.json'.\n")
    plan = Plan.from_json((tmp_path / "plan.json").read_text())
    plan.check_for(cloud.id)
    assert [one.subject for one in plan.actions] == list(hosts.roll_of(plan.schedule).order)
    for command in (["show"], ["runbook"]):
        assert cli("plan", *command, "plan.json")[0] == 0
    code, out, _ = cli("plan", "diff", "plan.json", "plan.json")
    assert (code, out.splitlines()[1:]) == (0, ["  the two would do the same"])
    assert cli("plan", "show", "plan.json", "--format", "html", "-o", "plan.html")[0] == 0
    assert "<svg" in (tmp_path / "plan.html").read_text()
    code, out, _ = cli("plan", "show", "plan.json", "--format", "html")
    assert out == (tmp_path / "plan.html").read_text()


def test_nothing_to_do_is_said(tmp_path, cloud):
    code, out, _ = cli(
        *["plan", "hosts", "--all", "--plugin", "simulated"],
        *["--settings", settings(tmp_path, "release: old\n")],
        wiring=CloudWiring(cloud),
    )
    assert code == 0
    assert out.endswith("Unchanged: 3 hosts in scope need nothing.\nThere is nothing to do.\n")


def test_where_every_host_is_refused_the_exit_code_is_3(tmp_path, cloud):
    for name in ("h1", "h2", "h3"):
        cloud.change_host(name, up=False)
    code, out, err = cli(
        *["plan", "hosts", "--all", "--plugin", "simulated", "--settings", settings(tmp_path)],
        wiring=CloudWiring(cloud),
    )
    assert code == 3
    assert "UF-HU-001" in out
    assert "nothing can be done" in err


def test_a_host_that_has_no_room_for_its_instances_elsewhere_is_refused(tmp_path, cloud):
    for name in ("h1", "h2", "h3"):
        cloud.set_capacity(name, VCPU=4)
    code, out, _ = cli(
        *["plan", "hosts", "--host", "h1", "--plugin", "simulated"],
        *["--settings", settings(tmp_path)],
        wiring=CloudWiring(cloud),
    )
    assert code == 3
    assert "UF-HP-001" in out
    code, out, _ = cli(
        *["plan", "hosts", "--host", "h1", "--target", "h3", "--plugin", "simulated"],
        *["--settings", settings(tmp_path)],
        wiring=CloudWiring(cloud),
    )
    assert code == 0
    assert "In all: 1 host," in out


def test_the_library_makes_the_same_plan(tmp_path, cloud, monkeypatch):
    monkeypatch.setattr(library, "plugins", lambda: rolling_scenes.plugins(cloud))
    made = library.plan(cloud, rolling_scenes.request_for("h1", "h2", "h3"))
    assert len(made.actions) == 3
    assert made.schedule["roll"]["makespan"] > 0


def test_traits_are_read_where_a_flavor_asks_for_them(cloud):
    flavor = cloud.add_flavor("gpu", extra_specs={"trait:CUSTOM_GPU": "required"})
    cloud.add_server("gpu", host="h1", flavor=flavor)
    cloud.change_hypervisor("h1", traits=("CUSTOM_GPU",))
    request = rolling_scenes.request_for("h1", "h2", "h3")
    wiring = CloudWiring(cloud)
    found = wiring.collect(cloud, request, lambda *_: None)
    assert "CUSTOM_GPU" in found.traits["h1"]
    assert "CUSTOM_GPU" not in found.traits["h2"]
    assert wiring.collect(cloud, request.scope, lambda *_: None).traits == {}


def test_what_is_said_of_a_run_of_hosts_speaks_of_hosts():
    plan = sample()
    held = {one.subject: subject(State.CHANGED) for one in plan.actions}
    run = FakeRun("20261120-aaaaaa", plan, capability="host_upgrade", size=4)
    wiring = FakeWiring(FakeJournal(held, runs=[run]), made=plan)
    code, out, _ = cli("status", "-f", "csv", "--quote", "none", wiring=wiring)
    assert code == 0
    assert out.splitlines()[0].startswith("Host,Name,Strategy,State")
    code, out, _ = cli("report", "--format", "html", wiring=wiring)
    assert "<h2>Hosts</h2>" in out
    assert "erver" not in out.replace("server_", "")
    code, _, err = cli("rollback", "--host", "h9", "--yes", wiring=wiring)
    assert "the run has no host 'h9'" in err
