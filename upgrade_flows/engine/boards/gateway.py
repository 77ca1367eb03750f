"""What etcd's JSON gateway takes and gives: pieces of transactions, and a watch that lasts.

Facts: etcd 3.4, API v3; keys and values are in base64, 64-bit numbers are strings.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import etcd3gw
import requests
from etcd3gw import exceptions as etcd_exc

#: what the client raises
ERRORS = (etcd_exc.Etcd3Exception, requests.RequestException, OSError)

#: seconds without a word after which a watch is opened anew
QUIET_S = 10.0

#: seconds between the end of one stream and the next; nothing is missed meanwhile
AGAIN_S = 0.3

#: what etcd says when it will be able to answer soon
_PASSING = ("timed out", "no leader", "leader changed", "too many requests", "not ready")

Json = dict[str, Any]


def passing(exc: BaseException) -> bool:
    """Whether an error is worth asking again for."""
    if isinstance(exc, requests.exceptions.SSLError):
        return False
    if type(exc) is etcd_exc.Etcd3Exception:  # an answer: understood, and mostly refused
        return any(words in str(exc.detail_text) for words in _PASSING)
    return isinstance(exc, ERRORS)


def encode(text: str) -> str:
    """Write a key or value as the gateway reads it."""
    return base64.b64encode(text.encode()).decode()


def decode(encoded: str) -> str:
    """Read a key or value that the gateway has written."""
    return base64.b64decode(encoded).decode()


def absent(key: str) -> Json:
    """Compare: the key does not exist."""
    return {"key": encode(key), "target": "VERSION", "result": "EQUAL", "version": "0"}


def present(key: str) -> Json:
    """Compare: the key exists."""
    return {"key": encode(key), "target": "VERSION", "result": "GREATER", "version": "0"}


def equal(key: str, value: object) -> Json:
    """Compare: the key exists and has this value."""
    wanted = encode(str(value))
    return {"key": encode(key), "target": "VALUE", "result": "EQUAL", "value": wanted}


def put(key: str, value: str, **options: str) -> Json:
    """Operation: write a value; ``lease`` makes it end with that."""
    return {"request_put": {"key": encode(key), "value": encode(value), **options}}


def get(key: str) -> Json:
    """Operation: read a value."""
    return {"request_range": {"key": encode(key)}}


def delete(key: str, end: str | None = None) -> Json:
    """Operation: remove a key, or all from it up to, not including, ``end``."""
    more = {} if end is None else {"range_end": encode(end)}
    return {"request_delete_range": {"key": encode(key), **more}}


def got(answer: Json) -> str | None:
    """Return what ``get`` has found."""
    found = answer.get("response_range", {}).get("kvs", [])
    return decode(found[0]["value"]) if found else None


class Watch:
    """Calls ``changed`` after each change of a key, also after those it could not see happen.

    :param closed: ends the watch, within ``QUIET_S``.
    """

    def __init__(
        self,
        client: etcd3gw.Etcd3Client,
        key: str,
        changed: Callable[[], None],
        closed: threading.Event,
    ) -> None:
        self._client, self._key, self._changed, self._closed = client, key, changed, closed
        self._since: int | None = None  # the first revision that was not heard of

    def start(self, name: str) -> None:
        """Watch in a thread of its own."""
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        with requests.Session() as session:
            session.verify, session.cert = self._client.session.verify, self._client.session.cert
            while not self._closed.is_set():
                try:
                    self._follow(session)
                except requests.ConnectionError:
                    pass  # quiet for long, or the server is away
                except (*ERRORS, ValueError, KeyError):
                    self._since = None
                self._closed.wait(AGAIN_S)

    def _follow(self, session: requests.Session) -> None:
        """Follow one stream to its end."""
        create: Json = {"key": encode(self._key)}
        if self._since is not None:
            create["start_revision"] = str(self._since)
        with session.post(
            self._client.get_url("/watch"),
            json={"create_request": create},
            stream=True,
            timeout=(self._client.timeout, QUIET_S),
        ) as stream:
            stream.raise_for_status()
            buffer = b""
            for chunk in stream.iter_content(chunk_size=None):
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in filter(bytes.strip, lines):
                    self._hear(json.loads(line)["result"])
                if self._closed.is_set() or self._since is None:
                    return

    def _hear(self, result: Json) -> None:
        if result.get("canceled"):  # it began at a revision that is compacted away
            self._since = None
        elif self._since is None or "events" in result:
            self._since = int(result["header"]["revision"]) + 1
        else:
            return
        self._changed()
