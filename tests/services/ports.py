"""Ports that are free, and stay so while their server is down."""

from __future__ import annotations

import random
import socket

from tests.services.errors import ServiceError

HOST = "127.0.0.1"
# Below the ports that Linux gives to outgoing connections: one of those, a client's that tries
# to connect again, would take the port of a killed server (or even be connected to itself).
RANGE = range(23000, 32000)


def pick(count: int) -> list[int]:
    """Return free ports, at random, so that those who pick at once differ."""
    found: list[int] = []
    for port in random.sample(RANGE, 500):
        if free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServiceError(f"no free port from {RANGE.start} to {RANGE.stop - 1}")


def free(port: int) -> bool:
    """Return whether nobody listens there; connections that still linger do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def ask(port: int, question: bytes, seconds: float = 2) -> bytes:
    """Return the first words of the answer to a question; nothing from who does not answer."""
    try:
        with socket.create_connection((HOST, port), timeout=seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(question)
            return connection.recv(1024)
    except OSError:
        return b""
