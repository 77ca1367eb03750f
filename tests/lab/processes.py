"""Start background processes once, know them again later, and stop only those."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab.settings import Settings


def start(
    name: str,
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
) -> int:
    """Start a process in a session of its own, unless it runs; return its pid.

    ``env`` is added to the environment; the output goes to ``log`` (<run>/log/NAME.out).
    """
    running = pid(name)
    if running:
        return running
    log = log or Settings.load().log / f"{name}.out"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    record = {"pid": process.pid, "started": _started(process.pid), "log": str(log)}
    path = _pid_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record) + "\n")
    _CHILDREN[process.pid] = process
    return process.pid


def stop(*names: str, grace: float = 5) -> None:
    """Stop processes together: TERM, and KILL for the groups of those alive after ``grace``."""
    pids = {name: pid(name) for name in names}
    for number in filter(None, pids.values()):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    end = time.monotonic() + grace
    for name in names:
        while alive(name) and time.monotonic() < end:
            time.sleep(0.05)
    for name, number in pids.items():
        # each leads a session of its own, so its group is what it started; the number of a
        # group is not given away while the group has members
        if number:
            with suppress(ProcessLookupError):
                os.killpg(number, signal.SIGKILL)
            _reap(number)
        _pid_file(name).unlink(missing_ok=True)


def send_signal(name: str, number: signal.Signals) -> bool:
    """Send a signal to a process; return whether it runs."""
    running = pid(name)
    if running:
        os.kill(running, number)
    return running is not None


def alive(name: str) -> bool:
    """Return whether the process runs."""
    return pid(name) is not None


def pid(name: str) -> int | None:
    """Return the pid of the process if it runs and still is the one that was started."""
    record = _record(name)
    if record is None:
        return None
    _reap(record["pid"])
    if record["started"] is None or _started(record["pid"]) != record["started"]:
        return None
    return record["pid"]


def log_of(name: str) -> Path | None:
    """Return the file that has the output of the process."""
    record = _record(name)
    return Path(record["log"]) if record else None


def names() -> list[str]:
    """Return the names of all processes started and not stopped, alive or dead."""
    return sorted(path.stem for path in _pid_file("any").parent.glob("*.json"))


_CHILDREN: dict[int, subprocess.Popen] = {}


def _reap(number: int) -> None:
    """Let a dead child of this very process go."""
    child = _CHILDREN.get(number)
    if child is not None and child.poll() is not None:
        del _CHILDREN[number]


def _pid_file(name: str) -> Path:
    return Settings.load().run / "pid" / f"{name}.json"


def _record(name: str) -> dict | None:
    try:
        return json.loads(_pid_file(name).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _started(number: int) -> str | None:
    """Return when a process was started, in ticks since boot; none for the dead."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
