"""Whose a configuration file is, which host it is of, and what its own sections stand for."""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from upgrade_flows.config_audit.inifile import Document
from upgrade_flows.config_audit.metadata import Key, Option, Service, canonical


@dataclass(frozen=True)
class Place:
    """Where a file belongs.

    :param host: its directory that tells it from files of the same name; empty if there are none.
    :param role: the directory that is named after a process of the service, as in
        ``nova-compute/nova.conf``; files of different roles are not compared.
    """

    service: str
    host: str
    role: str
    file: str

    @property
    def process(self) -> tuple[str, str, str]:
        """What files of one process on one host have in common."""
        return self.service, self.host, self.role


@functools.cache
def rules() -> dict[str, Any]:
    """Return what is known of services beside their metadata."""
    text = (importlib.resources.files("upgrade_flows.config_audit") / "rules.toml").read_text()
    return tomllib.loads(text)


def fits(rule: dict[str, Any], service: str) -> bool:
    """Whether a rule is about a service."""
    return service in rule["services"] or rule["services"] == ["*"]


def service_of(path: str) -> str | None:
    """Return the service that reads a file of that name, or None if the name does not say."""
    file = PurePath(path)
    names = [file.name]
    if file.parent.name.endswith((".d", "-d")):
        names.append(re.sub(r"[.-]d$", "", file.parent.name))
    for service, known in rules()["files"].items():
        if any(re.fullmatch(known["pattern"], name) for name in names):
            return str(service)
    return None


def is_main(place: Place) -> bool:
    """Whether a file is the one that every process of its service reads."""
    known = rules()["files"].get(place.service)
    return not known or place.file in known["main"]


def places(files: Sequence[tuple[str, str]]) -> list[Place]:
    """Return the place of each file, of which path and service are given."""
    alike: dict[tuple[str, str, str], list[PurePath]] = defaultdict(list)
    for path, service in files:
        file = PurePath(path)
        alike[service, _role(file, service), file.name].append(file)
    found = []
    for path, service in files:
        file = PurePath(path)
        role = _role(file, service)
        host = _host(file, alike[service, role, file.name])
        found.append(Place(service, host, role, file.name))
    hosts = {one.host for one in found if one.host}
    return [
        Place(one.service, one.host or _named(path, hosts), one.role, one.file)
        for one, (path, _) in zip(found, files, strict=True)
    ]


def _role(file: PurePath, service: str) -> str:
    parents = [part for part in file.parts[:-1] if part.startswith(f"{service}-")]
    return parents[-1] if parents else ""


def _host(file: PurePath, alike: Sequence[PurePath]) -> str:
    """Return the first part of a path that not all files of its name have in common."""
    for place, part in enumerate(file.parts[:-1]):
        if any(other.parts[place : place + 1] != (part,) for other in alike):
            return part
    return ""


def _named(path: str, hosts: set[str]) -> str:
    return next((part for part in PurePath(path).parts[:-1] if part in hosts), "")


class Reading:
    """How one release of a service reads the names of one file."""

    def __init__(self, service: Service, documents: Sequence[Document]) -> None:
        self.service = service
        self._like = _sections(service.name, documents)

    def find(self, key: Key) -> Option | None:
        """Return the option that a name stands for, under its own or an old name."""
        return self.current(key) or next(
            (self.service.old[one] for one in self._keys(key) if one in self.service.old), None
        )

    def current(self, key: Key) -> Option | None:
        """Return the option of that name."""
        return next(
            (self.service.options[one] for one in self._keys(key) if one in self.service.options),
            None,
        )

    def knows(self, group: str) -> bool:
        """Whether there are options in a section."""
        return any(one in self.service.groups for one, _ in self._keys((canonical(group), "")))

    def names(self, group: str) -> list[str]:
        """Return the names of the options that a section takes."""
        groups = {one for one, _ in self._keys((canonical(group), ""))}
        return sorted(name for one, name in self.service.options if one in groups)

    def _keys(self, key: Key) -> list[Key]:
        group, name = key
        return [(one, name) for one in (group, *self._like(group))]


def _sections(service: str, documents: Sequence[Document]) -> Any:
    """Return a function: the groups that a section of the file's own is like."""
    named: dict[str, list[str]] = {}
    for rule in rules()["sections"].get(service, ()):
        for document in documents:
            for setting in document.settings:
                if [setting.group, setting.name] == rule.get("named_by"):
                    for one in re.split(r"[,\s]+", setting.value):
                        named[canonical(one.partition(":")[0])] = rule["like"]
                if setting.name == rule.get("holding"):
                    named.setdefault(canonical(setting.group), rule["like"])
    for document in documents:
        for setting in document.settings:
            if setting.name == "auth_section":
                named.setdefault(canonical(setting.value), [canonical(setting.group)])
    patterns = [(rule["pattern"], rule["like"]) for rule in rules()["sections"].get(service, ())
                if "pattern" in rule]  # fmt: skip

    def like(group: str) -> list[str]:
        if group in named:
            return named[group]
        return next((groups for pattern, groups in patterns if re.fullmatch(pattern, group)), [])

    return like
