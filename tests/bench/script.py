"""The plain script that operators write: a loop over hosts, and in it a loop over instances.

Disable, migrate live one by one and wait, upgrade and reboot over ssh, wait, enable.  Each command
is a process of the ``openstack`` client or of ssh; it looks again every second.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import byhand
from tests.bench.errors import BenchError
from tests.lab import hosts
from tests.lab.settings import Settings

LOOK_AGAIN_S = 1.0
DEADLINE_S = 300.0
INSTALL = (
    "printf '%s\\n' '{source}' > /etc/apt/sources.list.d/lab-new.list"
    " && apt-get -qq update"
    " && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install lab-kernel=2.0 lab-agent=2.0"
    " && apt-get -qq -y remove lab-legacy"
    " && sed -i 's|^vhost_sock_dir.*|vhost_sock_dir = /new|; s|^group.*|group = kvm|'"
    " /etc/lab/agent.conf"
)


@dataclass
class Script:
    """Somebody's script; ``at_most`` seconds for any wait."""

    program: Path
    settings: Settings

    def upgrade(self, names: Sequence[str]) -> None:
        """Upgrade hosts, one after the other; the last one named is the first, for it is empty."""
        for host in (names[-1], *names[:-1]):
            self._one(host)

    def _one(self, host: str) -> None:
        self._type("compute", "service", "set", "--disable", host, "nova-compute")
        for server in self._on(host):
            self._type("server", "migrate", "--live-migration", server)
            self._until(
                f"{server} has moved",
                lambda server=server: self._moved(server, host),  # type: ignore[misc]
            )
        before = hosts.boot_id(host)
        hosts.ssh(host, INSTALL.format(source=hosts.source("new")), timeout=120)
        hosts.ssh(host, "systemctl reboot")
        self._until(f"{host} is back", lambda: self._back(host, before))
        self._until(f"nova-compute of {host} is up", lambda: self._heard(host))
        self._type("compute", "service", "set", "--enable", host, "nova-compute")

    def _on(self, host: str) -> list[str]:
        words = ("server", "list", "--all-projects", "--host", host, "-f", "value", "-c", "ID")
        return self._type(*words).split()

    def _moved(self, server: str, host: str) -> bool:
        columns = ("-c", "OS-EXT-SRV-ATTR:host", "-c", "status")
        said = self._type("server", "show", server, "-f", "value", *columns).split()
        if "ERROR" in said:
            raise BenchError(f"the script: {server} is in ERROR")
        return host not in said and "ACTIVE" in said

    def _back(self, host: str, before: str) -> bool:
        read = "cat /proc/sys/kernel/random/boot_id"
        done = hosts.ssh(host, read, check=False)
        return done.returncode == 0 and done.stdout.strip() != before

    def _heard(self, host: str) -> bool:
        """Whether nova-compute runs on the host: what Nova says lags by a minute."""
        return hosts.ssh(host, "systemctl is-active nova-compute", check=False).returncode == 0

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > end:
                raise BenchError(f"the script: waited {DEADLINE_S:g} s until {what}")
            time.sleep(LOOK_AGAIN_S)

    def _type(self, *words: str) -> str:
        done = subprocess.run(
            [self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=byhand.environment(self.settings, "lab-admin"),
            timeout=DEADLINE_S,
        )
        if done.returncode:
            raise BenchError(f"the script: openstack {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()
