"""The settings of the plugin ``hooks``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.plugins.reading import Reader
from upgrade_flows.plugins.workload import shell
from upgrade_flows.plugins.workload.shell import SshSettings

#: seconds for the command of each phase, and for a guest to take commands at all
LIMITS: dict[str, float] = {
    "reach": 300.0,
    "check": 60.0,
    "update": 3600.0,
    "ready": 300.0,
    "prepare": 600.0,
    "quiesce": 60.0,
    "mount": 60.0,
    "resume": 60.0,
    "withdraw": 60.0,
    "restore": 60.0,
}

PHASES = tuple(phase for phase in LIMITS if phase != "reach")

#: phases whose command is that of another one, where they have none
SAME = {"withdraw": "quiesce", "restore": "resume"}

LONGEST = 100_000


@dataclass(frozen=True)
class HookSettings:
    """The commands, by phase, and how they reach the guests.

    :param network: whether interfaces are brought up when they come to a guest.
    """

    ssh: SshSettings
    commands: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=lambda: dict(LIMITS))
    network: bool = True

    def command(self, phase: str) -> str:
        """Return the command of a phase; "" where nothing is to be done."""
        return self.commands.get(phase, self.commands.get(SAME.get(phase, ""), ""))

    def asks(self, phase: str) -> bool:
        """Whether there is something to be done in a phase of the cut-over."""
        return self.network or bool(self.command(phase))


def read(settings: dict[str, Any]) -> HookSettings:
    """Understand settings.

    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the workload plugin hooks", settings, ("ssh", "network", "timeout_s", *PHASES))
    found = HookSettings(
        ssh=shell.read(reader),
        commands={phase: command(reader, phase) for phase in PHASES if reader.has(phase)},
        limits=limits(reader, LIMITS),
        network=reader.flag("network", True),
    )
    reader.finish()
    return found


def command(reader: Reader, key: str) -> str:
    """Return a command: a text for ``sh -c``, of any number of lines."""
    value = reader.any(key, "")
    if not isinstance(value, str) or "\0" in value or len(value) > LONGEST:
        reader.complain(f"{key}: a command is wanted, as one text")
        return ""
    return value.strip()


def limits(reader: Reader, defaults: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each phase."""
    inner = reader.inner("timeout_s", reader.table("timeout_s"), defaults)
    return {phase: inner.seconds(phase, default) for phase, default in defaults.items()}
