"""What the services of a release know of their options, as data that comes with the package."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
import lzma
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import RequestError

#: a group and a name, as a file has them: ``("DEFAULT", "host")``
Key = tuple[str, str]

SUFFIX = ".json.xz"


@dataclass(frozen=True)
class Option:
    """One option of one release.

    :param type: the name of its type in oslo.config, in lower case (``integer``, ``hostaddress``).
    :param limits: which values it takes: ``min``, ``max``, ``choices``, ``regex``, ``item``, ...
    :param default: as plain JSON; of this machine's own, the sample's words instead.
    :param old: the names by which it is read as well.
    :param leaving: since when it is deprecated for removal; None if it is not.
    """

    group: str
    name: str
    type: str = "string"
    limits: dict[str, Any] = field(default_factory=dict)
    default: Any = None
    multi: bool = False
    old: tuple[Key, ...] = ()
    leaving: str | None = None
    reason: str = ""
    secret: bool = False

    @property
    def key(self) -> Key:
        """Its group and its name."""
        return canonical(self.group), self.name

    def __str__(self) -> str:
        return f"[{self.group}] {self.name}"


@dataclass(frozen=True)
class Service:
    """One service of one release: its options, and what they may name.

    :param version: of the package that the options were read from.
    :param libraries: of the packages whose options it has as well: name and version.
    :param plugins: the entry points that are installed with it: group, then names.
    :param modules: its Python modules.
    """

    name: str
    version: str
    libraries: dict[str, str]
    options: dict[Key, Option]
    plugins: dict[str, list[str]]
    modules: frozenset[str]

    @functools.cached_property
    def old(self) -> dict[Key, Option]:
        """The options by the old names that they are read by; not a name that is in use again."""
        found: dict[Key, Option] = {}
        for option in self.options.values():
            for group, name in option.old:
                found.setdefault((canonical(group), name), option)
        return {key: option for key, option in found.items() if key not in self.options}

    @functools.cached_property
    def groups(self) -> dict[str, str]:
        """The groups that it knows, in canonical spelling, and as they are written."""
        written = {canonical(option.group): option.group for option in self.options.values()}
        return {group: group for group, _ in self.old} | written


@dataclass(frozen=True)
class Release:
    """The services of one release.

    :param made: how the packages were chosen: ``day`` or ``constraints``.
    """

    name: str
    services: dict[str, Service]
    made: dict[str, str] = field(default_factory=dict)

    def with_service(self, service: Service) -> Release:
        """Return the release with one service more, or another one of that name."""
        return dataclasses.replace(self, services={**self.services, service.name: service})


def canonical(group: str) -> str:
    """Return a group's name as oslo.config compares it."""
    return group if group == "DEFAULT" else group.lower()


def names() -> tuple[str, ...]:
    """Return the releases that come with the package, oldest first."""
    found = (entry.name for entry in _data().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX)))


@functools.cache
def load(name: str) -> Release:
    """Return one release.

    :raises RequestError: it does not come with the package.
    """
    if name not in names():
        raise RequestError(
            f"there is no metadata of release {name}; there is of {', '.join(names())}"
        )
    return from_plain(json.loads(lzma.decompress((_data() / f"{name}{SUFFIX}").read_bytes())))


def pack(value: dict[str, Any]) -> bytes:
    """Return a release as it comes with the package: the same bytes for the same content."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def from_plain(value: dict[str, Any]) -> Release:
    """Return the release of plain JSON: ``release``, ``made`` and ``services``."""
    services = {name: service_of(name, one) for name, one in value["services"].items()}
    return Release(value["release"], services, value.get("made", {}))


def service_of(name: str, said: dict[str, Any]) -> Service:
    """Return the service of what ``reader`` prints."""
    options = [
        _option(group, option, what)
        for group, members in said["options"].items()
        for option, what in members.items()
    ]
    return Service(
        name=name,
        version=said["version"],
        libraries=said["libraries"],
        options={option.key: option for option in options},
        plugins=said["plugins"],
        modules=frozenset(said["modules"]),
    )


def _option(group: str, name: str, said: dict[str, Any]) -> Option:
    plain = {"type", "default", "multi", "old", "leaving", "reason", "secret", "required"}
    return Option(
        group=group,
        name=name,
        type=said["type"],
        limits={key: value for key, value in said.items() if key not in plain},
        default=said.get("default"),
        multi=said.get("multi", False),
        old=tuple((old_group, old_name) for old_group, old_name in said.get("old", ())),
        leaving=said.get("leaving"),
        reason=said.get("reason", ""),
        secret=said.get("secret", False),
    )


def _data() -> Any:
    return importlib.resources.files("upgrade_flows.config_audit") / "data"
