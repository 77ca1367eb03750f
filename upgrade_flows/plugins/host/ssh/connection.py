"""Run scripts on a host by ssh: one connection each, its host key always verified."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.host.ssh.settings import SshSettings
from upgrade_flows.plugins.ssh import connection as ssh
from upgrade_flows.plugins.ssh.connection import ConnectionEnded as ConnectionEnded
from upgrade_flows.plugins.ssh.known import KnownHosts

CONNECT_S = 15.0

CONFIGURATIONS = ("~/.ssh/config", "/etc/ssh/ssh_config")


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
        return ssh.answer(self.host, what, done)

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
            await ssh.close(connection)

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
        return await ssh.connect(self.host, address, options, known, CONNECT_S)

    def _configurations(self) -> list[str]:
        if self.settings.ssh_config:
            return [self.settings.ssh_config]
        paths = [Path(name).expanduser() for name in CONFIGURATIONS]
        return [str(path) for path in paths if path.is_file()]
