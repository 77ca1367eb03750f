"""Look at a guest that processes are moved from."""

from __future__ import annotations

from dataclasses import dataclass, field

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.workload import scripts
from upgrade_flows.plugins.workload.criu import processes
from upgrade_flows.plugins.workload.criu.processes import Mapped, Open, Process
from upgrade_flows.plugins.workload.criu.settings import CriuSettings
from upgrade_flows.plugins.workload.shell import Shell


@dataclass(frozen=True)
class Mounted:
    """A mount of a guest, as /proc/mounts has it."""

    device: str
    point: str
    kind: str
    options: str


@dataclass(frozen=True)
class Seen:
    """A guest at one moment, before its processes are looked at closely.

    :param criu: why criu cannot work here; "" if it can.
    :param version: what ``criu -V`` says.
    :param devices: paths of devices by the first 20 characters of the volume's id.
    :param free_kib: room where the images go, or None.
    """

    criu: str
    version: str
    nft: bool
    pidfile: str
    mounts: tuple[Mounted, ...]
    devices: dict[str, str]
    free_kib: int | None
    processes: dict[int, Process] = field(repr=False)

    def mount_at(self, point: str) -> Mounted | None:
        """Return what is mounted at a folder now."""
        return next((one for one in reversed(self.mounts) if one.point == point), None)


@dataclass(frozen=True)
class Tree:
    """The processes that move, looked at closely.

    :param shell: the process that looked, whose namespaces criu will have.
    :param status: /proc/<pid>/status by pid.
    :param spaces: namespaces by pid and kind, also of the shell.
    :param threads: ids of all threads, as the shell numbers them.
    :param opened: open files of all processes of the guest.
    :param links: cwd, root and exe of all processes of the guest.
    :param locks: pids that hold locks of files.
    """

    members: tuple[Process, ...]
    shell: int
    status: dict[int, dict[str, str]]
    spaces: dict[tuple[int, str], str]
    threads: tuple[int, ...]
    maps: tuple[Mapped, ...]
    opened: tuple[Open, ...]
    links: dict[tuple[int, str], str]
    locks: frozenset[int]
    sockets: dict[str, str]

    @property
    def root(self) -> Process:
        """The process that all others descend from."""
        return self.members[0]

    @property
    def pids(self) -> frozenset[int]:
        """The ids of its processes."""
        return frozenset(one.pid for one in self.members)

    @property
    def own_pids(self) -> bool:
        """Whether it has a pid namespace of its own, so that its ids are free anywhere."""
        return self.apart(self.root.pid, "pid")

    def apart(self, pid: int, kind: str) -> bool:
        """Whether a process has another namespace of a kind than the shell."""
        return self.spaces.get((pid, f"ns/{kind}")) != self.spaces.get((self.shell, f"ns/{kind}"))

    @property
    def resident_kib(self) -> int:
        """The memory that it has now."""
        sizes = (self.status.get(pid, {}).get("VmRSS", "0 kB") for pid in self.pids)
        return sum(int(size.split()[0]) for size in sizes)


def look(shell: Shell, settings: CriuSettings) -> Seen:
    """Look at a guest; nothing is changed."""
    parts = _ask(shell, settings)
    criu = parts.get("criu", "").splitlines()
    free = [line.split() for line in parts.get("free", "").splitlines()[1:]]
    rows = [line.split(" ") for line in parts.get("mounts", "").splitlines()]
    devices = [line.split(" ") for line in parts.get("devices", "").splitlines()]
    return Seen(
        criu=_complaint(criu),
        version=next((line for line in criu if line.startswith("Version")), ""),
        nft=parts.get("nft", "").strip() == "fine",
        pidfile=parts.get("pidfile", "").strip(),
        mounts=tuple(Mounted(*row[:4]) for row in rows if len(row) >= 4),
        devices={row[0]: row[-1] for row in devices if len(row) == 3},
        free_kib=int(free[-1][3]) if free and len(free[-1]) > 3 and free[-1][3].isdigit() else None,
        processes=processes.processes(parts.get("stat", ""), parts.get("cmdline", "")),
    )


def look_closely(shell: Shell, settings: CriuSettings, seen: Seen, root: Process) -> Tree:
    """Look at a process and all that descend from it; nothing is changed.

    Those that have ended since the first look are left out.

    :raises HostError: the process itself has.
    """
    members = processes.tree(root.pid, seen.processes)
    members.sort(key=lambda one: (one.pid != root.pid, one.pid))
    parts = _ask(shell, settings, [str(one.pid) for one in members])
    locks = (line.split() for line in parts.get("locks", "").splitlines())
    status = processes.status(parts.get("status", ""))
    if root.pid not in status:
        raise HostError(f"{shell.guest}: {root} has ended")
    return Tree(
        members=tuple(one for one in members if one.pid in status),
        shell=int(parts.get("shell", "0")),
        status=status,
        spaces=processes.links(parts.get("spaces", "")),
        threads=tuple(sorted(int(one) for one in parts.get("threads", "").split())),
        maps=tuple(processes.maps(parts.get("maps", ""))),
        opened=tuple(processes.open_files(parts.get("open", ""))),
        links=processes.links(parts.get("links", "")),
        locks=frozenset(
            int(word) for row in locks for word in row[4:6] if "->" not in row and word.isdigit()
        ),
        sockets=processes.sockets(parts.get("sockets", "")),
    )


def roots(settings: CriuSettings, seen: Seen) -> list[Process]:
    """Return the processes that the settings mean; one is what there should be."""
    if settings.command_pattern:
        return processes.matching(settings.command_pattern, seen.processes)
    said = str(settings.pid) if settings.pid else seen.pidfile
    known = seen.processes.get(int(said)) if said.isdigit() else None
    return [known] if known else []


def _ask(shell: Shell, settings: CriuSettings, pids: list[str] | None = None) -> dict[str, str]:
    volumes = " ".join(volume[:20] for volume in shell.guest.volumes)
    arguments = [settings.pidfile, settings.images, *(pids or [])]
    script = f"volumes='{volumes}'\n" + scripts.script("nics", "criu_look", arguments=arguments)
    parts = processes.sections(shell.run("looking", script, settings.limits["check"]))
    if "end" not in parts:
        raise HostError(f"{shell.guest}: did not say all that it was asked for")
    return parts


def _complaint(said: list[str]) -> str:
    if not said:
        return "criu is not installed"
    if said[0] != "0":
        why = [line for line in said[1:] if not line.startswith(("Version", "GitID"))]
        return f"criu check fails: {' '.join(why)}"
    return ""
