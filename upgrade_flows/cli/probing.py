"""Probes as they are said on the command line, read into what requests hold."""

from __future__ import annotations

import re
from typing import Any

from upgrade_flows.errors import RequestError

FORMS = "tcp:PORT, http:PORT/PATH, ssh:COMMAND, console:REGEX or cloud-init"


def read(said: str) -> dict[str, Any]:
    """Return a probe as requests and plans hold it.

    :raises RequestError: it is none of ``FORMS``.
    """
    kind, _, what = said.partition(":")
    if kind == "tcp":
        return {"tcp": _port(said, what)}
    if kind == "http":
        port, slash, path = what.partition("/")
        return {"http": slash + path or "/", "port": _port(said, port)}
    if kind == "ssh" and what.strip():
        return {"ssh": what}
    if kind == "console" and what:
        try:
            re.compile(what)
        except re.error as exc:
            raise RequestError(f"the probe {said!r} is no regular expression: {exc}") from exc
        return {"console": what}
    if said == "cloud-init":
        return {"cloud_init": True}
    raise RequestError(f"the probe is {said!r}; it must be {FORMS}")


def _port(said: str, port: str) -> int:
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise RequestError(f"the probe is {said!r}; its port must be 1 to 65535")
    return int(port)
