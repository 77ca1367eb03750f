"""The shell scripts that run in guests: a busybox with iproute2's words is enough for them."""

from __future__ import annotations

from collections.abc import Sequence

from upgrade_flows.plugins import scripts
from upgrade_flows.plugins.guest import Guest
from upgrade_flows.plugins.scripts import lines as lines


def script(*parts: str, arguments: Sequence[str] = (), content: bytes | None = None) -> str:
    """Return a script as text for ``sh -s``, made of parts that build on one another."""
    return scripts.script(__name__, ("common", *parts), arguments, content)


def plugged(guest: Guest) -> list[str]:
    """Return arguments that name what moves: ``n=`` for interfaces, ``v=`` for volumes."""
    nics = [f"n={nic.mac.lower()}|{nic.gateway}|{','.join(nic.addresses)}" for nic in guest.nics]
    return [*nics, *(f"v={volume[:20]}" for volume in guest.volumes)]
