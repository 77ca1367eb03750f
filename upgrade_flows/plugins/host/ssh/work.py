"""What the steps do on a host: look closely, write files, change packages, restart services."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.host import scripts
from upgrade_flows.plugins.host.lines import LONGEST_FILE
from upgrade_flows.plugins.host.ssh import managers
from upgrade_flows.plugins.host.ssh.connection import Machine
from upgrade_flows.plugins.host.ssh.listing import Listing, pack, unpack
from upgrade_flows.plugins.host.wanted import Wanted
from upgrade_flows.steps.vault import Vault

LOOK_S = 120.0


@dataclass(frozen=True)
class Observation:
    """What a host had at one moment, of what is to be changed.

    :param files: content by path; None where there is no such file.
    :param services: state by name: ``active``, ``inactive``, ``failed``, ``absent``...
    """

    manager: str = ""
    packages: Listing = field(default_factory=Listing, repr=False)
    files: dict[str, bytes | None] = field(default_factory=dict, repr=False)
    services: dict[str, str] = field(default_factory=dict)

    def sealed(self, vault: Vault) -> dict[str, Any]:
        """Return it as plain JSON, the contents of files sealed."""
        return {
            "manager": self.manager,
            "packages": self.packages.packed(),
            "files": {
                path: None if content is None else vault.seal(pack(content))
                for path, content in self.files.items()
            },
            "services": self.services,
        }

    @classmethod
    def opened(cls, vault: Vault, sealed: dict[str, Any]) -> Observation:
        """Make one of what ``sealed`` returned.

        :raises JournalError: the vault is another one.
        """
        texts = {path: vault.open(text) for path, text in sealed["files"].items()}
        return cls(
            sealed["manager"],
            Listing.unpacked(sealed["packages"]),
            {path: None if text is None else unpack(text) for path, text in texts.items()},
            sealed["services"],
        )


def observe(
    machine: Machine,
    manager: str | None = None,
    paths: Sequence[str] = (),
    services: Sequence[str] = (),
    packages: bool = False,
) -> Observation:
    """Look closely at some things of a host; ``manager``: ``""`` finds out, None does not ask.

    :raises HostError: also if a file is too large to be kept.
    """
    arguments = [] if manager is None else [f"m={manager}"]
    arguments += ["l="] if packages else []
    arguments += [f"f={path}" for path in paths] + [f"v={name}" for name in services]
    script = scripts.script("observe", arguments)
    rows = scripts.lines(machine.host, machine.run("looking closely", script, LOOK_S))
    said_manager = ""
    files: dict[str, bytes | None] = dict.fromkeys(paths)
    states: dict[str, str] = {}
    for key, *parts in rows:
        if key == "manager":
            said_manager = parts[0]
        elif key == "file":
            files[parts[0]] = base64.b64decode(parts[1])
        elif key == "large":
            raise HostError(
                f"{machine.host}: {parts[0]} has {parts[1]} bytes; {LONGEST_FILE} are the most"
            )
        elif key == "service":
            states[parts[0]] = parts[1]
    if manager is not None and not said_manager:
        raise HostError(f"{machine.host}: has neither apt-get nor dnf")
    return Observation(said_manager, Listing.of(rows), files, states)


def listing(machine: Machine, manager: str) -> Listing:
    """Return the packages that a host has now."""
    return observe(machine, manager, packages=True).packages


def finished(machine: Machine, manager: str) -> Listing:
    """Return the packages that a host has now; one that is half installed is finished first."""
    now = listing(machine, manager)
    if now.half:
        perform(machine, managers.finish(manager))
        now = listing(machine, manager)
    return now


def perform(machine: Machine, commands: managers.Commands) -> None:
    """Run commands, one after the other."""
    for words in commands:
        machine.run(shlex.join(words)[:300], scripts.script("run", words))


def write(machine: Machine, path: str, content: bytes | None) -> None:
    """Give a file its content in one go; None deletes it."""
    if content is None:
        machine.run(f"deleting {path}", scripts.script("delete", [path]), LOOK_S)
    else:
        machine.run(f"writing {path}", scripts.script("write", [path], content), LOOK_S)


def restart(machine: Machine, services: Sequence[str]) -> None:
    """Restart services, in their order."""
    if services:
        machine.run(f"restarting {', '.join(services)}", scripts.script("restart", services))


def stop(machine: Machine, services: Sequence[str]) -> None:
    """Stop services, in their order."""
    if services:
        machine.run(f"stopping {', '.join(services)}", scripts.script("stop", services))


def restore_source(machine: Machine, wanted: Wanted, then: Observation) -> None:
    """Put the package source back that was there before, and read the sources again."""
    if wanted.source is None:
        return
    path = wanted.source.path(then.manager)
    if observe(machine, paths=[path]).files[path] != then.files[path]:
        write(machine, path, then.files[path])
        perform(machine, managers.update(then.manager, strict=False))


def restore_packages(
    machine: Machine, wanted: Wanted, then: Observation, changed: Sequence[str] | None
) -> None:
    """Bring packages back to their versions of before.

    :param changed: those that were changed; None where that is not known: whatever differs.
    :raises HostError: a version cannot be had any more.
    """
    now, before = listing(machine, then.manager), then.packages
    if changed is not None:
        names = {*changed, *wanted.packages, *wanted.remove}
        now, before = now.restricted(names), before.restricted(names)
    if now == before:
        return
    if now.installed != before.installed:
        restore_source(machine, wanted, then)
    perform(machine, managers.back(then.manager, now, before))
    now = listing(machine, then.manager)
    perform(machine, managers.marks(then.manager, now, before))
    left = {name for name, _ in before.installed - now.installed} | now.half
    if left:
        raise HostError(f"{machine.host}: not back at their versions: {', '.join(sorted(left))}")


def restore_file(machine: Machine, path: str, content: bytes | None, ours: bytes) -> None:
    """Bring a file back to its content of before.

    :param ours: what it holds if nobody else has changed it.
    :raises HostError: somebody has changed it since.
    """
    now = observe(machine, paths=[path]).files[path]
    if now == content:
        return
    if now != ours:
        raise HostError(f"{machine.host}: {path} was changed by somebody else since; left alone")
    write(machine, path, content)


def restore_services(machine: Machine, then: dict[str, str]) -> None:
    """Restart the services that ran before, and stop those that did not (states by name)."""
    now = observe(machine, services=list(then)).services
    restart(machine, [name for name, state in then.items() if state == "active"])
    idle = [name for name, state in then.items() if state in ("inactive", "failed")]
    stop(machine, [name for name in idle if now[name] == "active"])
