"""The instances that are measured: made in the old mode, left to be changed, and cleaned away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions

from tests.bench.byhand import Subject
from tests.bench.errors import BenchError
from tests.functional import instances
from tests.lab import agents, api, reset, seed, waiting
from tests.lab import hosts as virt_hosts
from tests.lab.agents import modes
from tests.lab.hosts import seed as guest_seed
from tests.lab.settings import Settings

PREFIX = "bench-"
OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"


@dataclass(frozen=True)
class Kind:
    """A kind of hosts, and the instances that run there."""

    name: str
    hosts: tuple[str, ...]
    flavor: str
    image: str
    network: str
    floating_ip: bool
    set_mode: Callable[..., None]


FAKE = Kind("fake", ("fake3", "fake4"), "m1.tiny", seed.IMAGE, seed.NETWORK, True, agents.set_mode)
GUEST = Kind(
    "guest",
    ("virt1",),
    str(guest_seed.FLAVOR["name"]),
    guest_seed.IMAGE,
    "guest-net",
    False,
    virt_hosts.set_mode,
)


@dataclass(frozen=True)
class Made:
    """An instance in the old mode on a host that is in the new one."""

    id: str
    address: str
    subject: Subject


@dataclass
class Traces:
    """What belongs to our instances, and may outlive them."""

    servers: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    floating_ips: set[str] = field(default_factory=set)

    def note(self) -> None:
        """Note what our instances have now."""
        cloud = api.shared()
        for server in cloud.compute.servers(all_projects=True, name=f"^{PREFIX}"):
            self.servers.add(server.id)
            for port in cloud.network.ports(device_id=server.id):
                self.ports.add(port.id)
                self.floating_ips |= {ip.id for ip in cloud.network.ips(port_id=port.id)}


@contextmanager
def instances_on(kind: Kind, host: str, names: Sequence[str]) -> Iterator[dict[str, Made]]:
    """Make instances that need the change, by name; afterwards nothing is left of them."""
    settings, traces = Settings.load(), Traces()
    behaviour = modes.read(settings.agents, host)
    try:
        kind.set_mode(host, OLD)
        made = instances.make(_wish(kind, host, name) for name in names)
        traces.note()
        kind.set_mode(host, NEW)
        yield {name: _made(kind, host, name, server_id) for name, server_id in made.items()}
    finally:
        try:
            clean(traces)
        finally:
            kind.set_mode(host, behaviour.pop("mode"), **behaviour)


def check_mode(host: str) -> None:
    """Make sure that a host is still in the new mode: others may use the lab, too.

    :raises BenchError: somebody has changed it.
    """
    mode = modes.read(Settings.load().agents, host)["mode"]
    if mode != NEW:
        raise BenchError(f"somebody has set {host} to {mode} meanwhile: the run is void")


def clean(traces: Traces | None = None) -> None:
    """Remove all instances of ours, and what belonged to them."""
    traces = traces or Traces()
    cloud = api.shared()
    traces.note()
    images = [image for image in cloud.image.images() if _ours(image.name or "", traces)]
    _each(cloud.compute.delete_server, traces.servers)

    def left() -> list[Any]:
        return list(cloud.compute.servers(all_projects=True, name=f"^{PREFIX}"))

    waiting.until("our instances are gone", lambda: not left(), 120)
    _each(cloud.network.delete_ip, traces.floating_ips)
    _each(cloud.network.delete_port, traces.ports)
    _each(cloud.image.delete_image, [image.id for image in images])


def _wish(kind: Kind, host: str, name: str) -> instances.Wish:
    return instances.Wish(
        name,
        host,
        floating_ip=kind.floating_ip,
        flavor=kind.flavor,
        image=kind.image,
        networks=(kind.network,),
    )


def _made(kind: Kind, host: str, name: str, server_id: str) -> Made:
    cloud = api.shared()
    (port,) = cloud.network.ports(device_id=server_id)
    subject = Subject(name, host, kind.flavor, port.network_id)
    return Made(server_id, str(port.fixed_ips[0]["ip_address"]), subject)


def _ours(image: str, traces: Traces) -> bool:
    """Whether an image is a snapshot of ours: by hand it has our prefix, else a server's id."""
    if image in reset.SEED_IMAGES:
        return False
    return image.startswith(PREFIX) or any(server in image for server in traces.servers)


def _each(delete: Callable[..., object], ids: Sequence[str] | set[str]) -> None:
    for thing in sorted(ids):
        with suppress(exceptions.NotFoundException):
            delete(thing, ignore_missing=True)
