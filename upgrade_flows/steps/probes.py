"""Ask the guest itself, while it is changed: for how long does it not answer?"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.steps.base import Context, Step

#: seconds between two questions, and for which an answer is awaited
INTERVAL_S, PATIENCE_S = 0.1, 1.0


class Watch:
    """Connects to a TCP port again and again, in a thread of its own, and notes the silences."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._ask, name=f"watch-{address}", daemon=True)

    def answers(self) -> bool:
        """Whether the guest takes a connection now."""
        try:
            socket.create_connection((self.address, self.port), PATIENCE_S).close()
        except OSError:
            return False
        return True

    def answered_lately(self) -> bool:
        """Whether the watch itself has had an answer within the last second."""
        with self._lock:
            return time.monotonic() - self._last < PATIENCE_S

    def start(self) -> None:
        """Begin to ask."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> float:
        """Stop asking, and return the longest silence in seconds."""
        self._stopped.set()
        self._thread.join(PATIENCE_S + INTERVAL_S + 1)
        with self._lock:
            return round(self._longest, 3)

    def _ask(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            if self.answers():
                now = time.monotonic()
                with self._lock:
                    self._longest = max(self._longest, now - self._last)
                    self._last = now


#: the watches of this process, by the tag of the step that began them
_WATCHES: dict[str, Watch] = {}


class WatchGuest(Step):
    """Begin to watch a guest, if it answers at all.

    Provides where: address and port; None where it does not answer, for then nothing is
    measured.  Reverted by ending the watch; the guest itself is only asked.
    """

    default_provides = "watched"

    def __init__(self, ctx: Context, subject: str, port: int) -> None:
        super().__init__(ctx, subject)
        self.port = port

    def execute(self, before: dict[str, Any]) -> dict[str, Any] | None:
        ports = before["identity"]["ports"]
        floating = [address for port in ports for address in port["floating_ips"]]
        fixed = [pair[1] for port in ports for pair in port["fixed_ips"]]
        for address in [*floating, *fixed]:
            watch = Watch(address, self.port)
            if watch.answers():
                _WATCHES[self.tag] = watch
                watch.start()
                return {"address": address, "port": self.port}
        return None

    def revert(self, **_: object) -> None:
        watch = _WATCHES.pop(self.tag, None)
        if watch is not None:
            watch.stop()


class MeasureSilence(Step):
    """Wait until the watched guest answers again, and end the watch.

    Provides the longest silence in seconds; None where the guest was not watched, or was
    watched by a process that is gone.  A guest that stays silent is no failure of the change:
    then it is None too.  Changes nothing, so there is nothing to revert.
    """

    default_provides = "silence_s"

    def __init__(self, ctx: Context, subject: str, port: int) -> None:
        super().__init__(ctx, subject)
        self.port = port

    def execute(self, watched: dict[str, Any] | None) -> float | None:
        watch = _WATCHES.pop(WatchGuest(self.ctx, self.subject, self.port).tag, None)
        if watched is None or watch is None:
            return None
        try:
            wait.until(
                self.ctx.cloud.clock,
                f"{watch.address}:{watch.port} to answer",
                watch.answered_lately,
                bool,
                deadline_s=self.ctx.settings.port_s,
            )
        except errors.TimedOut:
            watch.stop()
            return None
        return watch.stop()
