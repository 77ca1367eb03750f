"""Files that we read and write for the operator: plans, requests and reports."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from upgrade_flows.errors import RequestError
from upgrade_flows.model.plan import Plan


def write_private(path: str, text: str) -> None:
    """Write a file as a whole or not at all, readable by its owner only.

    :raises RequestError: it cannot be written.
    """
    target = Path(path)
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as exc:
        raise RequestError(f"{path} cannot be written: {exc.strerror}") from exc


def read_plan(path: str) -> Plan:
    """Return the plan in a file.

    :raises RequestError: the file cannot be read, or holds no plan.
    """
    text = _read(path)
    try:
        return Plan.from_json(text)
    except RequestError as exc:
        raise type(exc)(f"{path}: {exc}") from exc


def read_request(path: str) -> dict[str, Any]:
    """Return what a request file (YAML or JSON) holds, not yet checked.

    :raises RequestError: the file cannot be read, or is no YAML.
    """
    value = _yaml(path)
    if not isinstance(value, dict):
        raise RequestError(f"{path} holds no request: expected keys such as capability and scope")
    return value


def read_mapping(path: str) -> dict[str, Any]:
    """Return the keys and values that a YAML or JSON file holds.

    :raises RequestError: the file cannot be read, or holds anything else.
    """
    value = _yaml(path)
    if not isinstance(value, dict):
        raise RequestError(f"{path} holds no settings: expected keys with values")
    return value


def read_lines(path: str) -> list[str]:
    """Return what the lines of a file say; blank ones, and what is behind a ``#``, say nothing.

    :raises RequestError: the file cannot be read.
    """
    lines = (line.partition("#")[0].strip() for line in _read(path).splitlines())
    return [line for line in lines if line]


def _yaml(path: str) -> Any:
    try:
        return yaml.safe_load(_read(path))
    except yaml.YAMLError as exc:
        raise RequestError(f"{path} is not valid YAML: {exc}") from exc


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise RequestError(f"{path} cannot be read: {reason}") from exc
