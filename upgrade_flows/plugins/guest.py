"""An instance whose workload moves, as a workload plugin reaches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

ORIGINAL, SURROGATE = "original", "surrogate"


@dataclass(frozen=True)
class GuestNic:
    """A network interface that moves from one instance to the other.

    :param addresses: with the length of the prefix, as ``ip addr`` takes them: ``10.0.0.5/24``.
    :param gateway: where packets to other networks go; "" where this interface leads to none.
    """

    mac: str
    addresses: tuple[str, ...] = ()
    gateway: str = ""


@dataclass(frozen=True)
class Guest:
    """One of the two instances, as a plugin reaches it.

    :param role: ``original`` or ``surrogate``.
    :param addresses: where it may be reached, the best first.
    :param nics: those that move: they are at it, or come to it.
    :param volumes: ids of the data volumes that move, in the order of their devices.
    :param console: returns the text of its console, as far as the cloud keeps it.
    """

    server_id: str
    name: str
    role: str
    addresses: tuple[str, ...] = ()
    nics: tuple[GuestNic, ...] = ()
    volumes: tuple[str, ...] = ()
    console: Callable[[], str] = field(default=lambda: "", repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.role}, {self.server_id})"


def device(volume_id: str) -> str:
    """Return the path that udev gives to a volume in a guest with a virtio disk."""
    return f"/dev/disk/by-id/virtio-{volume_id[:20]}"
