"""Ask a guest whether it serves: by TCP, HTTP, a command inside, its console, cloud-init."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import Clock

#: the kinds of probes, and what may be said besides
KINDS: dict[str, tuple[str, ...]] = {
    "tcp": (),
    "http": ("port", "expect"),
    "ssh": (),
    "console": (),
    "cloud_init": (),
}

#: seconds between two questions of a kind: an instance is down meanwhile, but some cost a lot
PAUSES = {"tcp": 0.05, "http": 0.05, "ssh": 0.5, "console": 1.0, "cloud_init": 1.0}

#: seconds for which an answer is awaited at first, and at most: a lost packet costs so much
IMPATIENCE_S, PATIENCE_S = 0.2, 2.0

#: bytes of a page that are looked at
LONGEST_PAGE = 1_000_000

CLOUD_INIT_DONE = r"Cloud-init v\. .* finished at"
CLOUD_INIT_STATUS = "cloud-init status"


def connects(address: str, port: int, patience_s: float) -> bool:
    """Whether a TCP connection is taken."""
    try:
        socket.create_connection((address, port), patience_s).close()
    except OSError:
        return False
    return True


def fetch(address: str, port: int, path: str, patience_s: float) -> tuple[int, str]:
    """Return status and text of a page; status 0 where there is no answer."""
    connection = http.client.HTTPConnection(address, port, timeout=patience_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_PAGE).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def await_ready(
    clock: Clock,
    probes: Sequence[dict[str, Any]],
    addresses: Sequence[str],
    *,
    what: str,
    console: Callable[[], str],
    run: Callable[[str], str],
    deadline_s: float,
) -> None:
    """Wait until every probe has passed once, each at one of the addresses.

    :param what: the guest, for messages.
    :param run: runs a command in the guest; it raises where that fails.
    :raises TimedOut: they have not within ``deadline_s`` seconds; says which, and why.
    """
    guest = _Guest(clock, tuple(addresses), console, run)
    waiting = [_Asked(guest, probe) for probe in probes]

    def ask() -> list[str]:
        waiting[:] = [one for one in waiting if not one.passes()]
        return [one.said for one in waiting]

    if waiting:
        wait.until(
            clock,
            f"{what} to answer",
            ask,
            lambda left: not left,
            deadline_s=deadline_s,
            most_s=min(PAUSES[kind_of(probe)] for probe in probes),
        )


def check_probes(plain: Any) -> None:
    """Refuse probes that cannot be understood.

    :raises RequestError: names everything that is wrong with them.
    """
    if not isinstance(plain, (list, tuple)):
        raise errors.RequestError("probes: a list is wanted")
    said = [
        f"probe {number}: {complaint}"
        for number, probe in enumerate(plain, 1)
        for complaint in _complaints(probe)
    ]
    if said:
        raise errors.RequestError("; ".join(said))


def kind_of(probe: dict[str, Any]) -> str:
    """Return the kind of a probe that was checked."""
    return next(kind for kind in KINDS if kind in probe)


def _complaints(probe: Any) -> list[str]:
    kinds = [kind for kind in KINDS if isinstance(probe, dict) and kind in probe]
    if len(kinds) != 1:
        return [f"it must be one of {', '.join(KINDS)}"]
    (kind,) = kinds
    value = probe[kind]
    said = [f"{key} is unknown" for key in probe if key not in (kind, *KINDS[kind])]
    match kind:
        case "tcp" if not _is_port(value):
            said.append("tcp: a port from 1 to 65535 is wanted")
        case "http":
            if not isinstance(value, str) or not re.fullmatch(r"/[!-~]*", value):
                said.append("http: a path that begins with / is wanted, as it goes over the line")
            if not _is_port(probe.get("port", 80)):
                said.append("port: a port from 1 to 65535 is wanted")
            if not isinstance(probe.get("expect", ""), str):
                said.append("expect: a text is wanted")
        case "ssh" if not isinstance(value, str) or not value.strip():
            said.append("ssh: a command is wanted")
        case "console":
            said += _pattern(value)
        case "cloud_init" if value is not True:
            said.append("cloud_init: only true is meant")
    return said


def _pattern(value: Any) -> list[str]:
    if not isinstance(value, str) or not value:
        return ["console: a regular expression is wanted"]
    try:
        re.compile(value)
    except re.error as exc:
        return [f"console: no regular expression: {exc}"]
    return []


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


@dataclass(frozen=True)
class _Guest:
    clock: Clock
    addresses: tuple[str, ...]
    console: Callable[[], str]
    run: Callable[[str], str]


@dataclass
class _Asked:
    """A probe, when it is due again, and how patiently it asks."""

    guest: _Guest
    probe: dict[str, Any]
    said: str = ""
    due: float = field(default=float("-inf"))
    patience_s: float = IMPATIENCE_S

    def passes(self) -> bool:
        """Ask, if it is time to; ``said`` is why it does not pass."""
        now = self.guest.clock.monotonic()
        if now < self.due:
            return False
        kind = kind_of(self.probe)
        why = getattr(self, f"_{kind}")(self.probe[kind])
        self.said = f"{kind} {self.probe[kind]}: {why}"
        self.due = self.guest.clock.monotonic() + PAUSES[kind]
        self.patience_s = min(self.patience_s * 1.25, PATIENCE_S)
        return not why

    def _tcp(self, port: int) -> str:
        if any(connects(one, port, self.patience_s) for one in self.guest.addresses):
            return ""
        return f"no answer at {self._where()}"

    def _http(self, path: str) -> str:
        port, expected = self.probe.get("port", 80), self.probe.get("expect", "")
        seen = f"no answer at {self._where()}"
        for address in self.guest.addresses:
            status, text = fetch(address, port, path, self.patience_s)
            if 200 <= status < 400 and expected in text:
                return ""
            if status:
                without = f" without {expected!r}" if 200 <= status < 400 else ""
                seen = f"{address} answers {status}{without}"
        return seen

    def _ssh(self, command: str) -> str:
        try:
            self.guest.run(command)
        except (errors.HostError, errors.StepFailed) as exc:
            return str(exc)
        return ""

    def _console(self, pattern: str) -> str:
        try:
            text = self.guest.console()
        except errors.CloudError as exc:
            return str(exc)
        return "" if re.search(pattern, text, re.MULTILINE) else "not there"

    def _cloud_init(self, _: bool) -> str:
        said = self._console(CLOUD_INIT_DONE)
        if said:
            with contextlib.suppress(errors.HostError, errors.StepFailed):
                if re.search(r"^status: done", self.guest.run(CLOUD_INIT_STATUS), re.MULTILINE):
                    return ""
        return said and "not done"

    def _where(self) -> str:
        return ", ".join(self.guest.addresses) or "no address"
