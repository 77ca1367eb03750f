"""The process behind probe.Probe: asks one address over ICMP and HTTP until told to stop.

``prober.py ADDRESS MAX_SECONDS [PORT PATH]`` prints READY, ends on SIGTERM, at the end of its input
or after MAX_SECONDS, and prints as JSON when answers came (seconds since READY) and whose boot ids.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time

INTERVAL = 0.01
CONNECT_SECONDS = 0.2
READ_SECONDS = 0.5
BOOT_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Prober:
    """Two kinds of questions, each from a thread of its own."""

    def __init__(self, address: str, port: int = 80, path: str = "/boot_id"):
        self.address, self.port = address, port
        self.request = f"GET {path} HTTP/1.0\r\n\r\n".encode()
        self.stopped = threading.Event()
        self.start = time.monotonic()
        self.sent = {"icmp": 0, "http": 0}
        self.answers: dict[str, list[float]] = {"icmp": [], "http": []}
        self.boots: list[str] = []

    def run(self, seconds: float) -> dict:
        """Ask until stopped, and return what came back."""
        threads = [threading.Thread(target=task) for task in (self._ping, self._get)]
        for thread in threads:
            thread.start()
        print("READY", flush=True)
        self.stopped.wait(seconds)
        self.stopped.set()
        end = self._now()
        for thread in threads:
            thread.join()
        answers = {kind: [t for t in times if t <= end] for kind, times in self.answers.items()}
        return {"seconds": end, "sent": self.sent, "answers": answers, "boots": self.boots}

    def _now(self) -> float:
        return round(time.monotonic() - self.start, 4)

    def _ping(self) -> None:
        identity = os.getpid() & 0xFFFF
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(0.2)
            receiver = threading.Thread(target=self._receive, args=(raw, identity))
            receiver.start()
            while not self.stopped.wait(INTERVAL):
                packet = _echo_request(identity, self.sent["icmp"] & 0xFFFF)
                with contextlib.suppress(OSError):
                    raw.sendto(packet, (self.address, 0))
                self.sent["icmp"] += 1
            receiver.join()

    def _receive(self, raw: socket.socket, identity: int) -> None:
        while not self.stopped.is_set():
            try:
                data, sender = raw.recvfrom(2048)
            except OSError:
                continue
            kind, theirs = data[20], struct.unpack("!H", data[24:26])[0]
            if sender[0] == self.address and kind == 0 and theirs == identity:
                self.answers["icmp"].append(self._now())

    def _get(self) -> None:
        while not self.stopped.wait(INTERVAL):
            self.sent["http"] += 1
            try:
                answer = self._fetch()
            except OSError:
                continue
            if b" 200 OK" in answer:
                self.answers["http"].append(self._now())
                for boot in BOOT_ID.findall(answer):
                    if self.boots[-1:] != [boot.decode()]:
                        self.boots.append(boot.decode())

    def _fetch(self) -> bytes:
        with socket.create_connection((self.address, self.port), CONNECT_SECONDS) as connection:
            connection.settimeout(READ_SECONDS)
            connection.sendall(self.request)
            answer = b""
            while data := connection.recv(4096):
                answer += data
            return answer


def _echo_request(identity: int, sequence: int) -> bytes:
    payload = b"upgrade-flows..."
    header = struct.pack("!BBHHH", 8, 0, 0, identity, sequence)
    total = sum(struct.unpack("!12H", header + payload))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", 8, 0, checksum, identity, sequence) + payload


def main() -> None:
    """Probe the address on the command line."""
    prober = Prober(sys.argv[1], *map(int, sys.argv[3:4]), *sys.argv[4:5])

    def stop(*_) -> None:
        prober.stopped.set()

    def stop_at_end_of_input() -> None:
        sys.stdin.read()
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    print(json.dumps(prober.run(float(sys.argv[2]))), flush=True)
    os._exit(0)  # the thread at the input may be waiting for it


if __name__ == "__main__":
    main()
