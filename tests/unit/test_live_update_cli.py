"""``plan live-update``: from options and files to a request; and the token that must last."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.unit.cli_samples import CLOUD, PLAN, FakeWiring, cli
from tests.unit.live_samples import live_plan
from upgrade_flows.cli import probing
from upgrade_flows.cloud.api import Credentials
from upgrade_flows.errors import RequestError
from upgrade_flows.flows.live_update.options import Options
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.plugins.workload.hooks import settings as hooks

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_795_176_000.0

REQUEST = """
capability: live_update
scope: {servers: [web-1]}
rollout: {at_a_time: 4, canaries: 1}
target:
  options: {image: debian-12, elsewhere: false, grace_s: 60, ready: [{cloud_init: true}]}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


class Wiring(FakeWiring):
    """Connects to a cloud that lets us in for so many seconds."""

    def __init__(self, seconds, renewable=False, made=None):
        super().__init__(made=made or live_plan())
        self.credentials = Credentials(None if seconds is None else NOW + seconds, renewable)

    def connect(self, name, region):
        return SimpleNamespace(
            id=self.cloud_id,
            check_credentials=lambda: None,
            credentials=lambda: self.credentials,
            clock=SimpleNamespace(time=lambda: NOW),
        )


def requested(*argv):
    wiring = Wiring(None)
    code, _, err = cli("plan", "live-update", *argv, wiring=wiring)
    assert (code, err) == (0, "")
    return wiring.request


def test_the_request_is_what_the_options_say(tmp_path):
    (tmp_path / "hooks.yaml").write_text("quiesce: systemctl stop app\n")
    request = requested(
        *["--server", "web-1", "web-2", "--image", "debian-13", "--workload", "hooks"],
        *["--settings", "hooks.yaml", "--probe", "tcp:22", "--probe", "http:8080/health"],
        *["--policy", "packing", "--host-groups", "left", "right", "--same-host-only"],
        *["--no-moves", "--health-network", "net-1", "--grace", "60", "--room", "70"],
        *[
            "--ready",
            "80",
            "--answer",
            "90",
            "--at-a-time",
            "3",
            "--max-failures",
            "1",
            "--canaries",
            "2",
        ],
        *["--to-host", "h1", "h2"],
    )
    assert request.capability == "live_update"
    assert request.scope == Scope(servers=("web-1", "web-2"))
    assert request.target.hosts == ("h1", "h2")
    rollout = request.rollout
    assert (rollout.at_a_time, rollout.max_failures, rollout.canaries) == (3, 1, 2)
    assert request.target.options == {
        "image": "debian-13", "workload": "hooks", "settings": {"quiesce": "systemctl stop app"},
        "probes": [{"tcp": 22}, {"http": "/health", "port": 8080}], "placement": "packing",
        "host_groups": ["left", "right"], "elsewhere": False, "make_room": False,
        "health_network": "net-1", "grace_s": 60, "room_s": 70, "ready_s": 80,
        "answer_s": 90,
    }  # fmt: skip
    Options.read(request.target.options)


def test_options_win_over_the_request_file(tmp_path):
    (tmp_path / "request.yaml").write_text(REQUEST)
    request = requested("--request", "request.yaml", "--update", "--at-a-time", "2",
                        "--host-groups", "none")  # fmt: skip
    assert request.scope.servers == ("web-1",)
    assert (request.rollout.at_a_time, request.rollout.canaries) == (2, 1)
    assert request.target.options == {
        "update": True, "elsewhere": False, "grace_s": 60, "ready": [{"cloud_init": True}],
        "host_groups": "none",
    }  # fmt: skip


def test_the_example_request_is_valid_and_has_every_option():
    plain = yaml.safe_load((ROOT / "etc/upgrade_flows/live_update.yaml").read_text())
    request = UpgradeRequest.from_plain(plain)
    options = request.target.options
    Options.read(options)
    assert set(options) | {"update"} == {field.name for field in dataclasses.fields(Options)}
    assert hooks.read(options["settings"]).ssh.user == "debian"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--server", "a"], "say what is new: --image IMAGE, or --update"),
        (["--image", "i"], "the scope is empty"),
        (["--server", "a", "--image", "i", "--probe", "ping"], "the probe is 'ping'; it must be"),
        (["--server", "a", "--image", "i", "--at-a-time", "0"], "at_a_time is 0; it must be 1"),
        (["--server", "a", "--image", "i", "--settings", "/nope"], "/nope cannot be read"),
    ],
)
def test_a_bad_request_touches_nothing(argv, said):
    wiring = Wiring(None)
    code, _, err = cli("plan", "live-update", *argv, wiring=wiring)
    assert code == 2
    assert said in err
    assert wiring.request is None


def test_a_request_of_another_capability_is_refused(tmp_path):
    (tmp_path / "request.yaml").write_text("capability: recreate\nscope: {hosts: [h]}\n")
    code, _, err = cli("plan", "live-update", "--request", "request.yaml", "--image", "i")
    assert (code, err) == (2, "upgrade-flows: request.yaml is a request of recreate\n")


def test_a_new_image_and_an_update_exclude_each_other(capsys):
    code, _, _ = cli("plan", "live-update", "--server", "a", "--image", "i", "--update")
    assert code == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("tcp:80", {"tcp": 80}),
        ("http:80", {"http": "/", "port": 80}),
        ("http:8080/health?deep=1", {"http": "/health?deep=1", "port": 8080}),
        ("ssh:systemctl is-active a:b", {"ssh": "systemctl is-active a:b"}),
        ("console:login: $", {"console": "login: $"}),
        ("cloud-init", {"cloud_init": True}),
    ],
)
def test_probes_are_read_as_requests_hold_them(said, plain):
    assert probing.read(said) == plain


@pytest.mark.parametrize("said", ["tcp:", "tcp:0", "tcp:65536", "http:/x", "ssh: ", "console:(",
                                  "console:", "cloud-init:x", "icmp", ""])  # fmt: skip
def test_what_is_no_probe_is_refused(said):
    with pytest.raises(RequestError, match=r"^the probe"):
        probing.read(said)


ARGV = ["--server", "web-1", "--image", "debian-13"]


def test_a_token_that_ends_before_the_run_would_is_refused_when_planning(tmp_path):
    wiring = Wiring(seconds=60)
    code, out, err = cli("plan", "live-update", *ARGV, "-o", "plan.json", wiring=wiring)
    assert code == 3
    assert "Plan live-1 (live_update)" in out
    assert "the token is good for 1 min more, the plan is predicted to take 5 min" in err
    assert "UF-LU-040" in err
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("verb", ["run", "submit"])
def test_a_token_that_ends_before_the_run_would_starts_none(tmp_path, verb):
    (tmp_path / "plan.json").write_text(live_plan().to_json())
    wiring = Wiring(seconds=60)
    code, _, err = cli(verb, "plan.json", "--yes", wiring=wiring)
    assert code == 3
    assert "UF-LU-040" in err
    assert wiring.the_engine is None


@pytest.mark.parametrize(
    ("seconds", "renewable"), [(60, True), (301, False), (None, False), (-1, True)]
)
def test_a_token_that_lasts_or_can_be_renewed_is_fine(tmp_path, seconds, renewable):
    wiring = Wiring(seconds, renewable)
    assert cli("plan", "live-update", *ARGV, "-o", "plan.json", wiring=wiring)[0] == 0
    assert cli("run", "plan.json", "--yes", wiring=wiring)[0] == 0
    assert wiring.the_engine.calls[0] == ("start", "live-1")


def test_a_commit_says_that_the_originals_are_deleted():
    wiring = Wiring(None)
    (run,) = wiring.the_journal.rows
    run.capability = "live_update"
    out = cli("commit", "--yes", wiring=wiring)[1]
    assert "cannot be rolled back: the originals are deleted, and their old root disks stay" in out


def test_no_token_is_asked_after_for_a_plan_that_does_not_take_long(tmp_path):
    wiring = Wiring(seconds=1, made=PLAN)
    assert PLAN.cloud_id == CLOUD
    assert cli("plan", "recreate", "--all", wiring=wiring)[0] == 0
