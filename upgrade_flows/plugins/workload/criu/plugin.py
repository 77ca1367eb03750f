"""The workload plugin ``criu``: the processes move, with their memory and their connections."""

from __future__ import annotations

from typing import Any

from upgrade_flows.errors import StepFailed
from upgrade_flows.plugins.base import Guest, WorkloadPlugin
from upgrade_flows.plugins.guest import SURROGATE
from upgrade_flows.plugins.workload import commands, hostkeys
from upgrade_flows.plugins.workload.criu import looking, refusals, work
from upgrade_flows.plugins.workload.criu.settings import CriuSettings, read
from upgrade_flows.plugins.workload.criu.work import Moved
from upgrade_flows.plugins.workload.shell import Shell


class Criu(WorkloadPlugin):
    """A tree of processes is written down in the original and goes on in the surrogate.

    Its files lie on a data volume that is carried, its connections are on an address that is
    carried.  What criu cannot carry is refused before anything is touched; where the dump or
    the restore fails even so, the processes go on in the original.
    """

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        return "hot"

    def needs_ssh(self, settings: dict[str, Any]) -> bool:
        return True

    def updates(self, settings: dict[str, Any]) -> bool:
        return bool(read(settings).update)

    def resume_waits(self, settings: dict[str, Any]) -> bool:
        return True

    def refusals(self, guest: Guest, settings: dict[str, Any]) -> list[str]:
        understood = read(settings)
        shell = Shell(guest, understood.ssh)
        if guest.role == SURROGATE:
            return refusals.of_guest(guest, understood, looking.look(shell, understood))
        return work.found(shell, understood)[0]

    def run(self, guest: Guest, settings: dict[str, Any], command: str, timeout_s: float) -> str:
        return commands.run(Shell(guest, read(settings).ssh), "probing", command, timeout_s)

    def update(self, guest: Guest, settings: dict[str, Any], device: str) -> None:
        understood = read(settings)
        if not understood.update:
            raise StepFailed(f"{guest}: the settings have no command that updates a boot disk")
        shell, limit_s = Shell(guest, understood.ssh), understood.limits["update"]
        commands.run(shell, "update", understood.update, limit_s, boot_disk=device)

    def ready(self, guest: Guest, settings: dict[str, Any]) -> None:
        understood = read(settings)
        shell = Shell(guest, understood.ssh)
        shell.reach(understood.limits["reach"])
        _refuse(refusals.of_guest(guest, understood, looking.look(shell, understood)))

    def prepare(
        self, original: Guest, surrogate: Guest, settings: dict[str, Any]
    ) -> dict[str, Any]:
        understood = read(settings)
        here, there = Shell(original, understood.ssh), Shell(surrogate, understood.ssh)
        said, seen, tree = work.found(here, understood)
        _refuse(said)
        if tree is None:
            raise StepFailed(f"{original}: its processes were not found")
        work.fits(here, there, understood, tree)
        moved = work.moved(original, understood, seen, tree)
        work.run(here, understood, "prepare", moved, "prepare")
        work.run(there, understood, "await", moved, "prepare", work.interfaces(surrogate))
        return {**hostkeys.noted(original, surrogate), **moved.noted()}

    def quiesce(
        self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any]:
        shell, understood, moved = self._known(original, settings, notes)
        if moved is None:
            raise StepFailed(f"{original}: nothing was prepared")
        work.run(shell, understood, "cut", moved, "quiesce", work.interfaces(original))
        return {}

    def resume(self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        shell, understood, moved = self._known(surrogate, settings, notes)
        if moved is None:
            raise StepFailed(f"{surrogate}: nothing was prepared")
        work.run(shell, understood, "resume", moved, "resume", work.interfaces(surrogate, "n="))

    def withdraw(
        self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any] | None:
        shell, understood, moved = self._known(surrogate, settings, notes)
        if moved is not None:
            work.run(shell, understood, "withdraw", moved, "withdraw")
        return None

    def restore(self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        shell, understood, moved = self._known(original, settings, notes)
        if moved is None:
            return
        shell.reach(understood.limits["reach"])
        arguments = work.interfaces(original, "n=")
        said = work.run(shell, understood, "restore", moved, "restore", arguments)
        if work.became(original, said) != work.STALE:
            return
        if not understood.start:
            raise StepFailed(
                f"{original}: its processes went on in the surrogate and were not brought back;"
                " what is left of them is older than the data: start the workload anew"
            )
        commands.run(shell, "restore", understood.start, understood.limits["restore"])

    def _known(
        self, guest: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> tuple[Shell, CriuSettings, Moved | None]:
        hostkeys.remember(notes)
        understood = read(settings)
        return Shell(guest, understood.ssh), understood, Moved.of(notes)


def _refuse(said: list[str]) -> None:
    if said:
        raise StepFailed("; ".join(said))
