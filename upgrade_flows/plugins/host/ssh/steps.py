"""The steps of an upgrade by ssh."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.host import lines
from upgrade_flows.plugins.host.ssh import managers, work
from upgrade_flows.plugins.host.ssh.connection import Machine
from upgrade_flows.plugins.host.ssh.listing import changed
from upgrade_flows.plugins.host.ssh.settings import SshSettings
from upgrade_flows.plugins.host.ssh.work import Observation
from upgrade_flows.plugins.host.wanted import LATEST, is_version
from upgrade_flows.steps.base import Context, Step, undo


@dataclass(frozen=True)
class Record:
    """What ``ObserveHostPackages`` recorded; not shown in what an undo leaves behind."""

    ssh_before: dict[str, Any] = field(repr=False)


class HostStep(Step):
    """A step on one host, which is its subject."""

    def __init__(self, ctx: Context, subject: str, settings: SshSettings) -> None:
        super().__init__(ctx, subject)
        self.settings = settings
        self.wanted = settings.wanted
        self.machine = Machine(subject, settings)

    def opened(self, record: Record) -> Observation:
        """Return what was observed before anything was changed."""
        return Observation.opened(self.ctx.vault, record.ssh_before)


class ObserveHostPackages(HostStep):
    """Record all that the upgrade may change, before anything is changed.

    Provides ``ssh_before``: the package manager, all packages with their versions, the files
    that will be written (sealed) and the states of the services.  Changes nothing, so there is
    nothing to revert.
    """

    default_provides = "ssh_before"

    def execute(self, facts: dict[str, Any]) -> dict[str, Any]:
        paths = self.wanted.paths()
        manager = None
        if self.wanted.touches_packages:
            manager = self.wanted.manager or facts.get("manager") or ""
            if not manager:
                manager = work.observe(self.machine, "").manager
        if self.wanted.source and manager:
            paths.append(self.wanted.source.path(manager))
        return work.observe(
            self.machine, manager, paths, self.settings.services, packages=manager is not None
        ).sealed(self.ctx.vault)


class RestoreServices(HostStep):
    """Stand at the begin of the flow so that services take what was undone: do nothing now.

    Reverted, after all else is, by restarting the services that ran before and stopping those
    that did not.
    """

    def execute(self, ssh_before: dict[str, Any]) -> None:
        return None

    def revert(self, ssh_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self.restore_services, ssh_before["services"])

    def restore_services(self, services: dict[str, str]) -> None:
        """Restart those that ran, stop those that did not."""
        if services:
            work.restore_services(self.machine, services)


class WritePackageSource(HostStep):
    """Put a package source in place, for good.

    Reverted by putting back the file that was there, or deleting it if there was none.
    """

    def execute(self, ssh_before: dict[str, Any]) -> None:
        source = self.wanted.source
        if source is None:
            return
        path = source.path(ssh_before["manager"])
        if work.observe(self.machine, paths=[path]).files[path] != source.content:
            work.write(self.machine, path, source.content)

    def revert(self, ssh_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self.restore_source, Record(ssh_before))

    def restore_source(self, record: Record) -> None:
        """Put the file back."""
        work.restore_source(self.machine, self.wanted, self.opened(record))


class InstallPackages(HostStep):
    """Install and remove packages, in one go where the package manager can.

    Provides ``changed_packages``: what changed, by name, as versions before and after.  Reverted by
    putting the package source back, and all changed packages to their versions of before; what
    was not there is removed again.
    """

    default_provides = "changed_packages"

    def execute(self, ssh_before: dict[str, Any]) -> dict[str, list[str]]:
        then = self.opened(Record(ssh_before))
        if not then.manager:
            return {}
        now = work.finished(self.machine, then.manager)
        change = managers.change(self.wanted, then.manager, now)
        if change:
            work.perform(self.machine, managers.update(then.manager))
            work.perform(self.machine, managers.commands(then.manager, change))
            now = work.listing(self.machine, then.manager)
        for name, version in self.wanted.packages.items():
            has = now.versions(name)
            exact = version not in ("", LATEST)
            if not has or (exact and not is_version(has, version, then.manager)):
                raise HostError(
                    f"{self.subject}: package {name} is {has or 'not installed'} after the"
                    f" installation, {version or 'any version'} is wanted"
                )
        return changed(then.packages, now)

    def revert(
        self, ssh_before: dict[str, Any], result: Any = None, **_: object
    ) -> dict[str, Any] | None:
        known = sorted(result) if isinstance(result, dict) else None
        return undo(self, self.restore_packages, Record(ssh_before), known)

    def restore_packages(self, record: Record, changed: list[str] | None) -> None:
        """Bring the packages that were changed (None: whatever differs) back."""
        then = self.opened(record)
        if then.manager and changed != []:
            work.restore_packages(self.machine, self.wanted, then, changed)


class WriteConfigurationLines(HostStep):
    """Put lines into configuration files, each file in one go; mode and owner stay.

    Provides ``changed_files``: the paths of those that were changed.  Reverted by putting back what
    each file held, or deleting it if it was not there; a file that somebody else has changed
    since is left alone and reported.
    """

    default_provides = "changed_files"

    def execute(self, ssh_before: dict[str, Any]) -> list[str]:
        paths = self.wanted.paths()
        if not paths:
            return []
        then = self.opened(Record(ssh_before))
        now = work.observe(self.machine, paths=paths).files
        for path in paths:
            content = self._with_lines(path, now[path])
            if content != now[path]:
                work.write(self.machine, path, content)
        return [path for path in paths if self._with_lines(path, now[path]) != then.files[path]]

    def revert(self, ssh_before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        left = [
            undo(self, self.restore_file, path, Record(ssh_before)) for path in self.wanted.paths()
        ]
        found = [item["residue"] for item in left if item]
        return {"residue": found} if found else None

    def restore_file(self, path: str, record: Record) -> None:
        """Put back what a file held."""
        content = self.opened(record).files[path]
        work.restore_file(self.machine, path, content, self._with_lines(path, content))

    def _with_lines(self, path: str, content: bytes | None) -> bytes:
        return lines.put(content, [line for line in self.wanted.lines if line.path == path])


class RestartServices(HostStep):
    """Restart services, if a package or a line has changed.

    Reverted by ``RestoreServices``, when what they run with is as it was before.
    """

    def execute(self, changed_packages: dict[str, list[str]], changed_files: list[str]) -> None:
        if changed_packages or changed_files:
            work.restart(self.machine, self.settings.services)
