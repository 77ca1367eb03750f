"""Whether an option takes a value, and whether two values are the same to it.

The types are oslo.config's own; what it does not know of (a service's own type) takes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from oslo_config import types

from upgrade_flows.config_audit.metadata import Option

#: types by name, with the limits that they take
KNOWN: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "boolean": (types.Boolean, ()),
    "integer": (types.Integer, ("min", "max", "choices")),
    "float": (types.Float, ("min", "max")),
    "port": (types.Port, ("min", "max", "choices")),
    "string": (types.String, ("choices", "max_length", "ignore_case")),
    "multistring": (types.String, ()),
    "uri": (types.URI, ("max_length", "schemes")),
    "hostaddress": (types.HostAddress, ("version",)),
    "hostname": (types.Hostname, ()),
    "hostdomain": (types.HostDomain, ("version",)),
    "ipaddress": (types.IPAddress, ("version",)),
}

#: what of a value depends on other options, or on the machine
REFERENCE = re.compile(r"\$|<.*>|\(\)")


def parsed(option: Option, raw: str) -> Any:
    """Return what an option makes of a value.

    :raises ValueError: it does not take it; the message says why.
    """
    return _converter(option.type, option.limits)(raw)


def problem(option: Option, raw: str) -> str:
    """Return why an option does not take a value; empty if it does, or nobody can say."""
    if "$" in raw:
        return ""
    try:
        parsed(option, raw)
    except ValueError as exc:
        return " ".join(str(exc).split())
    return ""


def same(option: Option, raw: str, default: Any) -> bool:
    """Whether a value in a file says what a default says."""
    try:
        return bool(parsed(option, raw) == parsed(option, written(option, default) or ""))
    except ValueError:
        return raw == written(option, default)


def equal(one: Option, other: Option) -> bool:
    """Whether the defaults of an option in two releases mean the same."""
    if one.default == other.default:
        return True
    if one.default in (None, "", [], {}) and other.default in (None, "", [], {}):
        return True
    if one.default is None or other.default is None:
        return False
    try:
        return bool(parsed(other, written(other, one.default) or "") == _default(other))
    except ValueError:
        return False


def written(option: Option, default: Any) -> str | None:
    """Return a default as a file has it for an option; None if a file cannot say it."""
    if default is None:
        return None
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, list):
        said = ",".join(str(one) for one in default)
        return f"[{said}]" if option.limits.get("bounds") else said
    if isinstance(default, dict):
        said = ",".join(f"{key}:{value}" for key, value in default.items())
        return f"{{{said}}}" if option.limits.get("bounds") else said
    return str(default)


def _default(option: Option) -> Any:
    return parsed(option, written(option, option.default) or "")


def _converter(name: str, limits: dict[str, Any]) -> Any:
    if name == "list":
        item = _item(limits)
        return types.List(item, bounds=bool(limits.get("bounds")))
    if name == "dict":
        return types.Dict(_item(limits), bounds=bool(limits.get("bounds")))
    if name not in KNOWN:
        return str
    make, taken = KNOWN[name]
    said = {key: value for key, value in limits.items() if key in taken}
    if name == "string" and "regex" in limits and "choices" not in limits:
        said["regex"] = limits["regex"]
    return make(**said)


def _item(limits: dict[str, Any]) -> Any:
    inner = limits.get("item", {"type": "string"})
    return _converter(inner["type"], inner)
