"""The workload plugin criu: there and back, interrupted, failed; criu itself is a fake here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.unit.guest_sandbox import VOLUME, GuestSandbox
from tests.unit.host_sandbox import without_agent
from upgrade_flows.cloud import wait
from upgrade_flows.errors import HostError, RequestError, StepFailed
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.base import GuestNic
from upgrade_flows.plugins.workload import commands, hostkeys
from upgrade_flows.plugins.workload.criu.looking import Tree
from upgrade_flows.plugins.workload.criu.plugin import Criu

FAKES = Path(__file__).with_name("criu_fakes.py")
NIC = GuestNic("fa:16:3e:00:00:05", ("10.9.0.5/24", "fd00:9::5/64"), "10.9.0.1")

DUMP = "criu dump -t -D WORK/{} -o dump.log -v1 --tcp-established --network-lock nftables"
RESTORE = (
    "criu restore -d -D WORK/{} -o /run/upgrade-flows/restore.log -v1 --tcp-established"
    " --pidfile /run/upgrade-flows/criu.pid"
)


class Pair:
    """Two guests, a process in one of them, and a volume that is plugged into one of them."""

    def __init__(self, folder):
        self.data, self.volume = folder / "data", folder / "volume"
        for made in (self.data, self.volume, folder / "1", folder / "2"):
            made.mkdir()
        original = GuestSandbox(folder / "1")
        surrogate = GuestSandbox(folder / "2", beside=original)
        self.guests = {"original": original, "surrogate": surrogate}
        for one in self.guests.values():
            one.install(FAKES, "criu", "nft", "mount", "umount")
            (one.root / "proc/mounts").write_text("/dev/root / ext4 rw 0 0\n")
        self.command = ["sleep", f"98765.{original.port}"]
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        self.process = subprocess.Popen(self.command, cwd="/", start_new_session=True, **nowhere)
        self.settings = {
            "ssh": original.ssh,
            "command_pattern": f"^sleep {self.command[1]}",
            "images": f"{self.data}/ck",
            "mount": {"0": str(self.data)},
        }
        self.plug("original")
        self.change("original", memory="kept")
        self.do("original", "mount", "-t", "ext4", "-o", "rw,noatime", self.volume, self.data)
        self.clear()
        self.plugin, self.notes = Criu(), {}

    @property
    def work(self):
        return self.volume / "ck" / f"upgrade-flows-{VOLUME[:20]}"

    def guest(self, role):
        return self.guests[role].guest(role, volumes=(VOLUME,))

    def state(self, role):
        path = self.guests[role].root / "fakes.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def change(self, role, **more):
        """Change what the fakes of a guest do."""
        path = self.guests[role].root / "fakes.json"
        path.write_text(json.dumps({**self.state(role), **more}))

    def log(self, role):
        """Return what was called in a guest."""
        work = f"{self.data}/ck/{self.work.name}"
        here = str(self.guests[role].root)
        said = self.state(role).get("log", [])
        return [line.replace(work, "WORK").replace(here, "") for line in said]

    def clear(self):
        for role in self.guests:
            self.change(role, log=[])

    def do(self, role, *words):
        """Call a tool of a guest."""
        tool = self.guests[role].root / "tools" / words[0]
        environment = {**os.environ, "SANDBOX": str(self.guests[role].root)}
        subprocess.run([tool, *words[1:]], env=environment, check=True)

    def plug(self, role):
        """Plug the volume into a guest, and out of the other one."""
        for name, one in self.guests.items():
            link = one.root / f"dev/disk/by-id/virtio-{VOLUME[:20]}"
            link.unlink(missing_ok=True)
            if name == role:
                link.symlink_to(self.volume)

    def prepare(self):
        original, surrogate = self.guest("original"), self.guest("surrogate")
        self.notes |= json.loads(
            json.dumps(self.plugin.prepare(original, surrogate, self.settings))
        )

    def quiesce(self):
        self.notes |= self.plugin.quiesce(self.guest("original"), self.settings, self.notes)

    def resume(self):
        self.plug("surrogate")
        self.plugin.resume(self.guest("surrogate"), self.settings, self.notes)

    def withdraw(self):
        self.plugin.withdraw(self.guest("surrogate"), self.settings, self.notes)

    def restore(self):
        self.plug("original")
        self.plugin.restore(self.guest("original"), self.settings, self.notes)

    def runs(self):
        """Return how many processes there are of the workload."""
        found = 0
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += path.read_bytes().split(b"\0")[:-1] == [w.encode() for w in self.command]
            except OSError:
                continue
        return found

    def end(self):
        for role, one in self.guests.items():
            one.end()
            for pid in self.state(role).get("began", []):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pair(tmp_path, monkeypatch):
    without_agent(monkeypatch)
    monkeypatch.setattr(hostkeys, "_PINNED", {})
    monkeypatch.setattr(commands, "ARRIVAL_S", 2)
    # the two guests of a test have one kernel, so no id of a process is free in the other one
    monkeypatch.setattr(Tree, "own_pids", True)
    made = Pair(tmp_path)
    yield made
    made.end()


def test_processes_go_there_and_back(pair):
    assert pair.plugin.refusals(pair.guest("original"), pair.settings) == []
    pair.plugin.ready(pair.guest("surrogate"), pair.settings)
    pair.prepare()
    assert pair.log("surrogate") == ["nft lock"]
    pair.quiesce()
    assert pair.log("original") == ["nft lock", DUMP.format("cut"), "umount data"]
    assert pair.runs() == 0
    pair.clear()
    pair.resume()
    assert pair.log("surrogate") == [
        "nft lock",
        "mount -t ext4 -o rw,noatime data",
        RESTORE.format("cut"),
        "nft delete table inet upgrade-flows",
        "nft delete table inet CRIU-",
    ]
    assert pair.runs() == 1
    assert pair.state("surrogate")["memory"] == "kept"
    pair.change("surrogate", memory="newer")
    pair.clear()
    pair.withdraw()
    assert pair.log("surrogate") == ["nft lock", DUMP.format("back"), "umount data"]
    pair.restore()
    assert pair.log("original") == [
        "nft lock",
        "mount -t ext4 -o rw,noatime data",
        RESTORE.format("back"),
        "nft delete table inet upgrade-flows",
        "nft delete table inet CRIU-",
    ]
    assert pair.runs() == 1
    assert pair.state("original")["memory"] == "newer"


def test_each_phase_can_be_called_again(pair):
    pair.prepare()
    pair.prepare()
    for _ in range(2):
        pair.quiesce()
    for _ in range(2):
        pair.resume()
    assert pair.runs() == 1
    for _ in range(2):
        pair.withdraw()
    for _ in range(2):
        pair.restore()
    assert pair.runs() == 1
    assert pair.log("original").count(DUMP.format("cut")) == 1
    assert pair.log("original").count(RESTORE.format("back")) == 1
    assert pair.log("surrogate").count(RESTORE.format("cut")) == 1
    assert pair.log("surrogate").count(DUMP.format("back")) == 1


def test_processes_that_have_come_back_can_go_again(pair):
    for _ in range(2):
        pair.prepare()
        pair.quiesce()
        pair.resume()
        pair.withdraw()
        pair.restore()
    assert pair.runs() == 1
    assert pair.state("original")["memory"] == "kept"


def test_nothing_but_ssh_comes_to_the_carried_addresses_meanwhile(pair):
    guest = pair.guests["surrogate"].guest("surrogate", volumes=(VOLUME,), nics=(NIC,))
    pair.plugin.prepare(pair.guest("original"), guest, pair.settings)
    port = pair.guests["original"].port
    assert pair.state("surrogate")["rules"].splitlines() == [
        "table inet upgrade-flows",
        "delete table inet upgrade-flows",
        "table inet upgrade-flows {",
        "chain input {",
        "type filter hook input priority -300; policy accept;",
        "meta l4proto 58 accept",
        f"ip daddr 10.9.0.5 tcp dport {port} accept",
        "ip daddr 10.9.0.5 drop",
        f"ip6 daddr fd00:9::5 tcp dport {port} accept",
        "ip6 daddr fd00:9::5 drop",
        "}",
        "}",
    ]


def test_memory_is_written_down_beforehand_as_often_as_wanted(pair):
    pair.settings |= {"predump": 2, "options": ["--file-locks"]}
    pair.prepare()
    pair.quiesce()
    words = "--tcp-established --network-lock nftables --track-mem"
    assert pair.log("original")[:4] == [
        f"criu pre-dump -t -D WORK/pre1 -o dump.log -v1 {words} --file-locks",
        f"criu pre-dump -t -D WORK/pre2 -o dump.log -v1 {words} --prev-images-dir ../pre1"
        " --file-locks",
        "nft lock",
        f"{DUMP.format('cut')} --track-mem --prev-images-dir ../pre2 --file-locks",
    ]


def test_a_dump_that_fails_leaves_the_processes_as_they_are(pair):
    pair.prepare()
    pair.change("original", failures={"dump": 1})
    with pytest.raises(HostError, match=r"quiesce ended with 1: criu dump .*In-flight connection"):
        pair.quiesce()
    assert pair.log("original")[-2:] == [
        "nft delete table inet upgrade-flows",
        "nft delete table inet CRIU-",
    ]
    pair.restore()
    assert pair.process.poll() is None
    assert not any(line.startswith("criu restore") for line in pair.log("original"))


def test_a_volume_that_cannot_be_unmounted_brings_the_processes_back(pair):
    pair.prepare()
    pair.change("original", busy=True)
    with pytest.raises(HostError, match=r"data cannot be unmounted: umount: .*busy"):
        pair.quiesce()
    assert pair.runs() == 0
    pair.restore()
    assert pair.runs() == 1
    assert RESTORE.format("cut") in pair.log("original")


def test_an_end_between_the_dump_and_its_note_loses_nothing(pair):
    pair.prepare()
    pair.change("original", dies=True)
    with pytest.raises(HostError, match="the session ended while criu's part for quiesce ran"):
        pair.quiesce()
    assert not (pair.work / "cut/complete").exists()
    pair.change("original", dies=False)
    pair.quiesce()
    pair.resume()
    assert pair.runs() == 1


def test_a_restore_that_fails_lets_the_processes_go_on_in_the_original(pair):
    pair.prepare()
    pair.quiesce()
    pair.change("surrogate", failures={"restore": 1})
    with pytest.raises(HostError, match="criu's part for resume ended with 1: criu restore ended"):
        pair.resume()
    assert pair.log("surrogate")[-1] == RESTORE.format("cut")
    pair.withdraw()
    pair.restore()
    assert pair.runs() == 1
    assert RESTORE.format("cut") in pair.log("original")


def test_processes_come_back_even_if_an_interface_does_not(pair):
    pair.prepare()
    pair.quiesce()
    pair.plug("original")
    guest = pair.guests["original"].guest("original", volumes=(VOLUME,), nics=(NIC,))
    with pytest.raises(HostError, match=f"the interface {NIC.mac}.* did not come within 2 s"):
        pair.plugin.restore(guest, pair.settings, pair.notes)
    assert pair.runs() == 1


def test_a_surrogate_that_was_never_reached_is_no_loss(pair):
    pair.prepare()
    pair.quiesce()
    pair.restore()
    assert pair.runs() == 1


def kill(pair):
    """End the processes in the surrogate, as if they had crashed."""
    os.kill(pair.state("surrogate")["began"][-1], signal.SIGKILL)
    wait.until(wait.SystemClock(), "their end", pair.runs, lambda count: count == 0)


def test_processes_that_went_on_and_crashed_are_not_brought_back_with_an_old_memory(pair):
    pair.prepare()
    pair.quiesce()
    pair.resume()
    kill(pair)
    pair.withdraw()
    with pytest.raises(StepFailed, match="older than the data: start the workload anew"):
        pair.restore()
    assert pair.runs() == 0
    assert pair.log("original")[-2] == "nft delete table inet upgrade-flows"


def test_processes_that_cannot_be_brought_back_are_started_anew_by_the_operators_command(pair):
    pair.settings["start"] = f"echo $UF_PHASE $UF_ROLE >{pair.data}/started"
    pair.prepare()
    pair.quiesce()
    pair.resume()
    pair.change("surrogate", failures={"dump": 2})
    with pytest.raises(HostError, match="were ended, for they could not be carried back: criu du"):
        pair.withdraw()
    assert pair.runs() == 0
    pair.restore()
    assert (pair.volume / "started").read_text() == "restore original\n"


def test_a_dump_on_the_way_back_is_attempted_twice(pair):
    pair.prepare()
    pair.quiesce()
    pair.resume()
    pair.change("surrogate", failures={"dump": 1})
    pair.withdraw()
    pair.restore()
    assert pair.runs() == 1


def begin_to_resume(pair):
    """Resume in a thread of its own, and wait until the guest waits for the volume."""
    said = []

    def resume():
        try:
            pair.plugin.resume(pair.guest("surrogate"), pair.settings, pair.notes)
        except HostError as exc:
            said.append(str(exc))

    thread = threading.Thread(target=resume)
    thread.start()
    waits = pair.guests["surrogate"].root / "run/upgrade-flows/waits"
    wait.until(wait.SystemClock(), "it to wait", waits.exists, bool)
    return thread, said


def test_a_surrogate_can_wait_for_what_is_on_its_way(pair, monkeypatch):
    monkeypatch.setattr(commands, "ARRIVAL_S", 20)
    pair.prepare()
    pair.quiesce()
    thread, said = begin_to_resume(pair)
    pair.plug("surrogate")
    thread.join(30)
    assert (said, pair.runs()) == ([], 1)
    assert pair.plugin.resume_waits(pair.settings)


def test_a_surrogate_that_waits_in_vain_is_told_to_stop(pair, monkeypatch):
    monkeypatch.setattr(commands, "ARRIVAL_S", 20)
    pair.prepare()
    pair.quiesce()
    thread, said = begin_to_resume(pair)
    pair.withdraw()
    thread.join(5)
    assert len(said) == 1
    pair.plug("surrogate")
    assert pair.runs() == 0
    pair.restore()
    assert pair.runs() == 1


def test_images_are_readable_by_root_alone_and_go_when_they_are_used(pair):
    pair.prepare()
    assert pair.work.stat().st_mode & 0o777 == 0o700
    pair.quiesce()
    pair.resume()
    left = lambda: sorted(one.name for one in pair.work.iterdir())  # noqa: E731
    wait.until(wait.SystemClock(), "images to go", left, lambda names: names == ["used"])


def test_without_preparation_there_is_nothing_to_do_or_to_undo(pair):
    pair.withdraw()
    pair.restore()
    with pytest.raises(StepFailed, match="nothing was prepared"):
        pair.quiesce()
    with pytest.raises(StepFailed, match="nothing was prepared"):
        pair.resume()
    assert (pair.log("original"), pair.log("surrogate")) == ([], [])
    assert pair.runs() == 1


def test_an_id_that_is_taken_and_a_processor_that_cannot_all_are_refused(pair, monkeypatch):
    monkeypatch.setattr(Tree, "own_pids", False)
    pair.change("surrogate", poor=True)
    with pytest.raises(StepFailed) as caught:
        pair.prepare()
    assert f"its process {pair.process.pid} (sleep) has an id of ours" in str(caught.value)
    assert "(fpu): FPU xsave area present, but host cpu doesn't support it" in str(caught.value)
    assert pair.log("original") == []


def test_a_file_that_is_another_one_in_the_surrogate_is_refused(pair):
    script = pair.guests["surrogate"].root / "tools/sha256sum"
    script.write_text("#!/bin/sh\necho other\n")
    script.chmod(0o755)
    with pytest.raises(StepFailed, match=r"libc.*, which the processes use, is another one"):
        pair.prepare()


def test_a_surrogate_that_lacks_the_tools_is_not_ready(pair):
    pair.change("surrogate", check=1, nft=1)
    with pytest.raises(StepFailed, match=r"criu check fails: .*; .*nft is not installed"):
        pair.plugin.ready(pair.guest("surrogate"), pair.settings)
    refusals = pair.plugin.refusals(pair.guest("surrogate"), pair.settings)
    assert len(refusals) == 2


def test_a_workload_that_is_not_as_the_settings_say_is_refused_before_anything_is_touched(pair):
    pair.settings |= {"command_pattern": "^no-such", "mount": {"0": "/srv", "1": str(pair.data)}}
    said = pair.plugin.refusals(pair.guest("original"), pair.settings)
    name = str(pair.guest("original"))
    assert said == [
        f"{name}: nothing is mounted at /srv, not data volume 0 ({pair.volume})",
        f"{name}: it has no data volume 1, which is to be mounted at {pair.data}",
        f"{name}: data volume 0 is mounted at {pair.data}: name it in mount",
        f"{name}: no process is found by ^no-such",
    ]
    with pytest.raises(StepFailed, match="no process is found by"):
        pair.prepare()


def test_all_that_is_wrong_with_settings_is_said_at_once():
    bad = {
        "ssh": {"port": "x"},
        "pid": 1,
        "command_pattern": "(",
        "images": "/var/ck",
        "mount": {"first": "/data", "1": "data", "2": "/a b"},
        "predump": 99,
        "options": ["--tree=1", "-v4", "--shell-job"],
        "start": ["x"],
        "page_server": True,
    }
    with pytest.raises(RequestError) as caught:
        Criu().check(bad)
    for part in (
        *("ssh: port", "pid: a number from 2", "command_pattern: no regular", "page_server is un"),
        *("mount: first: the index", "mount: 1: ", "mount: 2: ", "predump: ", "start: a command"),
        *("options: an option as", "options: --tree=1 is not left to you", "exactly one of pid, "),
        "images: a folder on one of the volumes",
    ):
        assert part in str(caught.value), part
    assert "--shell-job is not" not in str(caught.value)


def test_it_is_installed_and_cuts_a_running_original():
    plugin = registry.load().workload["criu"]
    assert plugin.cut({}, has_data_volumes=True) == "hot"
    assert plugin.needs_ssh({})
