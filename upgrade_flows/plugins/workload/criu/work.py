"""What is done inside guests to take processes out of one and to run them in another."""

from __future__ import annotations

import base64
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from upgrade_flows.errors import HostError, StepFailed
from upgrade_flows.plugins.guest import ORIGINAL, Guest
from upgrade_flows.plugins.workload import commands, scripts
from upgrade_flows.plugins.workload.criu import looking, refusals
from upgrade_flows.plugins.workload.criu.looking import Seen, Tree
from upgrade_flows.plugins.workload.criu.settings import CriuSettings
from upgrade_flows.plugins.workload.shell import Shell

#: the key of what is noted
NOTE = "criu"

#: what was found of the processes of the original (criu_restore.sh)
STALE = "stale"


@dataclass(frozen=True)
class Moved:
    """What was found out beforehand of that which moves; noted as plain JSON.

    :param pid: of the tree's root in the original, and when it ``start``-ed there.
    :param mounts: lists of the volume's first 20 characters, folder, kind and options.
    """

    pid: int
    start: int
    mounts: list[list[str]]

    def noted(self) -> dict[str, Any]:
        """Return it as notes."""
        return {NOTE: asdict(self)}

    @classmethod
    def of(cls, notes: dict[str, Any]) -> Moved | None:
        """Return what is noted; None where nothing was prepared."""
        return cls(**notes[NOTE]) if NOTE in notes else None


def found(shell: Shell, settings: CriuSettings) -> tuple[list[str], Seen, Tree | None]:
    """Look at the original; return what stands in the way, and what there is."""
    guest, seen = shell.guest, looking.look(shell, settings)
    roots = looking.roots(settings, seen)
    said = [
        *refusals.of_guest(guest, settings, seen),
        *refusals.of_volumes(guest, settings, seen),
        *refusals.of_root(guest, settings, list(roots)),
    ]
    if len(roots) != 1:
        return said, seen, None
    tree = looking.look_closely(shell, settings, seen, roots[0])
    return [*said, *refusals.of_tree(guest, settings, seen, tree)], seen, tree


def moved(guest: Guest, settings: CriuSettings, seen: Seen, tree: Tree) -> Moved:
    """Return what is to be noted of what was found."""
    mounts = []
    for index, point in sorted(settings.mounts.items(), key=lambda pair: pair[1]):
        mounted = seen.mount_at(point)
        if mounted is None:
            raise StepFailed(f"{guest}: nothing is mounted at {point} any more")
        mounts.append([guest.volumes[index][:20], point, mounted.kind, mounted.options])
    return Moved(tree.root.pid, tree.root.start, mounts)


def fits(original: Shell, surrogate: Shell, settings: CriuSettings, tree: Tree) -> None:
    """Make sure that the surrogate has all that the processes need besides their volumes.

    :raises StepFailed: it has not; says everything.
    """
    paths = sorted(_needed(settings, tree))
    content = "".join(f"{path}\n" for path in paths).encode()
    wanted = _rows(original, settings, "criu_sums", content=content)
    pids = [] if tree.own_pids else [str(pid) for pid in tree.threads]
    have = _rows(surrogate, settings, "criu_sums", arguments=pids, content=content)
    said = [
        f"its process {row[1]} ({row[2]}) has an id of ours" for row in have if row[0] == "busy"
    ]
    there = {row[1]: row[2] for row in have if row[0] == "file"}
    for key, path, *rest in wanted:
        if key == "file" and there.get(path) != rest[0]:
            what = "is not there" if there.get(path, "absent") == "absent" else "is another one"
            said.append(f"{path}, which the processes use, {what}: put it on a carried volume")
    try:
        _same_processor(original, surrogate, settings)
    except StepFailed as exc:
        said.append(str(exc))
    if said:
        raise StepFailed(f"{surrogate.guest}: {'; '.join(said)}")


def run(
    shell: Shell,
    settings: CriuSettings,
    what: str,
    notes: Moved,
    limit: str,
    arguments: list[str] | None = None,
) -> str:
    """Run one of the scripts ``criu_...`` in a guest, and return what it said.

    :param limit: the phase whose time it may take.
    """
    guest, limit_s = shell.guest, settings.limits[limit]
    said = {
        "mark": notes.mounts[0][0],
        "role": "original" if guest.role == ORIGINAL else "surrogate",
        "pid": notes.pid,
        "start": notes.start,
        "addresses": " ".join(one for nic in guest.nics for one in nic.addresses),
        "port": settings.ssh.port,
        "images": settings.images,
        "mounts": " ".join("|".join(mount) for mount in notes.mounts),
        "predump": settings.predump,
        "options": " ".join(settings.options),
        "patience": commands.ARRIVAL_S,
    }
    variables = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in said.items())
    script = scripts.script("nics", "criu", f"criu_{what}", arguments=arguments or [])
    slack = commands.ARRIVAL_S * (1 + len(guest.nics) + len(notes.mounts))
    return shell.run(f"criu's part for {limit}", variables + script, limit_s + slack)


def interfaces(guest: Guest, prefix: str = "") -> list[str]:
    """Return arguments that name the interfaces that move."""
    plugged = [one for one in scripts.plugged(guest) if one.startswith("n=")]
    return [prefix + one.removeprefix("n=") for one in plugged]


def became(guest: Guest, said: str) -> str:
    """Return what a script says has become of the processes."""
    for line in said.splitlines():
        key, _, value = line.partition("\t")
        if key == "became":
            return value
    raise HostError(f"{guest}: did not say what has become of the processes")


def _needed(settings: CriuSettings, tree: Tree) -> set[str]:
    """Return the paths outside of what is carried that the processes have open or mapped."""
    paths = {one.path for one in tree.maps}
    paths |= {one.target for one in tree.opened if one.pid in tree.pids}
    paths |= {target for (pid, _), target in tree.links.items() if pid in tree.pids}
    return {
        path
        for path in paths
        if refusals.outside(settings, path)
        and not path.endswith(" (deleted)")
        and not path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:", "/SYSV", "/anon_hugepage"))
        and "\n" not in path
    }


def _same_processor(original: Shell, surrogate: Shell, settings: CriuSettings) -> None:
    (row,) = _rows(original, settings, "criu_cpu", arguments=["dump"])
    script = scripts.script("criu_cpu", arguments=["check"], content=base64.b64decode(row[1]))
    try:
        surrogate.run("checking the processor", script, settings.limits["prepare"])
    except HostError as exc:
        raise StepFailed(str(exc)) from exc


def _rows(
    shell: Shell,
    settings: CriuSettings,
    name: str,
    arguments: list[str] | None = None,
    content: bytes = b"",
) -> list[list[str]]:
    script = scripts.script(name, arguments=arguments or [], content=content)
    said = shell.run("comparing", script, settings.limits["prepare"])
    return scripts.lines(str(shell.guest), said)
