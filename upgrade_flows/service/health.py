"""How the process is, over HTTP: ``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import json
import logging
import math
import socket
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client.exposition import choose_encoder

from upgrade_flows.engine.conductor import Status
from upgrade_flows.errors import RequestError
from upgrade_flows.service.metrics import Metrics

LOG = logging.getLogger(__name__)

#: a client that says nothing for so long is hung up on, in seconds
TIMEOUT_S = 10.0


class Health:
    """What is known of the process: which phase it is in, and what is wrong.

    :param ttl_s: the journal and the board may be silent for twice as long.
    :param scrub: takes passwords out of what is shown.
    """

    def __init__(self, name: str, ttl_s: float, scrub: Callable[[str], str] = str) -> None:
        self.name, self._limit, self._scrub = name, 2 * ttl_s, scrub
        self._status: Callable[[], Status] | None = None
        self._alive: Callable[[], bool] = lambda: False
        self._waiting_for = "its configuration"

    def starting(self, what: str) -> None:
        """Say what the process waits for before it can begin."""
        self._waiting_for = what

    def working(self, status: Callable[[], Status], alive: Callable[[], bool]) -> None:
        """Look at a conductor from now on.

        :param alive: whether its loop runs.
        """
        self._status, self._alive = status, alive

    def status(self) -> Status | None:
        """The conductor's own words; None as long as there is none."""
        return self._status() if self._status is not None else None

    def troubles(self) -> list[str]:
        """Return why the loop does not do its work; empty if it does."""
        return self._troubles(self.status())

    def _troubles(self, status: Status | None) -> list[str]:
        if status is None:
            return [f"starting: waiting for {self._waiting_for}"]
        reasons = [] if self._alive() else ["the loop has ended"]
        for what, age in (("journal", status.journal_ok_s), ("board", status.board_ok_s)):
            if not age < self._limit:
                reasons.append(
                    f"the {what} was last heard of {age:.0f} s ago, the limit is"
                    f" {self._limit:.0f} s"
                )
        return reasons

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the loop works, and everything that there is to say."""
        status = self.status()
        reasons = self._troubles(status)
        body: dict[str, Any] = {"ok": not reasons, "reasons": reasons, "name": self.name}
        if status is not None:
            body |= asdict(status)
            body["last_error"] = self._scrub(status.last_error)
            for key in ("journal_ok_s", "board_ok_s"):
                body[key] = round(body[key], 3) if math.isfinite(body[key]) else None
        return not reasons, body

    def readyz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether it takes on work, and if not why."""
        status = self.status()
        reasons = self._troubles(status)
        if status is not None and status.stopping:
            reasons.append(f"stopping: {len(status.jobs)} jobs are brought to a halt")
        return not reasons, {"ready": not reasons, "reasons": reasons}


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection; there is nothing to send to it but GET."""

    server: Server
    timeout = TIMEOUT_S
    server_version, sys_version = "upgrade-flows-conductor", ""

    def do_GET(self) -> None:
        """Answer with one of the three pages."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            return self._answer(HTTPStatus.OK, encode(self.server.metrics.registry), kind)
        pages = {"/healthz": self.server.health.healthz, "/readyz": self.server.health.readyz}
        if path not in pages:
            return self._json(HTTPStatus.NOT_FOUND, {"pages": [*pages, "/metrics"]})
        good, body = pages[path]()
        return self._json(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, body)

    do_HEAD = do_GET

    def _json(self, code: HTTPStatus, body: dict[str, Any]) -> None:
        self._answer(code, json.dumps(body, indent=1).encode() + b"\n", "application/json")

    def _answer(self, code: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say it for who debugs; the default writes every request to stderr."""
        LOG.debug("%s " + format, self.client_address[0], *args)


class Server(ThreadingHTTPServer):
    """Serves the pages in threads of its own; a context."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health, metrics: Metrics) -> None:
        self.health, self.metrics = health, metrics
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except OSError as exc:
            raise RequestError(
                f"[conductor] health_address: {address[0]} port {address[1]} cannot be listened"
                f" on ({exc.strerror or exc}): another conductor may have it; name another port"
            ) from exc
        self._thread = Thread(target=self.serve_forever, name="health", daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind, without asking the name service who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say it for who debugs: most are clients that hung up."""
        LOG.debug("a request from %s failed", client_address[0], exc_info=True)
