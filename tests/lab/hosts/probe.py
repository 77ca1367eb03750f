"""Talk to guests from their network, and measure for how long they do not answer."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.hosts.layout import FABRIC

PROBER = Path(__file__).resolve().with_name("prober.py")
IN_FABRIC = ["ip", "netns", "exec", FABRIC]
GAP_SECONDS = 0.1  # shorter silences are not called a gap


@dataclass
class Answers:
    """When one kind of question was answered: seconds since the beginning."""

    sent: int = 0
    answered: int = 0
    longest: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)  # (beginning, length)


class Probe:
    """Ask a guest for a sign of life every 10 ms, while the block runs.

    By ICMP, and by HTTP for a page that is a boot id, or JSON with one.

    Afterwards: ``icmp`` and ``http`` (Answers), ``longest`` (of both), ``boots`` (the boot ids
    seen, in order: two if the guest was started anew) and ``seconds``.
    """

    def __init__(
        self, address: str, max_seconds: float = 600, port: int = 80, path: str = "/boot_id"
    ):
        self.address, self.port, self.path = address, port, path
        self.max_seconds = max_seconds
        self.icmp = Answers()
        self.http = Answers()
        self.boots: list[str] = []
        self.seconds = 0.0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Probe:
        asked = [self.address, str(self.max_seconds), str(self.port), self.path]
        self._process = subprocess.Popen(
            [*IN_FABRIC, sys.executable, str(PROBER), *asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        if self._process.stdout.readline().strip() != "READY":
            raise LabError("the prober did not start: are the hosts up?")
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        time.sleep(0.3)
        output, _ = self._process.communicate("", timeout=20)
        found = json.loads(output)
        self.seconds, self.boots = found["seconds"], found["boots"]
        self.icmp = _summary(found["sent"]["icmp"], found["answers"]["icmp"], self.seconds)
        self.http = _summary(found["sent"]["http"], found["answers"]["http"], self.seconds)

    @property
    def longest(self) -> float:
        """The longest time without any one kind of answer."""
        return max(self.icmp.longest, self.http.longest)

    def __str__(self) -> str:
        gaps = f"icmp {self.icmp.longest:.3f} s, http {self.http.longest:.3f} s"
        return f"{self.address}: longest gap {gaps}; {len(self.boots)} boots; {self.seconds:.1f} s"


def get(address: str, path: str, seconds: float = 20) -> str:
    """Return what a guest answers to an HTTP GET, asking again for so many seconds."""
    url = f"http://{address}/{path.lstrip('/')}"
    curl = [*IN_FABRIC, "curl", "--silent", "--fail", "--max-time", "5", url]
    end = time.monotonic() + seconds
    while True:
        # a connection to nobody takes a second to be tried again: do not wait for that
        argv = [*curl, "--connect-timeout", "0.3"]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
        if time.monotonic() > end:
            raise LabError(f"{url}: no answer in {seconds} s (curl: exit {done.returncode})")
        time.sleep(0.1)


def state(address: str, seconds: float = 20) -> dict[str, Any]:
    """Return who a guest is: hostname, boot_id, uptime, counter, kernel, addresses, mark."""
    return json.loads(get(address, "cgi-bin/state", seconds))


def answers(address: str, seconds: float = 1) -> bool:
    """Return whether a guest answers HTTP."""
    try:
        return bool(get(address, "boot_id", seconds))
    except LabError:
        return False


def mark(address: str, text: str) -> None:
    """Put a mark on a guest's root disk, which ``state`` shows, also after a boot."""
    get(address, f"cgi-bin/mark?{text}")


def disks(address: str) -> dict[str, dict[str, Any]]:
    """Return a guest's virtio disks: size, serial and mark of each."""
    return json.loads(get(address, "cgi-bin/disks"))


def mark_disk(address: str, device: str, text: str) -> None:
    """Put a mark on a data disk of a guest, which ``disks`` shows."""
    get(address, f"cgi-bin/diskmark?dev={device}&{text}")


def _summary(sent: int, times: list[float], seconds: float) -> Answers:
    bounds = [0.0, *times, seconds]
    silences = [(start, round(end - start, 3)) for start, end in itertools.pairwise(bounds)]
    gaps = [(start, length) for start, length in silences if length > GAP_SECONDS]
    longest = max(length for _, length in silences)
    return Answers(sent, len(times), longest, gaps)
