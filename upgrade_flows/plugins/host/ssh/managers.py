"""The commands of the package managers."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.plugins.host.ssh.listing import Listing
from upgrade_flows.plugins.host.wanted import LATEST, Wanted, is_version

APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
INSTALL = (
    *APT,
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
    *("--allow-downgrades", "install", "--"),
)

Commands = list[list[str]]


@dataclass(frozen=True)
class Change:
    """What has to be installed (pairs of name and version, ``""``: the latest) and removed."""

    install: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.install or self.remove)


def change(wanted: Wanted, manager: str, now: Listing) -> Change:
    """Return what is to be done about the packages of a host."""
    install = []
    for name, version in wanted.packages.items():
        has = now.versions(name)
        if version == LATEST or not has:
            install.append((name, "" if version == LATEST else version))
        elif version and not is_version(has, version, manager):
            install.append((name, version))
    return Change(tuple(install), tuple(name for name in wanted.remove if now.versions(name)))


def commands(manager: str, change: Change) -> Commands:
    """Return the commands that make a change."""
    return _apt(change) if manager == "apt" else _dnf(change)


def update(manager: str, strict: bool = True) -> Commands:
    """Return the commands that read the package sources; ``strict``: each of them must answer."""
    if manager != "apt":
        return []
    return [[*APT, *(("-o", "APT::Update::Error-Mode=any") if strict else ()), "update"]]


def finish(manager: str) -> Commands:
    """Return the commands that finish what was interrupted."""
    return [[*INSTALL[:-1], "--fix-broken"]] if manager == "apt" else []


def back(manager: str, now: Listing, then: Listing) -> Commands:
    """Return the commands that bring the packages of ``now`` to the versions of ``then``."""
    gone = sorted(then.installed - now.installed)
    names = {name for name, _ in gone}
    added = [(name, version) for name, version in sorted(now.installed - then.installed)]
    if manager == "apt":
        there = {name for name, _ in added} | now.half
        extra = sorted(there - names)
        done = _apt(Change(tuple(gone), tuple(extra)))
        purge = [name for name in extra if name not in then.configured]
        return done + ([["dpkg", "--purge", *purge]] if purge else [])
    several = {name for name, _ in then.installed & now.installed}
    extra = [
        f"{name}-{version}" if name in several else name
        for name, version in added
        if name not in names
    ]
    return _dnf(Change(tuple(gone), tuple(extra)))


def marks(manager: str, now: Listing, then: Listing) -> Commands:
    """Return the commands that mark packages as needed by others only, as they were before."""
    there = {name for name, _ in now.installed & then.installed}
    lost = sorted((then.automatic - now.automatic) & there)
    return [["apt-mark", "auto", *lost]] if lost and manager == "apt" else []


def _apt(change: Change) -> Commands:
    words = [f"{name}={version}" if version else name for name, version in change.install]
    words += [f"{name}-" for name in change.remove]
    return [[*INSTALL, *words]] if words else []


def _dnf(change: Change) -> Commands:
    done: Commands = []
    specs = [f"{name}-{version}" if version else name for name, version in change.install]
    latest = [name for name, version in change.install if not version]
    if specs:
        done.append(["dnf", "-q", "-y", "--allowerasing", "install", *specs])
    if latest:
        done.append(["dnf", "-q", "-y", "upgrade", *latest])
    if change.remove:
        done.append(["dnf", "-q", "-y", "remove", *change.remove])
    return done
