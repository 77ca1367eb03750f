"""The workload plugin ``stateless``: what the surrogate starts at its boot is all there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upgrade_flows.errors import StepFailed
from upgrade_flows.plugins.base import Guest, WorkloadPlugin
from upgrade_flows.plugins.reading import Reader
from upgrade_flows.plugins.workload import commands, shell
from upgrade_flows.plugins.workload.shell import Shell, SshSettings


@dataclass(frozen=True)
class StatelessSettings:
    """What there is to be said of a workload without state.

    :param reboot: whether guests are booted anew when volumes and interfaces have come to them.
    :param ssh: for probes that run a command; None: there can be none.
    """

    reboot: bool = True
    ssh: SshSettings | None = None


def read(settings: dict[str, Any]) -> StatelessSettings:
    """Understand settings.

    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the workload plugin stateless", settings, ("reboot", "ssh"))
    found = StatelessSettings(
        reader.flag("reboot", True), shell.read(reader) if reader.has("ssh") else None
    )
    reader.finish()
    return found


class Stateless(WorkloadPlugin):
    """The guests are neither asked nor told anything; volumes and interfaces are carried.

    An original with data volumes is stopped first, for a guest that has stopped has written
    all that it had to write.
    """

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        return "cold" if has_data_volumes else "hot"

    def reboots(self, settings: dict[str, Any]) -> bool:
        return read(settings).reboot

    def refusals(self, guest: Guest, settings: dict[str, Any]) -> list[str]:
        return []

    def run(self, guest: Guest, settings: dict[str, Any], command: str, timeout_s: float) -> str:
        ssh = read(settings).ssh
        if ssh is None:
            raise StepFailed(f"{guest}: the settings of its workload have no ssh for probes")
        return commands.run(Shell(guest, ssh), "probing", command, timeout_s)

    def quiesce(
        self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any]:
        return {}

    def resume(self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        return

    def withdraw(
        self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any] | None:
        return None

    def restore(self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        return
