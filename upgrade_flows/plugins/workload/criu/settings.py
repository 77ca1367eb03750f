"""The settings of the plugin ``criu``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.plugins.reading import Reader
from upgrade_flows.plugins.workload import shell
from upgrade_flows.plugins.workload.hooks.settings import command, limits
from upgrade_flows.plugins.workload.shell import SshSettings

#: seconds for each phase, and for a guest to take commands at all
LIMITS: dict[str, float] = {
    "reach": 300.0,
    "check": 120.0,
    "update": 3600.0,
    "prepare": 900.0,
    "quiesce": 120.0,
    "resume": 120.0,
    "withdraw": 120.0,
    "restore": 120.0,
}

#: which processes: exactly one of them
ROOTS = ("pid", "pidfile", "command_pattern")
KEYS = ("ssh", *ROOTS, "images", "mount", "predump", "options", "start", "update", "timeout_s")

#: no blank, no quote: they are words of scripts
PATH = r"(/[A-Za-z0-9._+-]+)+"
OPTION = r"--[a-z][a-z0-9-]*(=[A-Za-z0-9._+,:/\[\]-]+)?"

#: what the plugin says itself
OURS = (
    *("--tree", "--images-dir", "--log-file", "--prev-images-dir", "--pidfile", "--work-dir"),
    *("--tcp-established", "--tcp-close", "--network-lock", "--restore-detached", "--track-mem"),
    *("--leave-running", "--leave-stopped", "--lazy-pages", "--page-server", "--stream"),
)


@dataclass(frozen=True)
class CriuSettings:
    """Which processes are moved, and where their images are kept meanwhile.

    :param pid: of the root of the tree; else ``pidfile``, a file that it is in, or
        ``command_pattern``, which its command line matches.
    :param images: a folder on a data volume that is carried.
    :param mounts: where data volumes are mounted, by their index in the order of the devices.
    :param predump: how often memory is written down beforehand.
    :param options: more words for criu, at the dump and at the restore.
    :param start: a command that starts the workload anew in the original, where its processes
        cannot be brought back.
    :param update: a command that updates a boot disk.
    """

    ssh: SshSettings
    pid: int = 0
    pidfile: str = ""
    command_pattern: str = ""
    images: str = ""
    mounts: dict[int, str] = field(default_factory=dict)
    predump: int = 0
    options: tuple[str, ...] = ()
    start: str = ""
    update: str = ""
    limits: dict[str, float] = field(default_factory=lambda: dict(LIMITS))


def read(settings: dict[str, Any]) -> CriuSettings:
    """Understand settings.

    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the workload plugin criu", settings, KEYS)
    found = CriuSettings(
        ssh=shell.read(reader),
        pid=_number(reader, "pid", 0, 2, 2**22),
        pidfile=reader.path("pidfile"),
        command_pattern=_pattern(reader),
        images=reader.text("images", pattern=PATH, like="the absolute path of a folder"),
        mounts=_mounts(reader),
        predump=_number(reader, "predump", 0, 0, 20),
        options=reader.words("options", pattern=OPTION, like="an option as --name or --name=value"),
        start=command(reader, "start"),
        update=command(reader, "update"),
        limits=limits(reader, LIMITS),
    )
    if len([root for root in ROOTS if reader.has(root)]) != 1:
        reader.complain(f"exactly one of {', '.join(ROOTS)} is wanted")
    ours = [word for word in found.options if word.partition("=")[0] in OURS]
    if ours:
        reader.complain(f"options: {', '.join(ours)} is not left to you")
    if not any(within(found.images, point) for point in found.mounts.values()):
        reader.complain("images: a folder on one of the volumes of mount is wanted")
    reader.finish()
    return found


def within(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, or is it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _number(reader: Reader, key: str, default: int, least: int, most: int) -> int:
    value = reader.any(key, default)
    if not reader.has(key):
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        reader.complain(f"{key}: a number from {least} to {most} is wanted")
        return default
    return value


def _pattern(reader: Reader) -> str:
    value = reader.text("command_pattern")
    try:
        re.compile(value)
    except re.error as exc:
        reader.complain(f"command_pattern: no regular expression: {exc}")
        return ""
    if reader.has("command_pattern") and not value:
        reader.complain("command_pattern: it is empty")
    return value


def _mounts(reader: Reader) -> dict[int, str]:
    found: dict[int, str] = {}
    table = reader.table("mount")
    inner = reader.inner("mount", table, table)
    for key in table:
        if not re.fullmatch(r"\d{1,2}", str(key)):
            inner.complain(f"{key}: the index of a data volume is wanted, from 0 on")
            continue
        point = inner.text(key, pattern=PATH, like="the absolute path of a folder")
        if not point or point in found.values():
            inner.complain(f"{key}: a folder of its own is wanted")
            continue
        found[int(key)] = point
    return found
