"""Run scripts on a host by ssh: one connection each, its host key always verified."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.host.ssh.known import KnownHosts
from upgrade_flows.plugins.host.ssh.settings import SshSettings

CONNECT_S = 15.0
GOODBYE_S = 5.0

#: seconds between signs of life, and how many may stay away
KEEPALIVE_S, KEEPALIVES = 15, 4

CONFIGURATIONS = ("~/.ssh/config", "/etc/ssh/ssh_config")


# it would tell the user of every connection
asyncssh.set_log_level("WARNING")


class ConnectionEnded(HostUnreachable):
    """The connection was lost after the command had been given."""


@dataclass(frozen=True)
class Machine:
    """A host as ssh reaches it."""

    host: str
    settings: SshSettings = field(repr=False)

    def run(self, what: str, script: str, deadline_s: float | None = None) -> str:
        """Run a script and return what it said; ``what`` names it in errors.

        :raises HostUnreachable: the host does not answer, or its login is refused.
        :raises HostError: its key is not known, or the script failed or took too long.
        """
        deadline_s = deadline_s or self.settings.command_s
        command = "sudo -n sh -s" if self.settings.sudo else "sh -s"
        done = asyncio.run(self._run(command, what, script, deadline_s))
        if done.exit_status is None or done.exit_status < 0:
            signal = f" (signal {done.exit_signal[0]})" if done.exit_signal else ""
            raise ConnectionEnded(f"{self.host}: the session ended while {what} ran{signal}")
        if done.exit_status != 0:
            end = _end(done.stderr) or _end(done.stdout if done.exit_status == 127 else b"")
            raise HostError(f"{self.host}: {what} ended with {done.exit_status}: {end}")
        return _text(done.stdout)

    async def _run(
        self, command: str, what: str, script: str, deadline_s: float
    ) -> asyncssh.SSHCompletedProcess:
        connection = await self._connect()
        try:
            return await connection.run(
                command, input=script.encode(), encoding=None, timeout=deadline_s
            )
        except TimeoutError as exc:
            raise HostError(
                f"{self.host}: {what} did not end within {deadline_s:g} s, and may still go on"
            ) from exc
        except (asyncssh.Error, OSError) as exc:
            raise ConnectionEnded(
                f"{self.host}: the connection was lost while {what} ran: {exc}"
            ) from exc
        finally:
            connection.close()
            with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
                await asyncio.wait_for(connection.wait_closed(), GOODBYE_S)

    async def _connect(self) -> asyncssh.SSHClientConnection:
        address = self.settings.address.replace("{host}", self.host)
        try:
            options = await asyncssh.SSHClientConnectionOptions.construct(
                host=address,
                config=self._configurations(),
                **({"username": self.settings.user} if self.settings.user else {}),
            )
        except (OSError, ValueError, asyncssh.Error) as exc:
            raise HostError(f"{self.host}: the ssh configuration cannot be used: {exc}") from exc
        if options.known_hosts is None:
            raise HostError(
                f"{self.host}: the ssh configuration says UserKnownHostsFile none, but host keys"
                " are always verified: name a file there"
            )
        known = KnownHosts(options.known_hosts)
        try:
            return await asyncssh.connect(
                options=options,
                known_hosts=known.texts(),
                client_factory=lambda: known,
                connect_timeout=CONNECT_S,
                keepalive_interval=KEEPALIVE_S,
                keepalive_count_max=KEEPALIVES,
            )
        except asyncssh.HostKeyNotVerifiable as exc:
            raise HostError(known.complaint(self.host, exc.reason)) from exc
        except asyncssh.PermissionDenied as exc:
            raise HostUnreachable(
                f"{self.host}: {address} refuses the login of {options.username}: {exc.reason}"
            ) from exc
        except TimeoutError as exc:
            raise HostUnreachable(
                f"{self.host}: {address} does not answer within {CONNECT_S:g} s"
            ) from exc
        except (asyncssh.Error, OSError, ValueError) as exc:
            raise HostUnreachable(f"{self.host}: {address} cannot be reached: {exc}") from exc

    def _configurations(self) -> list[str]:
        if self.settings.ssh_config:
            return [self.settings.ssh_config]
        paths = [Path(name).expanduser() for name in CONFIGURATIONS]
        return [str(path) for path in paths if path.is_file()]


def _text(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said or "")


def _end(said: object) -> str:
    return "\n".join(_text(said).strip().split("\n")[-10:])[-2000:]
