"""The host keys of guests, as cloud-init prints them on the console: pinned, never guessed."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import asyncssh

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.guest import Guest

BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})")

#: the key of what plugins return as notes
NOTE = "host_keys"

_PINNED: dict[str, tuple[str, ...]] = {}


def parse(text: str) -> tuple[str, ...]:
    """Return the public keys in the last whole block of a console; lines that are torn are none."""
    found: list[str] = []
    for block in BLOCK.findall(text)[-1:]:
        for kind, coded in KEY.findall(block):
            with contextlib.suppress(asyncssh.KeyImportError):
                asyncssh.import_public_key(f"{kind} {coded}")
                found.append(f"{kind} {coded}")
    return tuple(found)


def of(guest: Guest, anew: bool = False) -> tuple[str, ...]:
    """Return the keys of a guest: those that are pinned, else those on its console.

    :param anew: whether to look at the console even so.
    :raises HostError: nobody has seen them.
    """
    if anew or guest.server_id not in _PINNED:
        keys = parse(guest.console())
        if keys:
            _PINNED[guest.server_id] = keys
    if guest.server_id not in _PINNED:
        raise HostError(
            f"{guest}: its console does not show its host keys, between lines with"
            " BEGIN SSH HOST KEY KEYS and END SSH HOST KEY KEYS: name a file as known_hosts"
        )
    return _PINNED[guest.server_id]


def noted(*guests: Guest) -> dict[str, Any]:
    """Return notes of the keys of guests, for when their consoles do not show them any more."""
    return {NOTE: {one.server_id: list(_PINNED.get(one.server_id, ())) for one in guests}}


def remember(notes: dict[str, Any]) -> None:
    """Pin the keys that are in notes, if none are pinned."""
    for server_id, keys in notes.get(NOTE, {}).items():
        if keys:
            _PINNED.setdefault(server_id, tuple(keys))
