"""Prints what an installed service knows of its options; run by that environment's own Python.

Needs the standard library and the environment's oslo.config, nothing of this project: it is given
to another interpreter as a file.  ``python reader.py DISTRIBUTION [DISTRIBUTION ...]`` prints one
JSON object: see ``metadata.Service``.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import re
import socket
import sys
from typing import Any

#: entry points that hold options, not plugins which an option may name
OPTIONS = "oslo.config.opts"

#: libraries that services use where they are installed, though they do not ask for them
OPTIONAL = ("osprofiler",)

#: namespaces of options that no service reads: a client's own functional tests
OTHERS = ("manilaclient.config", "heat_integrationtests.common.config")

#: as many processors as no machine has, so that what is made of their number is told
PROCESSORS = 99991

#: types of options that are no types of oslo.config
BUILT_IN: dict[type, str] = {str: "string", int: "integer", float: "float", bool: "boolean"}

#: attributes of a type that say which values it takes
LIMITS = ("min", "max", "max_length", "ignore_case", "bounds", "max_schemes", "schemes", "version")


def canonical(name: str) -> str:
    """Return a distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, importlib.metadata.Distribution]:
    """Return the distributions of this environment by name."""
    return {canonical(one.metadata["Name"]): one for one in importlib.metadata.distributions()}


def needed(names: list[str], known: dict[str, Any]) -> list[str]:
    """Return the names of some distributions and of all that they need, extras left out."""
    found: list[str] = []
    waiting = [canonical(name) for name in (*names, *OPTIONAL)]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.append(name)
        for line in known[name].requires or ():
            requirement, _, marker = line.partition(";")
            match = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
            if match and "extra" not in marker:
                waiting.append(canonical(match[0]))
    return sorted(found)


def namespaces(names: list[str], known: dict[str, Any]) -> dict[str, str]:
    """Return the namespaces of options that some distributions offer; why, if one does not load."""
    found = {}
    for name in names:
        for point in known[name].entry_points:
            if point.group == OPTIONS and point.name not in OTHERS:
                try:
                    point.load()
                    found[point.name] = ""
                except Exception as exc:
                    found[point.name] = f"{type(exc).__name__}: {exc}"
    return dict(sorted(found.items()))


def offers(distribution: importlib.metadata.Distribution) -> bool:
    """Whether a distribution has options."""
    return any(point.group == OPTIONS for point in distribution.entry_points)


def of_processors(value: float) -> bool:
    """Whether a number is that of processors, or about a part or a multiple of it."""
    parts = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
    return any(abs(value - PROCESSORS * part) <= 2 for part in parts)


def plain(value: Any) -> Any:
    """Return a default as JSON, without what belongs to this machine."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (int, float)) and of_processors(value):
        return "<number of processors>"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value).replace(sys.prefix, "<prefix>").replace(os.getcwd(), "<directory>")
    for name in (socket.getfqdn(), socket.gethostname()):
        text = "<host>" if name and text == name else text
    return text


def kind(type_: Any) -> dict[str, Any]:
    """Return what a type is called and which values it takes."""
    name = BUILT_IN.get(type_) if isinstance(type_, type) else None
    said: dict[str, Any] = {"type": name or type(type_).__name__.lower()}
    for name in LIMITS:
        value = getattr(type_, name, None)
        if name in ("min", "max") and isinstance(plain(value), str):
            continue  # it is another one on every machine
        if value is not None and value is not False and value != []:
            said[name] = plain(value)
    choices = getattr(type_, "choices", None)
    if choices:
        said["choices"] = [plain(one) for one in choices]
    regex = getattr(type_, "regex", None)
    if regex is not None:
        said["regex"] = getattr(regex, "pattern", str(regex))
    for name in ("item_type", "value_type"):
        inner = getattr(type_, name, None)
        if inner is not None and type(inner).__name__ not in ("String", "function", "type"):
            said["item"] = kind(inner)
    return said


def described(opt: Any, group: str) -> dict[str, Any]:
    """Return what the audit needs to know of one option."""
    said = kind(opt.type)
    if getattr(opt, "multi", False):
        said["multi"] = True
    shown = opt.sample_default if opt.sample_default is not None else opt.default
    if shown is not None:
        said["default"] = plain(shown)
    old = [[one.group or group, (one.name or opt.name).replace("-", "_")]
           for one in opt.deprecated_opts]  # fmt: skip
    if old:
        said["old"] = old
    if opt.deprecated_for_removal:
        said["leaving"] = str(opt.deprecated_since or "")
        said["reason"] = " ".join(str(opt.deprecated_reason or "").split())
    for name in ("required", "secret"):
        if getattr(opt, name, False):
            said[name] = True
    return said


def credentials() -> list[Any]:
    """Return the options that a group takes in which a way to authenticate is configured."""
    try:
        from keystoneauth1 import loading
    except ImportError:
        return []
    found = list(loading.get_session_conf_options())
    loader: Any
    for _, loader in sorted(loading.get_available_plugin_loaders().items()):
        found += [one._to_oslo_opt() for one in loader.get_options()]
    return found


def options(wanted: list[str]) -> dict[str, dict[str, Any]]:
    """Return the options of some namespaces: group, then name."""
    from oslo_config import generator

    groups: dict[str, dict[str, Any]] = {}
    for _, listing in generator._list_opts(wanted):
        for group, opts in listing:
            name = getattr(group, "name", group) or "DEFAULT"
            for opt in opts:
                groups.setdefault(name, {})[opt.dest] = described(opt, name)
    more = credentials() if any("auth_type" in group for group in groups.values()) else []
    for name, group in groups.items():
        for opt in more if "auth_type" in group else ():
            said = described(opt, name)
            said.pop("required", None)  # by one of the ways to authenticate only
            known = group.setdefault(opt.dest, said)
            for each in ("old", "secret"):  # not every way says so
                if each in said:
                    known.setdefault(each, said[each])
    return groups


def plugins(names: list[str], known: dict[str, Any]) -> dict[str, list[str]]:
    """Return the entry points that options may name: group, then their names."""
    found: dict[str, set[str]] = {}
    for name in names:
        for point in known[name].entry_points:
            if not point.group.startswith(("openstack.", OPTIONS, "console_scripts")):
                found.setdefault(point.group, set()).add(point.name)
    return {group: sorted(points) for group, points in sorted(found.items())}


def modules(names: list[str], known: dict[str, Any]) -> list[str]:
    """Return the Python modules of some distributions, tests left out."""
    found = set()
    for name in names:
        for file in known[name].files or ():
            parts = file.parts
            if file.suffix == ".py" and ".." not in parts and "tests" not in parts:
                dotted = ".".join(parts)[: -len(".py")]
                found.add(dotted.removesuffix(".__init__"))
    return sorted(found)


def read(own: list[str]) -> dict[str, Any]:
    """Return what the first distribution, with others that extend it, knows of its options."""
    known = installed()
    missing = [name for name in own if canonical(name) not in known]
    if missing:
        raise SystemExit(f"not installed in {sys.prefix}: {', '.join(missing)}")
    names = needed(own, known)
    found = namespaces(names, known)
    broken = {
        name: found[name]
        for each in own
        for name in namespaces([canonical(each)], known)
        if found[name]
    }
    if broken:  # what is left out would look as if it had been removed
        raise SystemExit("; ".join(f"{name}: {why}" for name, why in broken.items()))
    return {
        "distribution": own[0],
        "version": known[canonical(own[0])].version,
        "libraries": {name: known[name].version for name in names if offers(known[name])},
        "left_out": {name: why for name, why in found.items() if why},
        "options": options([name for name, why in found.items() if not why]),
        "plugins": plugins(names, known),
        "modules": modules([canonical(name) for name in own], known),
    }


if __name__ == "__main__":
    os.cpu_count = multiprocessing.cpu_count = lambda: PROCESSORS
    print(json.dumps(read(sys.argv[1:]), sort_keys=True))
