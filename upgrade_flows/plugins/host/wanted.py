"""What an operator wants a host to have, and in which respects a host does not have it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.plugins.host.lines import Line
from upgrade_flows.plugins.reading import Reader

KEYS = ("manager", "packages", "remove", "source", "kernel", "files")
NAME = r"[A-Za-z0-9][A-Za-z0-9+._:-]*[A-Za-z0-9+.]|[A-Za-z0-9]"
VERSION = r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*"
LATEST = "latest"

#: folder and file name extension of the package sources of each package manager
FOLDERS = {"apt": ("/etc/apt/sources.list.d", "list"), "dnf": ("/etc/yum.repos.d", "repo")}


@dataclass(frozen=True)
class Source:
    """A package source: the name of its file without extension, and the file's text."""

    name: str
    text: str

    def path(self, manager: str) -> str:
        """Return where its file is on a host with that package manager."""
        folder, extension = FOLDERS[manager]
        if manager == "apt" and re.search(r"^Types:", self.text, re.M):
            extension = "sources"
        return f"{folder}/{self.name}.{extension}"

    @property
    def content(self) -> bytes:
        """What is in the file."""
        return (self.text.rstrip("\n") + "\n").encode()


@dataclass(frozen=True)
class Wanted:
    """The packages (``""``: any version, or ``latest``), the kernel and the lines of a host."""

    manager: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    source: Source | None = None
    kernel: str = ""
    lines: tuple[Line, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.touches_packages or self.kernel or self.lines)

    @property
    def touches_packages(self) -> bool:
        """Whether the package manager has anything to do with it."""
        return bool(self.packages or self.remove or self.source)

    def managers(self) -> tuple[str, ...]:
        """Return the package managers that the host may have."""
        return (self.manager,) if self.manager else tuple(FOLDERS)

    def paths(self) -> list[str]:
        """Return the files that lines are put into, each once."""
        return list(dict.fromkeys(line.path for line in self.lines))


def read(reader: Reader) -> Wanted:
    """Take what is wanted out of settings; what is wrong goes to the reader."""
    manager = reader.text("manager", pattern="apt|dnf", like="apt or dnf")
    packages = {}
    for name, version in reader.table("packages").items():
        if not re.fullmatch(NAME, name):
            reader.complain(f"packages: {name!r} is no name of a package")
        elif not isinstance(version, str) or (version and not re.fullmatch(VERSION, version)):
            reader.complain(f'packages: {name}: a version, "latest" or "" is wanted')
        else:
            packages[name] = version
    remove = reader.words("remove", pattern=NAME, like="the name of a package")
    for name in remove:
        if name in packages:
            reader.complain(f"{name} is to be installed and to be removed")
    return Wanted(
        manager=manager,
        packages=packages,
        remove=remove,
        source=_source(reader) if reader.has("source") else None,
        kernel=reader.text("kernel", pattern=VERSION, like="the release of a kernel"),
        lines=_lines(reader),
    )


def _source(reader: Reader) -> Source | None:
    inner = reader.inner("source", reader.any("source"), ("name", "text"))
    name = inner.text("name", pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*", like="a name without extension")
    text = inner.any("text")
    if not name and not inner.complaints:
        inner.complain("name is missing")
    if not isinstance(text, str) or not text.strip():
        inner.complain("text, the content of the file, is missing")
        return None
    if re.search(r"://[^/\s@]*:[^/\s@]*@", text) or re.search(r"(?mi)^\s*password\s*=", text):
        inner.complain("text holds a password, which would be kept in plans: put it on the hosts")
    return None if inner.complaints else Source(name, text)


def _lines(reader: Reader) -> tuple[Line, ...]:
    lines: list[Line] = []
    for number, item in enumerate(reader.objects("files")):
        inner = reader.inner(f"files[{number}]", item, ("path", "line", "instead_of"))
        line = Line(inner.path("path"), inner.text("line"), inner.text("instead_of"))
        for key in ("path", "line"):
            if not getattr(line, key) and not inner.complaints:
                inner.complain(f"{key} is missing")
        try:
            re.compile(line.instead_of)
        except re.error as exc:
            inner.complain(f"instead_of is no regular expression: {exc}")
        if not inner.complaints:
            lines.append(line)
    for line in lines:
        for other in lines:
            if line is other or line.path != other.path or not line.instead_of:
                continue
            if re.search(line.instead_of, other.line) and line.line != other.line:
                reader.complain(
                    f"files: in {line.path} the line {line.line!r} would replace {other.line!r}"
                )
    return tuple(lines)


def missing(wanted: Wanted, facts: dict[str, Any]) -> list[str]:
    """Return in which respects a host, by its facts, is not as it is wanted, in words."""
    said = []
    packages, candidates = facts.get("packages", {}), facts.get("candidates", {})
    if wanted.source and facts.get("source") != "in place":
        said.append(f"package source {wanted.source.name} is not in place")
    for name, version in wanted.packages.items():
        now = packages.get(name)
        want = candidates.get(name, "") if version == LATEST else version
        if now is None:
            said.append(f"package {name} is not installed{f', {want} is wanted' if want else ''}")
        elif version == LATEST and not want:
            said.append(f"package {name} is {now}, and which version is the latest is not known")
        elif want and not is_version(now, want, facts.get("manager", "")):
            said.append(f"package {name} is {now}, {want} is wanted")
    said += [f"package {name} is still installed" for name in wanted.remove if name in packages]
    there = {(item["path"], item["line"]): item["now"] for item in facts.get("lines", [])}
    for line in wanted.lines:
        now = there.get((line.path, line.line))
        if now != line.line:
            instead = "nothing" if now is None else repr(now)
            said.append(f"{line.path} has {instead} instead of {line.line!r}")
    runs = facts.get("kernel", "an unknown kernel")
    if wanted.kernel and runs != wanted.kernel:
        said.append(f"kernel {runs} runs, {wanted.kernel} is wanted")
    return said


def is_version(installed: str, wanted: str, manager: str) -> bool:
    """Whether one of the installed versions (parted by spaces) is the wanted one.

    Of an RPM package the epoch may be left out, and the release too.
    """
    for version in installed.split():
        short = version.partition(":")[2] or version
        names = {version}
        if manager == "dnf":
            names |= {short, version.rpartition("-")[0], short.rpartition("-")[0]}
        if wanted in names:
            return True
    return False


def wants_reboot(wanted: Wanted, before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether what was changed takes effect at the next boot only."""
    if wanted.kernel and now.get("kernel") != wanted.kernel:
        return True
    if set(now.get("kernels", [])) - set(before.get("kernels", [])):
        return True
    return bool(now.get("reboot_required"))
