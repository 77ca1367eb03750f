"""The smaller parts of the command line: help, completion, Ctrl-C, live progress, files."""

import configparser
import io
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.unit.cli_samples import COMMANDS, PLAN, WEB_1, Terminal, cli
from upgrade_flows.cli import files, interrupt
from upgrade_flows.cli.progress import Progress
from upgrade_flows.engine.records import Event
from upgrade_flows.errors import RequestError

SETUP = Path(__file__).parents[2] / "setup.cfg"


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_examples(command, capsys):
    code, out, _ = cli(*command.split(), "--help")
    assert code == 0
    assert "\nexamples:\n  upgrade-flows " in out


def test_the_help_offers_no_way_to_say_a_password():
    assert "password" not in cli("--help")[1]


def test_bash_completion_knows_every_command_and_its_options():
    code, out, _ = cli("complete")
    assert code == 0
    # cliff's way with a command that begins like another one: check, check vif-mode
    assert "cmds='capture check check_vif-mode commit complete config gc help inventory" in out
    assert "cmds_check='-h --help -f --format" in out
    assert "cmds_plan='diff hosts live-update recreate runbook show'" in out
    assert "cmds_run='-h --help --yes'" in out


def test_setup_cfg_declares_every_command():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(SETUP)
    declared = dict(
        line.replace(" ", "").split("=")
        for line in setup["entry_points"].get("upgrade_flows.cli", "").split("\n")
        if line
    )
    assert declared == {
        name.replace(" ", "_"): f"{command.__module__}:{command.__name__}"
        for name, command in COMMANDS.items()
    }


class Seen:
    def __init__(self):
        self.said, self.stopped, self.left = [], [], 0
        self.parking = threading.Event()
        self.signals = interrupt.Interrupts(
            self.parking.set, self.said.append, self.leave, self.stopped.append
        )

    def leave(self):
        self.left += 1


def test_the_first_interrupt_parks_and_the_second_stops_at_once():
    seen = Seen()
    with seen.signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert seen.parking.wait(5)
        assert (seen.said, seen.stopped) == ([interrupt.FIRST], [])
        os.kill(os.getpid(), signal.SIGINT)
    assert (seen.said[1:], seen.stopped, seen.left) == ([interrupt.SECOND], [130], 1)


def test_signals_are_handled_as_before_when_a_run_is_over():
    before = signal.getsignal(signal.SIGINT)
    with Seen().signals:
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_terminal_gets_a_live_table_and_its_cursor_back(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(PLAN, stream) as progress:
        progress(Event(0.0, WEB_1, "", "changing"))
        progress(Event(1.0, WEB_1, "stop-server:x", "started"))
        progress.say("a line")
    shown = stream.getvalue()
    assert "a line" in shown
    assert "stop-server started" in shown
    assert "0 of 3 done, 1 in work" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


def test_progress_goes_on_when_nobody_reads_it():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    Progress(PLAN, Gone())(Event(0.0, WEB_1, "", "changing"))


def test_a_file_that_cannot_be_replaced_leaves_no_rubbish(tmp_path):
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(RequestError, match=r"plan\.json cannot be written: Is a directory"):
        files.write_private(str(tmp_path / "plan.json"), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="it is not UTF-8 text"):
        files.read_plan(str(tmp_path / "plan.json"))
