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
class Instance:
    """A server with what Nova's database keeps about it out of sight."""

    server: Server
    nics: list[Nic] = field(default_factory=list)
    volumes: list[AttachedVolume] = field(default_factory=list)
    root_bytes: int = 1 << 30
    shelved_image: str = ""
    move: Move | None = None


@dataclass
class HostRecord:
    """A compute host, its L2 agent, and the inventory and usage that Placement has of it."""

    host: Host
    agent: Agent
    capacity: dict[str, int]
    used: dict[str, int] = field(default_factory=dict)


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
