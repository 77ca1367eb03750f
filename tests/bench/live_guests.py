"""A guest that serves at a fixed address from a disk of data, and the calls that move it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from openstack import exceptions

from tests.bench import scene
from tests.bench.byhand import Subject
from tests.bench.errors import BenchError
from tests.functional import instances
from tests.lab import api, waiting
from tests.lab.hosts import access, seed

OLD_IMAGE, NEW_IMAGE = "live-old", "live-new"
FLAVOR, NETWORK = str(seed.LIVE_FLAVOR["name"]), "guest-net"
FIRST_ADDRESS = 200  # the lowest ones are other people's
APP_PORT = 8080
BOOT_S = 120.0
CALL_S = 60.0
SSH = (
    "ssh", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
    "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5",
)  # fmt: skip


@dataclass(frozen=True)
class LiveGuest:
    """A guest that serves, and how far it has counted."""

    id: str
    subject: Subject
    address: str
    mac: str
    count: int


@contextmanager
def serving(name: str, host: str, number: int, workload: str = "") -> Iterator[LiveGuest]:
    """Make a guest with the old kernel that serves; afterwards nothing is left of it.

    :param number: counts the guests, for each has its own address.
    :param workload: what the guest starts at its boot (see ``tests/lab/guest/live``).
    """
    full = f"{scene.PREFIX}live-{name}"
    try:
        made = _make(full, host, FIRST_ADDRESS + number % 40, workload)
        yield made
    finally:
        clean()


def _make(name: str, host: str, number: int, workload: str) -> LiveGuest:
    owner, admin = instances.owner(), api.shared()
    address = f"{seed.NETWORKS[NETWORK]}.{number}"
    network = admin.network.find_network(NETWORK)
    port = admin.network.create_port(
        name=name,
        network_id=network.id,
        project_id=owner.current_project_id,
        fixed_ips=[{"ip_address": address}],
    )
    volume = owner.block_storage.create_volume(name=name, size=1)
    owner.block_storage.wait_for_status(volume, "available", wait=CALL_S, interval=0.2)
    disk = {
        "uuid": volume.id,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": None,
    }
    root = {
        "uuid": admin.image.find_image(OLD_IMAGE).id,
        "source_type": "image",
        "destination_type": "local",
        "boot_index": 0,
        "delete_on_termination": True,
    }
    server = owner.compute.create_server(
        name=name,
        flavor_id=admin.compute.find_flavor(FLAVOR).id,
        image_id=root["uuid"],
        block_device_mapping=[root, disk],
        host=host,
        key_name=seed.KEYPAIR,
        config_drive=True,
        networks=[{"port": port.id}],
        metadata={"workload": workload} if workload else {},
    )
    instances.reaches(admin, server.id, "ACTIVE")
    subject = Subject(
        name, host, FLAVOR, network.id, key=seed.KEYPAIR, port_id=port.id, volume_id=volume.id
    )
    count = 0
    take_commands(address)
    if not workload:
        for _ in range(3):
            count = int(ask(address, "bump")["count"])
    return LiveGuest(server.id, subject, address, port.mac_address, count)


def ask(address: str, path: str = "state", seconds: float = BOOT_S) -> dict[str, Any]:
    """Return what the service in a guest answers, asking again for so many seconds."""

    def answer() -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            url = f"http://{address}:{APP_PORT}/{path}"
            found: dict[str, Any] = json.load(urllib.request.urlopen(url, timeout=2))
            return found
        return None

    return waiting.until(f"{address}:{APP_PORT} answers", answer, seconds) or {}


def command(address: str, text: str) -> str:
    """Run a command in a guest as root, and return what it said."""
    argv = [*SSH, "-i", str(access.guest_key()), f"root@{address}", text]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=CALL_S)
    if done.returncode:
        raise BenchError(f"{address}: {text}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def take_commands(address: str) -> None:
    """Wait until a guest takes commands."""

    def takes() -> bool:
        with suppress(BenchError):
            command(address, "true")
            return True
        return False

    waiting.until(f"{address} takes commands", takes, BOOT_S)


def settings() -> dict[str, Any]:
    """Return the settings of the plugin ``hooks`` for these guests."""
    return {
        "ssh": {"key": str(access.guest_key())},
        "quiesce": "/bin/app stop",
        "mount": "/bin/app start",
    }


def calls_alone(guest: LiveGuest) -> list[tuple[str, float]]:
    """Do what no move can do without, one call after the other, and time each until it is done.

    The guest has its port and its volume again afterwards, and serves; nobody else asks Nova for
    anything meanwhile.
    """
    cloud, server = api.shared(), guest.id
    port, volume = guest.subject.port_id, guest.subject.volume_id
    command(guest.address, "/bin/app stop")
    compute = cloud.compute
    found = [
        _timed(
            "detach volume",
            lambda: compute.delete_volume_attachment(server, volume),
            lambda: cloud.block_storage.get_volume(volume).status == "available",
        ),
        _timed(
            "detach port",
            lambda: compute.delete_server_interface(port, server=server),
            lambda: not cloud.network.get_port(port).device_id,
        ),
        _timed(
            "attach volume",
            lambda: compute.create_volume_attachment(server, volume_id=volume),
            lambda: cloud.block_storage.get_volume(volume).status == "in-use",
        ),
        _timed(
            "attach port",
            lambda: _attached(lambda: compute.create_server_interface(server, port_id=port)),
            lambda: cloud.network.get_port(port).status == "ACTIVE",
        ),
    ]
    take_commands(guest.address)
    command(guest.address, "/bin/app start")
    ask(guest.address)
    return found


def _attached(attach: Callable[[], object]) -> None:
    """Attach a port, again where Nova is a moment behind Neutron."""
    end = time.monotonic() + CALL_S
    while True:
        try:
            attach()
        except exceptions.HttpException:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _timed(what: str, call: Callable[[], object], done: Callable[[], bool]) -> tuple[str, float]:
    start = time.monotonic()
    call()
    waiting.until(f"{what} is done", done, CALL_S, every=0.05)
    return what, time.monotonic() - start


def clean() -> None:
    """Remove all guests of ours, and what belonged to them."""
    scene.clean()
    cloud = api.shared()
    for port in list(cloud.network.ports()):
        if port.name.startswith(scene.PREFIX):
            cloud.network.delete_port(port)

    def volumes() -> list[Any]:
        found = cloud.block_storage.volumes(all_projects=True)
        return [one for one in found if (one.name or "").startswith(scene.PREFIX)]

    def gone() -> bool:
        for one in volumes():
            with suppress(exceptions.HttpException):
                cloud.block_storage.delete_volume(one.id, force=False)
        return not volumes()

    waiting.until("our volumes are gone", gone, CALL_S)
