"""The host plugin command: a program of the operator's own, and all that it may do wrong."""

from __future__ import annotations

import json
import sys
import time

import pytest
from taskflow import engines

from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import HostError, HostUnreachable, RequestError
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.host.command import CommandHost
from upgrade_flows.steps.base import Context

PROGRAM = """
import json, sys
from pathlib import Path
asked = json.load(sys.stdin)
state = Path(asked["settings"]["state"])
now = json.loads(state.read_text())
Path(str(state) + ".asked").write_text(json.dumps(asked))
answer = None
match asked["verb"]:
    case "look":
        answer = {"boot_id": now["boot"], "version": now["version"]}
    case "missing":
        version = asked["facts"]["version"]
        answer = [] if version == 2 else [f"version {version} is there"]
    case "refusals":
        answer = ["no room"] if now.get("full") else []
    case "upgrade":
        answer = {"was": now["version"]}
        now["version"] = 2
    case "restore":
        now["version"] = asked["before"]["version"]
        answer = now.get("lost", [])
    case "wants_reboot":
        answer = asked["before"]["version"] != asked["now"]["version"]
    case "reboot":
        now["boot"] += "+"
state.write_text(json.dumps(now))
if asked["verb"] == now.get("fails"):
    print("what was wrong", file=sys.stderr)
    sys.exit(now.get("code", 1))
print(json.dumps(answer))
"""


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"boot": "b", "version": 1}))
    (tmp_path / "program.py").write_text(PROGRAM)
    return path


def settings_for(state, **more):
    program = [sys.executable, "-IS", str(state.parent / "program.py")]
    return {"program": program, "settings": {"state": str(state)}, **more}


def change(state, **values):
    state.write_text(json.dumps({**json.loads(state.read_text()), **values}))


def flow_for(state):
    ctx = Context("run-1", FakeCloud(), registry.load())
    return CommandHost().upgrade(ctx, "h1", settings_for(state))


def test_the_program_is_asked_everything(state):
    plugin, settings = CommandHost(), settings_for(state)
    plugin.check(settings)
    before = plugin.look("h1", settings)
    assert before == {"host": "h1", "boot_id": "b", "version": 1}
    assert plugin.missing(settings, before) == ["version 1 is there"]
    assert plugin.refusals("h1", settings, before) == []
    assert engines.run(flow_for(state), store={"facts": before})["command_answer"] == {"was": 1}
    now = plugin.look("h1", settings)
    assert plugin.missing(settings, now) == []
    assert plugin.wants_reboot(settings, before, now)
    plugin.reboot("h1", settings)
    assert plugin.look("h1", settings)["boot_id"] == "b+"
    asked = json.loads((state.parent / "state.json.asked").read_text())
    assert asked == {"verb": "look", "host": "h1", "settings": {"state": str(state)}}


def test_an_upgrade_that_fails_is_restored(state):
    change(state, fails="upgrade")
    with pytest.raises(HostError, match=r"h1: upgrade by .* ended with 1: what was wrong"):
        engines.run(flow_for(state), store={"facts": {"version": 1}})
    assert json.loads(state.read_text())["version"] == 1
    asked = json.loads((state.parent / "state.json.asked").read_text())
    assert (asked["verb"], asked["before"], asked["result"]) == ("restore", {"version": 1}, None)


def test_what_could_not_be_restored_is_reported(state):
    change(state, lost=["the firmware"])
    (step,) = list(flow_for(state))
    assert step.revert({"version": 1}, result={"was": 1})["residue"]["why"] == "the firmware"
    change(state, fails="restore")
    left = step.revert({"version": 1, "long": "x" * 9000})["residue"]
    assert "what was wrong" in left["why"]
    assert len(left["call"]) < 100


def test_exit_code_75_says_that_the_host_does_not_answer(state):
    change(state, fails="look", code=75)
    with pytest.raises(HostUnreachable, match="what was wrong"):
        CommandHost().look("h1", settings_for(state))


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path):
    began = time.monotonic()
    settings = {"program": ["/bin/sh", "-c", "sleep 30 & wait"], "deadline_s": 0.3}
    with pytest.raises(HostError, match=r"did not end within 0\.3 s"):
        CommandHost().reboot("h1", settings)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("no json", "the answer is no JSON"),
        ("{}", "do not say which boot"),
        ("[1]", "do not say which boot"),
    ],
)
def test_a_wrong_answer_is_refused(said, why):
    with pytest.raises(HostError, match=why):
        CommandHost().look("h1", {"program": ["/bin/echo", said]})


def test_lists_and_truth_are_what_they_should_be():
    plugin, settings = CommandHost(), {"program": ["/bin/echo", "[1]"]}
    with pytest.raises(HostError, match="no list of texts"):
        plugin.missing(settings, {"host": "h1"})
    with pytest.raises(HostError, match="no true or false"):
        plugin.wants_reboot(settings, {}, {})


def test_a_program_that_is_not_there_is_a_host_error():
    with pytest.raises(HostError, match="/no/such/program cannot be run"):
        CommandHost().reboot("h1", {"program": ["/no/such/program"]})


def test_a_program_that_reads_nothing_may_answer_all_the_same():
    CommandHost().reboot("h1", {"program": ["/bin/echo", "null"], "settings": ["x" * 200_000]})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "program, a list of words, is missing"),
        ({"program": ["relative"]}, "the absolute path"),
        ({"program": ["/x"], "deadline_s": -1, "other": 1}, "other is unknown.*deadline_s: "),
        ({"program": ["/x", 1]}, "program: a text is wanted"),
        ({"program": ["/x"], "settings": {1, 2}}, "settings: "),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(RequestError, match=said):
        CommandHost().check(settings)
