"""The guests for live updates themselves, as whoever has their key sees them."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest

from tests.functional import instances
from tests.lab import api, hosts, waiting
from tests.lab.hosts import access, seed

HOST, ADDRESS, MAC = "virt1", "10.88.0.9", "fa:16:3e:58:00:09"
NAME = "lab-live"
KEYS = ("-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----")


class Guest:
    """A guest with a port and a disk of data, and only its own host key is trusted."""

    def __init__(self, server, volume, known_hosts):
        self.id, self.volume, self.known_hosts = server, volume, known_hosts

    def trust(self):
        """Take the key from the console, as its owner may."""
        waiting.until("the console tells keys", lambda: KEYS[1] in self.console(), 90)
        key = self.console().rpartition(KEYS[0])[2].partition(KEYS[1])[0].strip()
        self.known_hosts.write_text(f"{ADDRESS} {key}\n")
        waiting.until("the guest lets us in", lambda: self.run("true").returncode == 0, 60)
        return key

    def console(self):
        return api.shared("lab-demo").compute.get_server_console_output(self.id)["output"]

    def run(self, command):
        options = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "3",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.known_hosts,
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        argv = ["ssh", "-i", access.guest_key(), *words, f"root@{ADDRESS}", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60)

    def ask(self, path):
        with urllib.request.urlopen(f"http://{ADDRESS}:8080{path}", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def guest(cloud, tmp_path_factory):
    hosts.up()
    demo = instances.owner()
    network = demo.network.find_network("guest-net")
    port = demo.network.create_port(
        network_id=network.id, mac_address=MAC, fixed_ips=[{"ip_address": ADDRESS}], name=NAME
    )
    volume = demo.block_storage.create_volume(name=NAME, size=1)
    demo.block_storage.wait_for_status(volume, "available", wait=120, interval=0.5)
    image = demo.image.find_image("live-old")
    disks = [
        {"boot_index": 0, "uuid": image.id, "source_type": "image", "destination_type": "local"},
        {"boot_index": -1, "uuid": volume.id, "source_type": "volume"}
        | {"destination_type": "volume", "delete_on_termination": False},
    ]
    server = demo.compute.create_server(
        name=NAME,
        flavor_id=demo.compute.find_flavor(seed.LIVE_FLAVOR["name"]).id,
        image_id=image.id,
        block_device_mapping=disks,
        host=HOST,
        key_name=seed.KEYPAIR,
        config_drive=True,
        networks=[{"port": port.id}],
    )
    instances.reaches(demo, server.id, "ACTIVE")
    yield Guest(server.id, volume.id, tmp_path_factory.mktemp("ssh") / "known_hosts")
    demo.compute.delete_server(server.id)
    waiting.until("it is gone", lambda: not list(demo.compute.servers(name=NAME)))
    demo.network.delete_port(port.id)
    demo.block_storage.delete_volume(volume.id)


def test_a_guest_is_entered_with_the_key_that_its_console_tells(guest):
    assert guest.trust().startswith("ssh-ed25519 ")
    assert guest.run("hostname").stdout == f"{NAME}\n"


def test_its_disk_of_data_is_found_by_the_id_of_the_volume(guest):
    name = f"/dev/disk/by-id/virtio-{guest.volume[:20]}"
    assert (
        guest.run(f"readlink -f {name}; grep -c ' /data ' /proc/mounts").stdout == "/dev/vdb\n1\n"
    )


def test_what_is_counted_is_on_the_disk_when_nova_stops_it(guest):
    counts = [guest.ask("/bump")["count"] for _ in range(3)]
    assert counts == [1, 2, 3]
    compute = api.shared().compute
    compute.stop_server(guest.id)
    instances.reaches(api.shared(), guest.id, "SHUTOFF")
    compute.start_server(guest.id)
    instances.reaches(api.shared(), guest.id, "ACTIVE")
    key = guest.known_hosts.read_text()
    guest.trust()
    assert guest.known_hosts.read_text() == key  # it is still the same instance
    assert guest.run("app start").returncode == 0  # it is started already, or soon
    assert guest.ask("/state")["count"] == 3
    assert "recovery" not in guest.run("dmesg | grep EXT4").stdout  # it had been unmounted


def test_its_service_lets_go_of_the_disk_and_comes_back(guest):
    assert guest.run("app stop; grep -c ' /data ' /proc/mounts").stdout == "0\n"
    assert guest.run("app start && app stop && app start").returncode == 0
    assert guest.ask("/state")["kernel"].startswith("6.1.")


def test_criu_can_look_after_what_it_runs(guest):
    done = guest.run("criu check && app stop && criuapp start && criuapp status && criuapp stop")
    assert done.returncode == 0, done
