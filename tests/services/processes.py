"""Processes known again by pid and start time, with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.services.errors import ServiceError

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """A process; the same pid with another start time is another process."""

    pid: int
    started: int  # in ticks since boot


def spawn(
    argv: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
) -> Process:
    """Start a process in a session of its own, with its output at the end of a log."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    # not waited for yet, so it is in /proc, dead or alive
    process = Process(child.pid, _table()[child.pid].started)
    _CHILDREN[process.pid] = child
    return process


def alive(process: Process) -> bool:
    """Return whether the process runs (or is paused)."""
    _reap()
    return process in family(process)


def family(process: Process) -> list[Process]:
    """Return the process and all below it, sessions of their own included, if they live."""
    table = _table()
    entry = table.get(process.pid)
    if entry is None or entry.started != process.started:
        return []
    members, waiting = [], [process.pid]
    while waiting:
        pid = waiting.pop()
        waiting += [child for child, other in table.items() if other.parent == pid]
        if not table[pid].dead:
            members.append(Process(pid, table[pid].started))
    return members


def pause(process: Process, seconds: float = 10) -> list[Process]:
    """Stop the process and all below it where they are; return them."""

    def halt() -> list[Process]:
        # again until none is left that could still start another
        members = family(process)
        table = _table()
        moving = [one for one in members if one.pid in table and not table[one.pid].halted]
        send(moving, signal.SIGSTOP)
        return [] if moving else members

    if not family(process):
        return []
    return until(f"process {process.pid} pauses", halt, seconds, every=0.002)


def go_on(process: Process) -> None:
    """Let a paused process and all below it run again."""
    send(family(process), signal.SIGCONT)


def end(process: Process, number: signal.Signals, seconds: float) -> bool:
    """Ask a process to end, and wait; return whether it and all below it did."""
    members = family(process)
    send([process] if members else [], number)
    return gone(members, seconds)


def kill(process: Process, seconds: float = 20) -> None:
    """Kill a process and all below it at one moment, as a crash of the machine would."""
    with suppress(ServiceError):  # what hangs in the kernel cannot start others either
        pause(process)
    members = family(process)
    send(members, signal.SIGKILL)
    if not gone(members, seconds):
        raise ServiceError(f"process {process.pid} cannot be killed")


def send(members: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to processes; those that are gone do not mind."""
    for member in members:
        with suppress(ProcessLookupError):
            os.kill(member.pid, number)


def gone(members: Sequence[Process], seconds: float) -> bool:
    """Wait for the end of processes; return whether all ended."""

    def ended() -> bool:
        _reap()
        table = _table()
        return not any(
            one.pid in table and table[one.pid].started == one.started and not table[one.pid].dead
            for one in members
        )

    try:
        return until("", ended, seconds, every=0.01)
    except ServiceError:
        return False


def until(what: str, probe: Callable[[], T], seconds: float, every: float = 0.05) -> T:
    """Call ``probe`` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise ServiceError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return value


@dataclass(frozen=True)
class _Entry:
    state: str
    parent: int
    started: int

    @property
    def dead(self) -> bool:
        return self.state in ("Z", "X")

    @property
    def halted(self) -> bool:
        return self.state in ("t", "T")


def _table() -> dict[int, _Entry]:
    """Return all processes of this machine."""
    table = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            # a dead process whose threads still end keeps its files and ports until they have
            ending = fields[0] in "ZX" and len(os.listdir(path.parent / "task")) > 1
            state = "ending" if ending else fields[0]
            table[int(path.parent.name)] = _Entry(state, int(fields[1]), int(fields[19]))
    return table


_CHILDREN: dict[int, subprocess.Popen] = {}


def _reap() -> None:
    """Let dead children of this very process go."""
    for pid, child in list(_CHILDREN.items()):
        if child.poll() is not None:
            _CHILDREN.pop(pid, None)
