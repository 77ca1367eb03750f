"""What the lab's guests are made of: programs, scripts, and when an image is another one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.lab.guest import image, live, parts, probe
from tests.lab.guest.recipe import ROOT

NETWORK = {
    "links": [
        {"id": "tap1", "ethernet_mac_address": "fa:16:3e:00:00:01", "type": "ovs"},
        {"id": "tap2", "ethernet_mac_address": "fa:16:3e:00:00:02", "type": "ovs"},
    ],
    "networks": [
        {
            "id": "network0",
            "link": "tap1",
            "ip_address": "10.88.0.5",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.88.0.1"}],
        },
        {"id": "network1", "link": "tap2", "ip_address": "10.89.0.6", "netmask": "255.255.0.0"},
    ],
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    live.compile_programs(folder)
    return folder


@contextlib.contextmanager
def running(*argv):
    """Run a server at a free port, its first argument after the program; give the port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    program, *rest = map(str, argv)
    process = subprocess.Popen([program, str(port), *rest])
    try:
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < end, f"{program} does not listen"
            time.sleep(0.02)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def test_the_service_goes_on_counting_where_its_disk_says(programs, tmp_path):
    file = tmp_path / "count"
    with running(programs / "counter", file) as port:
        assert get(port, "/state")["count"] == 0
        assert [get(port, "/bump")["count"] for _ in range(2)] == [1, 2]
        state = get(port, "/state")
    assert state["hostname"] == socket.gethostname()
    assert set(state) == {"hostname", "kernel", "boot_id", "count"}
    assert file.read_text() == "2\n"
    with running(programs / "counter", file) as port:
        assert get(port, "/state")["count"] == 2


def test_the_service_knows_no_other_path(programs, tmp_path):
    with (
        running(programs / "counter", tmp_path / "count") as port,
        pytest.raises(urllib.request.HTTPError, match="404"),
    ):
        get(port, "/statement")


def test_a_session_ticks_without_a_gap_and_counts_in_its_memory(programs, tmp_path):
    with (
        running(programs / "session", 1, tmp_path / "log") as port,
        socket.create_connection(("127.0.0.1", port), 5) as client,
        client.makefile("rw") as talk,
    ):
        talk.write("get\ninc\ninc\nwho\n")
        talk.flush()
        lines = [talk.readline().split() for _ in range(14)]
    ticks = [int(line[1]) for line in lines if line[0] == "tick"]
    assert ticks == list(range(ticks[0], ticks[0] + 10))
    assert [line[1] for line in lines if line[0] == "value"] == ["0", "1", "2"]
    assert [len(line) for line in lines if line[0] == "who"] == [4]
    assert (tmp_path / "log").read_text().startswith("0 begins\n")


def test_two_clients_hear_the_same_ticks(programs, tmp_path):
    with running(programs / "session", 1, tmp_path / "log") as port:
        clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(2)]
        files = [client.makefile() for client in clients]
        heard = [{file.readline() for _ in range(20)} for file in files]
        for each in (*files, *clients):
            each.close()
    assert len(heard[0] & heard[1]) > 10


def test_the_addresses_of_a_guest_are_those_of_its_config_drive(tmp_path):
    (tmp_path / "network_data.json").write_text(json.dumps(NETWORK))
    script = f". {ROOT}/bin/configdrive; network_lines < {tmp_path}/network_data.json"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "fa:16:3e:00:00:01 10.88.0.5 255.255.255.0 10.88.0.1",
        "fa:16:3e:00:00:02 10.89.0.6 255.255.0.0 -",
    ]


SCRIPTS = sorted((live.FILES / "root" / "bin").iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_of_a_guest_are_what_its_shell_can_read(script):
    assert subprocess.run(["sh", "-n", script]).returncode == 0


def test_the_libraries_of_a_program_have_its_loader(programs):
    names = [path.name for path in parts.libraries_of(Path(shutil.which("sh")))]
    assert "libc.so.6" in names
    assert any(name.startswith("ld-linux") for name in names)


@pytest.fixture
def key(tmp_path, monkeypatch):
    """Return the function that tells what an image is made of, without any package."""
    busybox = tmp_path / "busybox"
    busybox.write_text("busybox")
    monkeypatch.setattr(image, "BUSYBOX", busybox)
    monkeypatch.setattr(parts, "kernel_package", lambda _, series: Path(f"linux-{series}.0-1.deb"))
    return lambda recipe: image.key_of_inputs(recipe, tmp_path)


def test_an_image_is_another_one_when_anything_that_goes_into_it_is(key, tmp_path):
    source = tmp_path / "script"
    source.write_text("one")
    first = dataclasses.replace(probe.RECIPE, sources=(source,))
    known = key(first)
    assert key(first) == known
    changes = [
        {"series": "6.12"},
        {"modules": ("virtio_net",)},
        {"size_mb": 64},
        {"update": probe.RECIPE},
    ]
    keys = [key(dataclasses.replace(first, **change)) for change in changes]
    source.write_text("two")
    assert len({known, key(first), *keys}) == len(changes) + 2


def test_the_two_images_for_live_updates_differ_in_the_kernel():
    assert (live.OLD.series, live.NEW.series) == ("6.1", "6.12")
    assert live.OLD.update == live.NEW
    assert live.OLD.properties == live.NEW.properties
