"""Switch hosts on and off, and run commands inside them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab import processes, services, waiting
from tests.lab.errors import LabError
from tests.lab.hosts import files, layout, network
from tests.lab.hosts.layout import Host
from tests.lab.settings import Settings


def power_on(host: Host, settings: Settings) -> bool:
    """Boot a host, which starts its services by itself; return whether it was off.

    Its supervisor boots it again whenever it asks for a reboot.
    """
    if init_pid(host):
        return False
    processes.stop(host.process, grace=0)
    if host.namespace:
        network.make_host_links(host, settings)
    files.write_host(host, settings)
    processes.start(
        host.process,
        ["bash", layout.SCRIPTS / "supervise.sh"],
        _environment(host, settings),
        log=host.folder / "boot.log",
    )
    waiting.until(f"{host.name} has a pid 1", lambda: init_pid(host), 10, every=0.02)
    return True


def power_off(host: Host) -> None:
    """Cut the power: every process of the host is gone at once."""
    pid = init_pid(host)
    if pid:
        os.kill(pid, signal.SIGKILL)
        # the supervisor ends when the last process of the host has
        waiting.until(f"{host.name} is off", lambda: not is_on(host), 20, every=0.02)
    processes.stop(host.process, grace=1)
    # nothing of a dead host may look alive
    with suppress(FileNotFoundError):
        host.ovsdb.unlink()


def is_on(host: Host) -> bool:
    """Return whether a host has power; it may be booting."""
    return processes.alive(host.process)


def init_pid(host: Host) -> int | None:
    """Return the host's pid 1, as the machine numbers it."""
    supervisor = processes.pid(host.process)
    if supervisor is None:
        return None
    for holder in _children(supervisor):
        for child in _children(holder):
            with suppress(FileNotFoundError, ProcessLookupError):
                # between fork and the child's first exec it is not pid 1 of anything to enter yet
                words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
                if words[0] == "bash" and words[1].endswith("/boot.sh"):
                    return child
    return None


def run(
    host: Host,
    argv: Sequence[str | Path],
    settings: Settings | None = None,
    check: bool = True,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a host and return what it printed."""
    command = [*enter(host), *map(str, argv)]
    # a daemon left behind by the command must not keep its output open: see service.sh
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **_environment(host, settings or Settings.load())},
    )
    if check and done.returncode:
        words = " ".join(command[len(enter(host)) :])
        raise LabError(f"{host.name}: {words}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def enter(host: Host) -> list[str]:
    """Return the words before a command that make it run inside a host."""
    pid = init_pid(host)
    if pid is None:
        raise LabError(f"{host.name} is off")
    return ["nsenter", "--target", str(pid), "-n", "-m", "-u", "-i", "-p", "--"]


def service(host: Host, action: str, name: str, settings: Settings | None = None) -> None:
    """Start, stop or kill (stop without warning) a service of a host."""
    if name not in host.services:
        raise LabError(f"{name} is none of {', '.join(host.services)}")
    script = ["bash", layout.SCRIPTS / "service.sh", action, name]
    run(host, script, settings)


def services_of(host: Host) -> dict[str, bool]:
    """Return which services of a host run."""
    script = 'for s; do kill -0 "$(cat /run/$s.pid)" 2>/dev/null && echo $s; done; true'
    running: list[str] = []
    if init_pid(host):
        running = run(host, ["bash", "-c", script, "bash", *host.services]).stdout.split()
    return {name: name in running for name in host.services}


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _environment(host: Host, settings: Settings) -> dict[str, str]:
    return {
        **services.environment(settings),
        "HOST": host.name,
        "KIND": host.kind,
        "NETNS": host.namespace,
        "FOLDER": str(host.folder),
        "SHARED": str(layout.folder(settings)),
        "SCRIPTS": str(layout.SCRIPTS),
        "SERVICES": " ".join(host.services),
        "GUEST_MEMORY": layout.GUEST_MEMORY,
        "GUEST_MEMORY_MB": str(layout.GUEST_MEMORY_MB),
        "VENV": str(settings.venv),
        "NOVA_CONF": str(settings.etc / "nova" / "nova.conf"),
        "COMPUTE_CONF": str(host.compute_conf(settings)),
    }
