"""The workload plugin ``hooks``: the operator's own commands, by ssh, in each phase."""

from __future__ import annotations

from typing import Any

from upgrade_flows.errors import HostError, HostUnreachable, StepFailed
from upgrade_flows.plugins.base import Guest, WorkloadPlugin
from upgrade_flows.plugins.workload import commands, hostkeys
from upgrade_flows.plugins.workload.hooks.settings import HookSettings, read
from upgrade_flows.plugins.workload.shell import Shell


class Hooks(WorkloadPlugin):
    """Each phase runs one command in one of the guests (``prepare``: in both).

    Interfaces that come to a running guest are brought up by us, unless the settings say
    otherwise; volumes are waited for, and mounted by the commands: by ``mount`` as soon as they
    are there, or by ``resume`` when everything is.
    """

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        return "hot" if not has_data_volumes or read(settings).command("quiesce") else "cold"

    def needs_ssh(self, settings: dict[str, Any]) -> bool:
        return True

    def updates(self, settings: dict[str, Any]) -> bool:
        return bool(read(settings).command("update"))

    def resume_waits(self, settings: dict[str, Any]) -> bool:
        return True

    def refusals(self, guest: Guest, settings: dict[str, Any]) -> list[str]:
        understood = read(settings)
        try:
            self._do(guest, understood, "check")
        except HostUnreachable:
            raise
        except HostError as exc:
            return [str(exc)]
        return []

    def run(self, guest: Guest, settings: dict[str, Any], command: str, timeout_s: float) -> str:
        return commands.run(_shell(guest, read(settings)), "probing", command, timeout_s)

    def update(self, guest: Guest, settings: dict[str, Any], device: str) -> None:
        understood = read(settings)
        if not understood.command("update"):
            raise StepFailed(f"{guest}: the settings have no command that updates a boot disk")
        self._do(guest, understood, "update", boot_disk=device)

    def ready(self, guest: Guest, settings: dict[str, Any]) -> None:
        understood = read(settings)
        _shell(guest, understood).reach(understood.limits["reach"])
        self._do(guest, understood, "ready")

    def prepare(
        self, original: Guest, surrogate: Guest, settings: dict[str, Any]
    ) -> dict[str, Any]:
        understood = read(settings)
        if understood.asks("quiesce"):
            # to log in takes longer than most commands: not while nobody serves
            _shell(original, understood).reach(understood.limits["reach"])
        self._do(original, understood, "prepare")
        self._do(surrogate, understood, "prepare", commands.WATCH)
        return hostkeys.noted(original, surrogate)

    def quiesce(
        self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any]:
        hostkeys.remember(notes)
        self._do(original, read(settings), "quiesce", commands.WATCH)
        return {}

    def resume(self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        hostkeys.remember(notes)
        self._mount(surrogate, read(settings))
        self._do(surrogate, read(settings), "resume", commands.COME)

    def withdraw(
        self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any] | None:
        hostkeys.remember(notes)
        self._do(surrogate, read(settings), "withdraw", commands.STAY)
        return None

    def restore(self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        hostkeys.remember(notes)
        understood = read(settings)
        if understood.asks("restore"):
            _shell(original, understood).reach(understood.limits["reach"])
        self._mount(original, understood)
        self._do(original, understood, "restore", commands.COME)

    def _mount(self, guest: Guest, settings: HookSettings) -> None:
        """Do what can be done with the volumes alone: interfaces often come later."""
        if guest.volumes and settings.command("mount"):
            self._do(guest, settings, "mount", commands.VOLUMES)

    def _do(
        self,
        guest: Guest,
        settings: HookSettings,
        phase: str,
        task: str = commands.NOTHING,
        boot_disk: str = "",
    ) -> None:
        """Run the command of a phase; nobody is asked where there is nothing to do."""
        command = settings.command(phase)
        if command or (task != commands.NOTHING and settings.network):
            commands.run(
                _shell(guest, settings),
                phase,
                command,
                settings.limits[phase],
                task=task,
                network=settings.network,
                boot_disk=boot_disk,
            )


def _shell(guest: Guest, settings: HookSettings) -> Shell:
    return Shell(guest, settings.ssh)
