"""What a guest's /proc says of processes: the tree that moves, and everybody else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER = re.compile(r"^==> /proc/(\d+)/\w+ <==$", re.MULTILINE)
FOLDER = re.compile(r"^/proc/(\d+)/fd:$")
LINK = re.compile(r"^l(\S{9})\S* .*? (\S+) -> (.*)$")
MAP = re.compile(r"^[0-9a-f]+-[0-9a-f]+ (\S{4}) [0-9a-f]+ \S+ (\d+) +(\S.*)$")


@dataclass(frozen=True)
class Process:
    """A process as ``/proc/<pid>/stat`` has it.

    :param start: when it began, in the kernel's ticks: tells it from a later one of its pid.
    """

    pid: int
    name: str
    parent: int
    group: int
    session: int
    start: int
    command: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


@dataclass(frozen=True)
class Open:
    """An open file of a process: its number, whether it may be written, and what it is."""

    pid: int
    number: str
    writes: bool
    target: str


@dataclass(frozen=True)
class Mapped:
    """A file that is mapped: permissions as ``rw-p``, and its path."""

    pid: int
    permissions: str
    path: str


def sections(said: str) -> dict[str, str]:
    """Return the parts of what a script said, by the names in its lines ``section``."""
    found: dict[str, str] = {}
    for part in said.split("section\t")[1:]:
        name, _, text = part.partition("\n")
        found[name] = text
    return found


def processes(stat: str, cmdline: str) -> dict[int, Process]:
    """Return processes by pid; those of the kernel are none."""
    commands = {pid: text.strip() for pid, text in by_pid(cmdline).items()}
    found = {}
    for line in stat.splitlines():
        head, _, rest = line.rpartition(")")
        pid, _, name = head.partition(" (")
        words = rest.split()
        if pid.isdigit() and len(words) > 19 and words[1] != "2" and pid != "2":
            parent, group, session, start = (int(words[index]) for index in (1, 2, 3, 19))
            command = commands.get(int(pid), "")
            found[int(pid)] = Process(int(pid), name, parent, group, session, start, command)
    return found


def by_pid(text: str) -> dict[int, str]:
    """Return what ``head`` said of several files in /proc, by pid."""
    parts = HEADER.split(text)
    return {int(pid): said.strip("\n") for pid, said in zip(parts[1::2], parts[2::2], strict=True)}


def matching(pattern: str, known: dict[int, Process]) -> list[Process]:
    """Return the processes whose command line a pattern finds, without those that they began."""
    found = [one for one in known.values() if re.search(pattern, one.command)]
    pids = {one.pid for one in found}
    return [one for one in found if not pids & set(_ancestors(one, known))]


def tree(root: int, known: dict[int, Process]) -> list[Process]:
    """Return a process and all that descend from it."""
    return [one for one in known.values() if one.pid == root or root in _ancestors(one, known)]


def _ancestors(one: Process, known: dict[int, Process]) -> Iterable[int]:
    seen: list[int] = []
    parent = one.parent
    while parent in known and parent not in seen:
        seen.append(parent)
        parent = known[parent].parent
    return seen


def open_files(listing: str) -> list[Open]:
    """Return the open files in what ``ls -l /proc/<pid>/fd`` said of several processes."""
    found: list[Open] = []
    pid = 0
    for line in listing.splitlines():
        if folder := FOLDER.match(line):
            pid = int(folder[1])
        elif link := LINK.match(line):
            found.append(Open(pid, link[2], "w" in link[1][:3], link[3]))
    return found


def links(listing: str) -> dict[tuple[int, str], str]:
    """Return links in /proc by pid and name: ``cwd``, ``exe``, ``ns/mnt``..."""
    found = {}
    for line in listing.splitlines():
        if link := LINK.match(line):
            _, _, pid, name = link[2].split("/", 3)
            found[int(pid), name] = link[3]
    return found


def maps(text: str) -> list[Mapped]:
    """Return the mapped files in ``/proc/<pid>/maps`` of several processes, each once."""
    found: dict[Mapped, None] = {}
    for pid, said in by_pid(text).items():
        for line in said.splitlines():
            row = MAP.match(line)
            if row and (row[2] != "0" or not row[3].startswith("[")):
                found[Mapped(pid, row[1], row[3])] = None
    return list(found)


def status(text: str) -> dict[int, dict[str, str]]:
    """Return ``/proc/<pid>/status`` of several processes."""
    found = {}
    for pid, said in by_pid(text).items():
        pairs = (line.partition(":") for line in said.splitlines())
        found[pid] = {key: value.strip() for key, _, value in pairs}
    return found


def sockets(text: str) -> dict[str, str]:
    """Return the kinds of sockets by inode, of a text with lines ``<kind> <inode>``."""
    return {inode: kind for kind, _, inode in (row.partition(" ") for row in text.splitlines())}
