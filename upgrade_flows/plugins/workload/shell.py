"""A guest's shell, as root, by ssh."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import asyncssh

from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import Clock
from upgrade_flows.errors import HostError, HostUnreachable, StepFailed, TimedOut
from upgrade_flows.plugins.guest import Guest
from upgrade_flows.plugins.reading import Reader
from upgrade_flows.plugins.ssh import connection as ssh
from upgrade_flows.plugins.ssh.known import Known, KnownHosts, PinnedKeys
from upgrade_flows.plugins.ssh.pool import POOL
from upgrade_flows.plugins.workload import hostkeys
from upgrade_flows.steps import guest_probes

KEYS = ("user", "port", "key", "known_hosts", "proxy_command", "connect_s", "sudo")
CONSOLE = "console"

#: seconds for which a connection is awaited before it is asked for again
KNOCK_S = 0.5


@dataclass(frozen=True)
class SshSettings:
    """How guests are reached.

    :param key: file of the private key; "": what the agent and ``~/.ssh`` have.
    :param known_hosts: a file, or ``console``: the keys that cloud-init prints there.
    :param proxy_command: words of a command whose standard input and output lead to the guest;
        ``{address}`` and ``{port}`` stand for where it is.
    :param connect_s: seconds for each address of a guest.
    """

    user: str = "root"
    port: int = 22
    key: str = ""
    known_hosts: str = CONSOLE
    proxy_command: tuple[str, ...] = ()
    connect_s: float = 10.0
    sudo: bool = False


def read(outer: Reader, key: str = "ssh") -> SshSettings:
    """Understand the settings for ssh within those of a plugin; complaints go to the reader."""
    reader = outer.inner(key, outer.table(key), KEYS)
    user = reader.text("user", "root", pattern=r"[^\s:@-][^\s:@]*", like="the name of a user")
    port = reader.any("port", 22)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        reader.complain("port: a number from 1 to 65535 is wanted")
        port = 22
    known = reader.any("known_hosts", CONSOLE)
    return SshSettings(
        user=user,
        port=port,
        key=reader.path("key"),
        known_hosts=CONSOLE if known == CONSOLE else reader.path("known_hosts"),
        proxy_command=reader.words("proxy_command"),
        connect_s=reader.seconds("connect_s", 10.0),
        sudo=reader.flag("sudo", user != "root"),
    )


@dataclass(frozen=True)
class Shell:
    """Runs scripts in a guest; the connection is kept for the next one."""

    guest: Guest
    settings: SshSettings = field(repr=False)
    clock: Clock = field(default_factory=wait.SystemClock, repr=False)

    def run(self, what: str, script: str, deadline_s: float) -> str:
        """Run a script as root and return what it said; ``what`` names it in errors.

        :raises HostUnreachable: the guest does not answer, or its login is refused.
        :raises HostError: its key is not known, or the script failed or took too long.
        """
        known = self._known()
        try:
            return self._run(known, what, script, deadline_s)
        except ssh.KeyRefused:
            again = self._known(anew=True)
            if again == known:
                raise
            return self._run(again, what, script, deadline_s)

    def reach(self, deadline_s: float) -> None:
        """Wait until the guest takes commands.

        :raises HostUnreachable: it does not, within ``deadline_s`` seconds.
        """

        def attempt() -> str:
            if not self._answers():
                return f"no answer at {', '.join(self.guest.addresses)}"
            try:
                return self.run("answering", "echo yes", self.settings.connect_s)
            except HostError as exc:
                return str(exc)

        try:
            wait.until(
                self.clock,
                f"{self.guest} to take commands",
                attempt,
                lambda said: said == "yes\n",
                deadline_s=deadline_s,
            )
        except (TimedOut, StepFailed) as exc:
            raise HostUnreachable(str(exc)) from exc

    def _answers(self) -> bool:
        """Whether a connection is taken; it is asked again sooner than TCP would."""
        port, proxied = self.settings.port, self.settings.proxy_command
        return bool(proxied) or any(
            guest_probes.connects(address, port, KNOCK_S) for address in self.guest.addresses
        )

    def _known(self, anew: bool = False) -> tuple[str, ...]:
        if self.settings.known_hosts != CONSOLE:
            return ()
        return hostkeys.of(self.guest, anew)

    def _run(self, keys: tuple[str, ...], what: str, script: str, deadline_s: float) -> str:
        async def connect() -> asyncssh.SSHClientConnection:
            return await self._connect(keys)

        command = "sudo -n sh -s" if self.settings.sudo else "sh -s"
        key = (self.guest.server_id, self.settings)
        return POOL.run(key, connect, str(self.guest), what, command, script, deadline_s)

    async def _connect(self, keys: tuple[str, ...]) -> asyncssh.SSHClientConnection:
        who, complaints = str(self.guest), list[HostError]()
        for address in self.guest.addresses:
            known: Known = (
                PinnedKeys(keys, "the guest's console")
                if self.settings.known_hosts == CONSOLE
                else KnownHosts([self.settings.known_hosts])
            )
            options = self._options(address)
            try:
                return await ssh.connect(
                    who, address, options, known, self.settings.connect_s, self.settings.port
                )
            except (HostUnreachable, ssh.KeyRefused) as exc:
                complaints.append(exc)
        said = "; ".join(map(str, complaints)) or f"{who}: has no address"
        if any(isinstance(one, ssh.KeyRefused) for one in complaints):
            raise ssh.KeyRefused(said)
        raise HostUnreachable(said)

    def _options(self, address: str) -> asyncssh.SSHClientConnectionOptions:
        settings = self.settings
        places = {"{address}": address, "{port}": str(settings.port)}
        more: dict[str, Any] = {"client_keys": [settings.key]} if settings.key else {}
        if settings.proxy_command:
            more["proxy_command"] = [_filled(word, places) for word in settings.proxy_command]
        more |= {"username": settings.user, "config": None, "preferred_auth": "publickey"}
        try:
            return asyncssh.SSHClientConnectionOptions(host=address, port=settings.port, **more)
        except (OSError, ValueError, asyncssh.Error) as exc:
            raise HostError(f"{self.guest}: the settings of ssh cannot be used: {exc}") from exc


def _filled(word: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word
