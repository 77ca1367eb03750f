"""The published recipe, typed by an operator: stop, snapshot, delete, create.

Each command is a process of the ``openstack`` client, which is what "by hand" costs.  The recipe
leaves it to its reader to wait until a command has had its effect; the waits here are those of a
shell loop that looks again every second, and no time is taken for reading or typing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.errors import BenchError
from tests.lab import seed
from tests.lab.settings import Settings

LOOK_AGAIN_S = 1.0
DEADLINE_S = 300.0


@dataclass(frozen=True)
class Subject:
    """The instance that is re-created, and what the operator knows about it.

    :param port_id: the port that it keeps; "": it gets another one in its network.
    :param volume_id: the volume that it keeps; "": none.
    """

    name: str
    host: str
    flavor: str
    network_id: str
    key: str = seed.KEYPAIR
    port_id: str = ""
    volume_id: str = ""

    def words(self) -> list[str]:
        """Return the options that make it again."""
        nic = f"port-id={self.port_id}" if self.port_id else f"net-id={self.network_id}"
        words = ["--flavor", self.flavor, "--nic", nic, "--key-name", self.key]
        if self.volume_id:
            # attached while it boots: a service with its data is up as soon as it can be
            disk = f"uuid={self.volume_id},source_type=volume,destination_type=volume"
            words += ["--use-config-drive", "--block-device", disk]
        return [*words, "--host", self.host]


@dataclass
class Operator:
    """Somebody with a shell; ``steps`` are the commands typed and the seconds each took."""

    program: Path
    settings: Settings
    cloud: str = "lab-demo"
    steps: list[tuple[str, float]] = field(default_factory=list)

    def recreate(self, subject: Subject) -> None:
        """Follow the recipe; the new instance gets the name of the old one."""
        name, snapshot = subject.name, f"{subject.name}-snapshot"
        self._type("server", "stop", name)
        self._until(
            lambda said: said == "SHUTOFF",
            *("server", "show", "-f", "value", "-c", "status", name),
        )
        self._type("server", "image", "create", "--name", snapshot, name)
        self._until(
            lambda said: f"{snapshot} active" in said.splitlines(),
            *("image", "list", "-f", "value", "-c", "Name", "-c", "Status"),
        )
        self._type("server", "delete", "--wait", name)
        # "disable the nova services on other nodes or other means of controlling the scheduler"
        here = ("--os-compute-api-version", "2.74")
        words = ("--image", snapshot, *subject.words(), "--wait", name)
        self._type(*here, "server", "create", *words)

    def _until(self, good: Callable[[str], bool], *words: str) -> None:
        """Type a command again and again until it says what is waited for."""
        end = time.monotonic() + DEADLINE_S
        while not good(self._type(*words)):
            if time.monotonic() > end:
                raise BenchError(f"by hand: openstack {' '.join(words)}: waited {DEADLINE_S:g} s")
            time.sleep(LOOK_AGAIN_S)

    def _type(self, *words: str) -> str:
        start = time.monotonic()
        done = subprocess.run(
            [self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(self.settings, self.cloud),
            timeout=DEADLINE_S,
        )
        said = " ".join(words)
        if done.returncode:
            raise BenchError(f"by hand: openstack {said}: {done.stderr.strip()}")
        self.steps.append((_action(words), time.monotonic() - start))
        return done.stdout.strip()


def _action(words: tuple[str, ...]) -> str:
    """Return what a command does, without its options and names."""
    start = words.index("server") if "server" in words else 0
    return " ".join(words[start : start + 2])


def environment(settings: Settings, cloud: str) -> dict[str, str]:
    """Return the environment of a shell that talks to the lab."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {**kept, "OS_CLIENT_CONFIG_FILE": str(settings.clouds_yaml), "OS_CLOUD": cloud}
