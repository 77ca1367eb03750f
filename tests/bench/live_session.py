"""One TCP connection to a service whose state is in its memory only, for as long as it lasts."""

from __future__ import annotations

import queue
import socket
import threading
import time
from types import TracebackType

from tests.bench.errors import BenchError

PORT = 7000
ANSWER_S = 30.0

#: settings of the plugin ``criu`` for it (see ``tests/lab/guest/live/root/bin/criuapp``)
SETTINGS = {
    "command_pattern": "^/data/session/session ",
    "images": "/data/ck",
    "mount": {"0": "/data"},
}


class Session:
    """Listens to what the service says every 20 ms; afterwards ``gap`` is the longest silence.

    In between ``who`` and ``count`` ask it for its process, kernel and memory, and to count.
    """

    def __init__(self, address: str) -> None:
        self.gap = 0.0
        self.ticks: list[int] = []
        self._socket = socket.create_connection((address, PORT), ANSWER_S)
        self._socket.settimeout(None)
        self._answers: queue.Queue[list[str]] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, name=f"session {address}")

    def __enter__(self) -> Session:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def who(self) -> tuple[str, str, str]:
        """Return the service's pid, its kernel, and the sum of its memory."""
        pid, kernel, memory = self._ask("who")
        return pid, kernel, memory

    def count(self) -> int:
        """Have it count one further, and return how far it is."""
        return int(self._ask("inc")[0])

    def lost(self) -> int:
        """Return how many of the numbers that it sends did not come."""
        return self.ticks[-1] - self.ticks[0] + 1 - len(self.ticks) if self.ticks else 0

    def _ask(self, word: str) -> list[str]:
        try:
            self._socket.sendall(f"{word}\n".encode())
            return self._answers.get(timeout=ANSWER_S)
        except (OSError, queue.Empty) as error:
            raise BenchError(f"the connection does not last: {word}: {error!r}") from error

    def _listen(self) -> None:
        last = time.monotonic()
        try:
            for line in self._socket.makefile():
                kind, *words = line.split()
                if kind != "tick":
                    self._answers.put(words)
                    continue
                now = time.monotonic()
                self.gap, last = max(self.gap, now - last), now
                self.ticks.append(int(words[0]))
        except OSError:
            return  # whoever asks next will say so
