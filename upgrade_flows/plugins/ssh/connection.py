"""Connect by ssh, and say in words for people what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncssh

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.ssh.known import Known

GOODBYE_S = 5.0

#: seconds between signs of life, and how many may stay away
KEEPALIVE_S, KEEPALIVES = 15, 4

# it would tell the user of every connection
asyncssh.set_log_level("WARNING")


class ConnectionEnded(HostUnreachable):
    """The connection was lost after the command had been given."""


class KeyRefused(HostError):
    """The machine has another host key than is known, or none is known."""


async def connect(
    who: str,
    address: str,
    options: asyncssh.SSHClientConnectionOptions,
    known: Known,
    connect_s: float,
    port: int | None = None,
) -> asyncssh.SSHClientConnection:
    """Connect to where the options say, or to a ``port`` of the address.

    ``who`` and ``address`` name the machine in errors.

    :raises HostUnreachable: it does not answer within ``connect_s`` seconds, or refuses the login.
    :raises KeyRefused: its host key is not known.
    """
    where: dict[str, Any] = {} if port is None else {"host": address, "port": port}
    try:
        return await asyncssh.connect(
            **where,
            options=options,
            known_hosts=known.trusted(),
            client_factory=lambda: known,
            connect_timeout=connect_s,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
        )
    except asyncssh.HostKeyNotVerifiable as exc:
        raise KeyRefused(known.complaint(who, exc.reason)) from exc
    except asyncssh.PermissionDenied as exc:
        raise HostUnreachable(
            f"{who}: {address} refuses the login of {options.username}: {exc.reason}"
        ) from exc
    except TimeoutError as exc:
        raise HostUnreachable(f"{who}: {address} does not answer within {connect_s:g} s") from exc
    except (asyncssh.Error, OSError, ValueError) as exc:
        raise HostUnreachable(f"{who}: {address} cannot be reached: {exc}") from exc


async def close(connection: asyncssh.SSHClientConnection) -> None:
    """Say goodbye, but do not wait for long."""
    connection.close()
    with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
        await asyncio.wait_for(connection.wait_closed(), GOODBYE_S)


def answer(who: str, what: str, done: asyncssh.SSHCompletedProcess) -> str:
    """Return what a command said.

    :raises HostError: it failed; the message has the end of what it said.
    :raises ConnectionEnded: nobody knows how it ended.
    """
    if done.exit_status is None or done.exit_status < 0:
        signal = f" (signal {done.exit_signal[0]})" if done.exit_signal else ""
        raise ConnectionEnded(f"{who}: the session ended while {what} ran{signal}")
    if done.exit_status != 0:
        end = _end(done.stderr) or _end(done.stdout if done.exit_status == 127 else b"")
        raise HostError(f"{who}: {what} ended with {done.exit_status}: {end}")
    return _text(done.stdout)


def _text(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said or "")


def _end(said: object) -> str:
    return "\n".join(_text(said).strip().split("\n")[-10:])[-2000:]
