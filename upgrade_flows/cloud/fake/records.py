"""What the fake cloud keeps beside what an operator sees: plain, mutable, picklable records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.inventory import Agent, AttachedVolume, Host, Server


@dataclass
class Nic:
    """One entry of an instance's network info cache, in the order the guest sees them.

    ``preserve_on_delete`` is false for ports that Nova created, which go with the server.
    """

    port_id: str
    preserve_on_delete: bool = False


@dataclass
class Move:
    """A cold migration that is under way or waits to be confirmed."""

    source: str
    destination: str
    before: Server


@dataclass
class Live:
    """A live migration under way.

    :param phase: ``accepted``, ``queued``, ``preparing`` or ``running``.
    :param wanted: the host that was asked for, if any.
    :param memory: bytes of the guest's memory.
    :param dirty_rate: bytes of it that the guest writes in a second.
    :param ending: how it is to end: None well, "" never by itself, else a status.
    :param serial: which of the ends that were planned for it is still meant.
    :param running_since: when memory began to flow.
    """

    server_id: str
    migration_id: str
    source: str
    wanted: str | None
    action: int
    before: Server
    memory: int
    dirty_rate: int
    ending: str | None
    destination: str = ""
    phase: str = "accepted"
    serial: int = 0
    running_since: float = 0.0


@dataclass
class Instance:
    """A server with what Nova's database keeps about it out of sight.

    ``dirty_rate`` is how many bytes of memory the guest writes in a second.
    """

    server: Server
    nics: list[Nic] = field(default_factory=list)
    volumes: list[AttachedVolume] = field(default_factory=list)
    root_bytes: int = 1 << 30
    shelved_image: str = ""
    move: Move | None = None
    dirty_rate: int = 0


@dataclass
class HostRecord:
    """A compute host, its L2 agent, and the inventory and usage that Placement has of it.

    :param boots: how often it has booted since it was added.
    :param booted: when it last did, in epoch seconds.
    :param silent_since: since when it has been rebooting; None while it runs.
    :param back: when it runs again; infinite if it never will.
    :param installed: the release that is installed on it, which ``runs`` from its next boot on.
    """

    host: Host
    agent: Agent
    capacity: dict[str, int]
    used: dict[str, int] = field(default_factory=dict)
    forced_down: bool = False
    hypervisor_version: int = 8_002_000
    cpu: dict[str, Any] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    boots: int = 0
    booted: float = 0.0
    silent_since: float | None = None
    back: float = 0.0
    installed: str = "old"
    runs: str = "old"


@dataclass
class NetworkRecord:
    """A network with one subnet, and how many of its addresses were handed out."""

    id: str
    name: str
    subnet_id: str
    number: int
    taken: int = 0


@dataclass
class Operation:
    """Something that Nova has accepted and will finish later.

    ``broken`` is the status in which an injected fault makes it end.
    """

    call: str
    subject: str
    started: float
    due: float
    action: int | None = None
    broken: str = ""
    args: dict[str, Any] = field(default_factory=dict)
