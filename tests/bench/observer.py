"""Watch from outside how long an instance is away: through Nova, and from its network."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import pymysql

from tests.bench.errors import BenchError
from tests.lab import api
from tests.lab.hosts.probe import Answers, Probe, get
from tests.lab.settings import Settings

EVERY_S = 0.02
SETTLE_S = 30.0
BOOT_S = 180.0
PROBE_PAUSE_S = 0.3  # what a Probe waits after its first question before it lets the block run


class NovaObserver:
    """Look every 20 ms whether an instance, or the one that took its name, is ACTIVE.

    It reads what Nova has written down, not Nova's API: questions every few milliseconds would
    slow down the one worker that both ways need, and the faster way more.  Afterwards
    ``downtime`` is the time from the first look that shows it on its way down to the first
    after which it stays up.
    """

    def __init__(self, name: str, server_id: str) -> None:
        self.name, self.server_id = name, server_id
        self.downtime = 0.0
        self.successor = ""  # the address of an instance that took the name
        self.found_successor = threading.Event()
        settings = Settings.load()
        self._database = pymysql.connect(
            host=settings.vip,
            port=settings.db_port,
            user="lab",
            password=settings.password,
            database="nova_cell1",
            autocommit=True,
        )
        self._changes: list[tuple[float, bool]] = []
        self._stopped = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._watch, name=f"watch {name}")

    def __enter__(self) -> NovaObserver:
        self._look()
        if [up for _, up in self._changes] != [True]:
            raise BenchError(f"{self.name} does not run")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        end = time.monotonic() + SETTLE_S
        while kind is None and self._thread.is_alive() and not self._changes[-1][1]:
            if time.monotonic() > end:
                break
            time.sleep(EVERY_S)
        self._stopped.set()
        self._thread.join()
        self._database.close()
        if kind is not None:
            return
        if self._failed:
            raise BenchError(f"cannot watch {self.name}: {self._failed}") from self._failed
        if len(self._changes) < 3 or not self._changes[-1][1]:
            raise BenchError(f"{self.name} was not seen to go down and come up again")
        self.downtime = self._changes[-1][0] - self._changes[1][0]

    def _watch(self) -> None:
        try:
            while not self._stopped.wait(EVERY_S):
                self._look()
        except Exception as error:
            self._failed = error

    def _look(self) -> None:
        with self._database.cursor() as cursor:
            cursor.execute(
                "SELECT uuid, vm_state, task_state FROM instances"
                " WHERE deleted = 0 AND display_name = %s",
                (self.name,),
            )
            ours = cursor.fetchall()
        up = any(state == "active" and task is None for _, state, task in ours)
        if not self._changes or self._changes[-1][1] != up:
            self._changes.append((time.monotonic(), up))
        for server_id, *_ in ours:
            if server_id != self.server_id and not self.successor:
                self._note_successor(server_id)

    def _note_successor(self, server_id: str) -> None:
        addresses = api.shared("lab-admin").compute.get_server(server_id).addresses
        if addresses:
            self.successor = next(iter(addresses.values()))[0]["addr"]
            self.found_successor.set()


class NoGuest:
    """Stands for a guest where there is none."""

    gap = None

    def __init__(self, observer: NovaObserver, address: str) -> None:
        pass

    def __enter__(self) -> NoGuest:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class GuestObserver:
    """Measure for how long a guest does not answer, also when it gets another address.

    Afterwards ``gap`` is the longest silence; where a successor has another address, the time
    from the last answer at the old one to the first at the new one.  ICMP and HTTP are asked,
    the longer of the two silences counts.
    """

    def __init__(self, observer: NovaObserver, address: str) -> None:
        self.gap: float | None = None
        self._observer, self._address = observer, address
        self._old = Probe(address)
        self._new: Probe | None = None
        self._started: dict[Probe, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"follow {address}")

    def __enter__(self) -> GuestObserver:
        get(self._address, "boot_id", BOOT_S)
        self._start(self._old)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                get(self._observer.successor or self._address, "boot_id", BOOT_S)
        finally:
            self._over.set()
            self._thread.join()
            self._old.__exit__()
        if kind is None:
            self.gap = self._measured()

    def _start(self, probe: Probe) -> None:
        probe.__enter__()
        self._started[probe] = time.monotonic() - PROBE_PAUSE_S

    def _follow(self) -> None:
        """Ask a successor, as soon as its address is known, until all is over."""
        while not self._over.wait(EVERY_S):
            if self._observer.found_successor.is_set():
                if self._observer.successor == self._address:
                    return
                new = Probe(self._observer.successor)
                self._start(new)
                self._over.wait()
                new.__exit__()
                self._new = new

    def _measured(self) -> float:
        if self._new is None:
            return self._old.longest
        between = self._started[self._new] - self._started[self._old]
        return max(
            between + _first(new) - _last(old, self._old.seconds)
            for old, new in (
                (self._old.icmp, self._new.icmp),
                (self._old.http, self._new.http),
            )
        )


def _first(answers: Answers) -> float:
    """Return when the first answer came."""
    start, length = answers.gaps[0] if answers.gaps else (0.0, 0.0)
    return length if start == 0.0 else 0.0


def _last(answers: Answers, seconds: float) -> float:
    """Return when the last answer came."""
    start, length = answers.gaps[-1] if answers.gaps else (seconds, 0.0)
    return start if start + length >= seconds - 0.01 else seconds
