"""What the workload plugin criu reads in a guest's /proc, and what it refuses by it."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.unit.guest_sandbox import SHELLS, VOLUME, GuestSandbox
from tests.unit.host_sandbox import without_agent
from upgrade_flows.errors import HostError
from upgrade_flows.plugins.base import Guest
from upgrade_flows.plugins.workload import hostkeys
from upgrade_flows.plugins.workload.criu import looking, processes, refusals
from upgrade_flows.plugins.workload.criu.looking import Mounted, Seen, Tree
from upgrade_flows.plugins.workload.criu.processes import Mapped, Open, Process
from upgrade_flows.plugins.workload.criu.settings import CriuSettings
from upgrade_flows.plugins.workload.shell import Shell, SshSettings

GUEST = Guest("id-1", "web", "original", volumes=(VOLUME,))
SETTINGS = CriuSettings(
    SshSettings(), command_pattern="^srv", images="/data/ck", mounts={0: "/data"}
)
MOUNTED = Mounted("/dev/vdb", "/data", "ext4", "rw,relatime")
ROOT = Process(100, "srv", 1, 100, 100, 5000, "srv 7000")
CHILD = Process(101, "srv", 100, 100, 100, 5001, "srv worker")
SEEN = Seen(
    criu="",
    version="Version: 3.17.1",
    nft=True,
    pidfile="",
    mounts=(Mounted("/dev/vda1", "/", "ext4", "rw"), MOUNTED),
    devices={VOLUME[:20]: "/dev/vdb"},
    free_kib=1024 * 1024,
    processes={1: Process(1, "init", 0, 1, 1, 1, "init"), 100: ROOT, 101: CHILD},
)
KINDS = ("mnt", "net", "user", "pid", "ipc")
TREE = Tree(
    members=(ROOT, CHILD),
    shell=50,
    status={100: {"VmRSS": "16384 kB", "TracerPid": "0"}, 101: {"VmRSS": "2048 kB"}},
    spaces={(pid, f"ns/{kind}"): f"{kind}:[1]" for pid in (50, 100, 101) for kind in KINDS},
    threads=(100, 101, 102),
    maps=(
        Mapped(100, "r-xp", "/data/srv"),
        Mapped(100, "r-xp", "/lib/x86_64-linux-gnu/libc.so.6"),
        Mapped(100, "rw-s", "/dev/zero (deleted)"),
        Mapped(100, "rw-s", "/memfd:x (deleted)"),
    ),
    opened=(
        Open(100, "0", False, "/dev/null"),
        Open(100, "1", True, "/data/log"),
        Open(100, "3", True, "socket:[7]"),
        Open(100, "4", True, "anon_inode:[eventpoll]"),
        Open(100, "5", True, "pipe:[8]"),
        Open(101, "5", False, "pipe:[8]"),
        Open(100, "6", False, "/etc/hosts"),
        Open(100, "7", True, "/tmp/x (deleted)"),
        Open(1, "3", True, "socket:[9]"),
        Open(1, "4", True, "/var/log/syslog"),
    ),
    links={(100, "cwd"): "/data", (100, "exe"): "/data/srv", (1, "cwd"): "/"},
    locks=frozenset({1}),
    sockets={"99": "raw"},
)


def refused(tree=TREE, seen=SEEN, settings=SETTINGS):
    said = refusals.of_tree(GUEST, settings, seen, tree)
    assert all(one.startswith("web (original, id-1): ") for one in said)
    return [one.removeprefix("web (original, id-1): ") for one in said]


def opening(target, writes=True, pid=100):
    return replace(TREE, opened=(*TREE.opened, Open(pid, "9", writes, target)))


def mapping(path, permissions="rw-s"):
    return replace(TREE, maps=(*TREE.maps, Mapped(100, permissions, path)))


def test_what_criu_can_carry_is_not_refused():
    assert refused() == []
    assert refusals.of_guest(GUEST, SETTINGS, SEEN) == []
    assert refusals.of_volumes(GUEST, SETTINGS, SEEN) == []


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (opening("anon_inode:[io_uring]"), "has anon_inode:[io_uring] open: criu cannot carry it"),
        (opening("anon_inode:[perf_event]"), "criu cannot carry it"),
        (opening("pidfd:[12]"), "criu cannot carry it"),
        (opening("/dev/kvm"), "has /dev/kvm open: it is a device of this guest"),
        (opening("/dev/pts/0"), "it is a terminal"),
        (opening("socket:[99]"), "criu cannot carry a socket of the kind raw"),
        (opening("/var/log/srv"), "it is written, and lies on no volume that is carried"),
        (opening("/dev/shm/x"), "it is written, and lies on no volume that is carried"),
        (opening("pipe:[8]", pid=1), "shares a pipe with process 1, which does not move"),
        (opening("socket:[7]", pid=1), "shares a socket with process 1, which does not move"),
        (opening("/data/other", pid=1), "process 1, which does not move, uses /data/other"),
        (mapping("/dev/mem"), "has mapped /dev/mem: it is a device of this guest"),
        (mapping("anon_inode:[io_uring]"), "has mapped anon_inode:[io_uring]"),
        (mapping("/var/lib/x"), "has mapped /var/lib/x to write to it"),
        (mapping("/SYSV00000000 (deleted)"), "shared memory of System V, without an ipc"),
        (replace(TREE, locks=frozenset({101})), "add --file-locks to options"),
        (replace(TREE, status={100: {"TracerPid": "7"}}), "process 100 (srv) is traced"),
        (replace(TREE, members=(replace(ROOT, session=90), CHILD)), "start the workload by setsid"),
        (replace(TREE, members=(replace(ROOT, group=90), CHILD)), "start the workload by setsid"),
        *(
            (replace(TREE, spaces={**TREE.spaces, (101, f"ns/{kind}"): "other"}), said)
            for kind, said in (
                ("mnt", "process 101 (srv) has a mount namespace of its own"),
                ("net", "process 101 (srv) has a network namespace of its own"),
                ("user", "process 101 (srv) has a user namespace of its own"),
                ("pid", "process 101 (srv) is in another pid namespace than process 100 (srv)"),
            )
        ),
    ],
)
def test_what_criu_cannot_carry_is_refused(tree, said):
    (refusal,) = refused(tree)
    assert said in refusal


def test_a_tree_may_have_ids_and_shared_memory_of_its_own():
    spaces = {**TREE.spaces, **{(pid, "ns/pid"): "own" for pid in (100, 101)}}
    tree = replace(TREE, spaces=spaces)
    assert tree.own_pids
    assert not TREE.own_pids
    assert refused(tree) == []
    spaces = {**TREE.spaces, **{(pid, "ns/ipc"): "own" for pid in (100, 101)}}
    assert refused(replace(mapping("/SYSV00000000 (deleted)"), spaces=spaces)) == []


def test_options_of_the_operators_own_allow_more():
    tree = replace(opening("/dev/pts/0"), locks=frozenset({100}))
    settings = replace(SETTINGS, options=("--shell-job", "--file-locks"))
    assert (
        refused(replace(tree, members=(replace(ROOT, session=90), CHILD)), settings=settings) == []
    )


def test_there_must_be_room_for_the_images():
    assert refused(seen=replace(SEEN, free_kib=40 * 1024)) == []
    (said,) = refused(seen=replace(SEEN, free_kib=40 * 1024), settings=replace(SETTINGS, predump=1))
    assert said == "/data/ck has 40 MiB free, 52 are needed"


def test_a_data_volume_must_be_mounted_as_the_settings_say():
    def said(**more):
        return refusals.of_volumes(GUEST, SETTINGS, replace(SEEN, **more))

    (elsewhere,) = said(mounts=(*SEEN.mounts, Mounted("/dev/vdc", "/data", "ext4", "rw")))
    assert "/dev/vdc is mounted at /data, not data volume 0 (/dev/vdb)" in elsewhere
    (unknown,) = said(devices={})
    assert f"data volume 0 ({VOLUME}) is not to be found" in unknown
    (twice,) = said(mounts=(*SEEN.mounts, Mounted("/dev/vdb", "/srv", "ext4", "rw")))
    assert "data volume 0 is mounted at /srv: name it in mount" in twice
    by_link = Mounted(f"/dev/disk/by-id/virtio-{VOLUME[:20]}", "/data", "ext4", "rw")
    assert said(mounts=(by_link,)) == []


def test_the_root_of_the_tree_must_be_one():
    def said(**more):
        settings = replace(SETTINGS, **more)
        return refusals.of_root(GUEST, settings, list(looking.roots(settings, SEEN)))

    assert said() == []
    assert said(command_pattern="", pid=100) == []
    assert "no process is found by pid 7" in said(command_pattern="", pid=7)[0]
    assert "no process is found by /run/x.pid" in said(command_pattern="", pidfile="/run/x.pid")[0]
    found = [ROOT, CHILD]
    (several,) = refusals.of_root(GUEST, SETTINGS, list(found))
    assert several.endswith("found by ^srv: process 100 (srv), process 101 (srv)")


def test_a_pattern_means_the_uppermost_of_those_that_it_finds():
    assert processes.matching("srv", SEEN.processes) == [ROOT]
    other = Process(200, "srv", 1, 200, 200, 1, "srv 7001")
    assert processes.matching("srv", {**SEEN.processes, 200: other}) == [ROOT, other]


def test_a_name_that_looks_like_more_is_no_more():
    line = "77 (a) S 1 (b)) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0\n"
    (found,) = processes.processes(line, "").values()
    assert found == Process(77, "a) S 1 (b)", 1, 77, 77, 4711)


def test_threads_of_the_kernel_are_no_processes():
    line = "{} (kworker) S {} 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 26 0\n"
    assert processes.processes(line.format(2, 0) + line.format(9, 2), "") == {}


WORKLOAD = """
import mmap, os, select, socket, sys, threading
log = open(sys.argv[1], "w")
raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
poll = select.epoll()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("begun", file=sys.stderr, flush=True)
os.close(2)
sys.stdin.read()
"""


@pytest.fixture(params=SHELLS)
def sandbox(request, tmp_path, monkeypatch):
    without_agent(monkeypatch)
    monkeypatch.setattr(hostkeys, "_PINNED", {})
    made = GuestSandbox(tmp_path, request.param)
    yield made
    made.end()


def test_a_real_process_is_seen_with_all_that_it_has(sandbox, tmp_path):
    marker = f"workload-{sandbox.port}"
    path = tmp_path / "a -> b"
    child = subprocess.Popen(
        [sys.executable, "-c", WORKLOAD, str(path), marker],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=tmp_path,
    )
    assert child.stderr.readline() == b"begun\n"
    try:
        settings = CriuSettings(
            SshSettings(**sandbox.ssh),
            command_pattern=f"{marker}$",
            images=f"{tmp_path}/ck",
            mounts={0: str(tmp_path)},
        )
        one = Shell(sandbox.guest(), settings.ssh)
        (sandbox.root / "proc/mounts").write_text("/dev/root / ext4 rw,relatime 0 0\n")
        seen = looking.look(one, settings)
        assert seen.mounts == (Mounted("/dev/root", "/", "ext4", "rw,relatime"),)
        assert seen.free_kib > 0
        (root,) = looking.roots(settings, seen)
        assert (root.pid, root.session, root.parent) == (child.pid, child.pid, os.getpid())
        tree = looking.look_closely(one, settings, seen, root)
        assert len(tree.threads) == 2
        assert tree.resident_kib > 1000
        assert not tree.own_pids
        targets = {file.target: file.writes for file in tree.opened if file.pid == child.pid}
        assert targets[str(path)] is True
        assert targets["anon_inode:[eventpoll]"] is True
        assert tree.links[child.pid, "cwd"] == str(tmp_path)
        assert any("libc" in mapped.path for mapped in tree.maps)
        said = refusals.of_tree(GUEST, settings, seen, tree)
        assert f"process {child.pid} shares a pipe with process {os.getpid()}" in " ".join(said)
    finally:
        child.stdin.close()
        child.wait(10)


def test_a_process_that_ended_between_the_looks_stands_in_nobodys_way(sandbox):
    settings = CriuSettings(SshSettings(**sandbox.ssh), pid=os.getpid(), mounts={0: "/data"})
    one = Shell(sandbox.guest(), settings.ssh)
    child = subprocess.Popen(["sleep", "60"])
    seen = looking.look(one, settings)
    child.kill()
    child.wait(10)
    ours, theirs = seen.processes[os.getpid()], seen.processes[child.pid]
    tree = looking.look_closely(one, settings, seen, ours)
    assert os.getpid() in tree.pids
    assert child.pid not in tree.pids
    with pytest.raises(HostError, match=rf"process {child.pid} \(sleep\) has ended"):
        looking.look_closely(one, settings, seen, theirs)


def test_a_lock_of_a_file_is_seen(sandbox, tmp_path):
    settings = CriuSettings(SshSettings(**sandbox.ssh), pid=os.getpid(), mounts={0: "/data"})
    one = Shell(sandbox.guest(), settings.ssh)
    with (tmp_path / "locked").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        seen = looking.look(one, settings)
        tree = looking.look_closely(one, settings, seen, seen.processes[os.getpid()])
    assert os.getpid() in tree.locks


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets are root's")
def test_a_raw_socket_is_seen(sandbox):
    settings = CriuSettings(SshSettings(**sandbox.ssh), pid=os.getpid(), mounts={0: "/data"})
    one = Shell(sandbox.guest(), settings.ssh)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as made:
        inode = os.readlink(f"/proc/self/fd/{made.fileno()}")[8:-1]
        seen = looking.look(one, settings)
        tree = looking.look_closely(one, settings, seen, seen.processes[os.getpid()])
    assert tree.sockets[inode] == "raw"


def test_the_id_in_a_file_is_read(sandbox, tmp_path):
    (tmp_path / "srv.pid").write_text(f"{os.getpid()}\n")
    settings = CriuSettings(SshSettings(**sandbox.ssh), pidfile=str(tmp_path / "srv.pid"))
    seen = looking.look(Shell(sandbox.guest(), settings.ssh), settings)
    (root,) = looking.roots(settings, seen)
    assert root.pid == os.getpid()
