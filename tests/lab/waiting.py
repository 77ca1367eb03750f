"""Wait for something to become true, and name it readably if it does not."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from tests.lab import processes
from tests.lab.errors import LabError

T = TypeVar("T")


def until(what: str, probe: Callable[[], T], seconds: float = 60, every: float = 0.25) -> T:
    """Call ``probe`` until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return value


def for_port(process: str, host: str, port: int, seconds: float = 90) -> None:
    """Wait until a process of the lab listens on a TCP port."""

    def probe() -> bool:
        _must_run(process)
        with suppress(OSError), socket.create_connection((host, port), timeout=2):
            return True
        return False

    until(f"{process} listens on {host}:{port} (see {processes.log_of(process)})", probe, seconds)


def for_http(process: str, url: str, seconds: float = 120) -> None:
    """Wait until a process of the lab answers HTTP, whatever it answers."""

    def probe() -> bool:
        _must_run(process)
        return answers(url)

    until(f"{process} answers on {url} (see {processes.log_of(process)})", probe, seconds)


def answers(url: str, timeout: float = 5) -> bool:
    """Return whether there is an HTTP answer below 500."""
    try:
        with urllib.request.urlopen(url, timeout=timeout):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _must_run(process: str) -> None:
    if not processes.alive(process):
        raise LabError(f"{process} has ended: see {processes.log_of(process)}")
