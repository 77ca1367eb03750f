"""The audit as a whole: files and two releases in, findings and patched files out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upgrade_flows.config_audit import compare, defaults, fix, hosts, inifile, services
from upgrade_flows.config_audit.change import Change
from upgrade_flows.config_audit.findings import order
from upgrade_flows.config_audit.inifile import Document
from upgrade_flows.config_audit.metadata import Release, Service
from upgrade_flows.config_audit.services import Place, Reading
from upgrade_flows.errors import RequestError
from upgrade_flows.model.report import Finding, Severity


@dataclass(frozen=True)
class Audit:
    """What was found, the gravest first.

    :param notes: what could not be looked at, and why.
    """

    old: str
    new: str
    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: nothing to do, 1: warnings, 2: errors."""
        severities = {finding.severity for finding in self.findings}
        return 2 if Severity.ERROR in severities else int(Severity.WARNING in severities)

    def patches(self) -> dict[str, tuple[str, str]]:
        """Return for each file that can be mended its new text, and the difference."""
        found = {}
        for document in self.documents:
            text = fix.patched(document, self.findings, self.new)
            if text != "".join(document.lines):
                found[document.path] = text, fix.difference(document, text)
        return found


def audit(
    old: Release, new: Release, files: Sequence[tuple[str, str]], service: str | None = None
) -> Audit:
    """Compare files with what two releases know of options.

    :param files: path and text of each.
    :param service: whose they are, where their names do not say.
    :raises RequestError: nobody knows whose a file is, or the new release has no such service.
    """
    documents = [inifile.parse(path, text) for path, text in files]
    owners = [(one.path, service or _owner(one.path)) for one in documents]
    pairs = list(zip(documents, services.places(owners), strict=True))
    notes: list[str] = []
    found: list[Finding] = []
    for process in dict.fromkeys(place.process for _, place in pairs):
        mine = [(one, place) for one, place in pairs if place.process == process]
        change = _change(old, new, process[0], [one for one, _ in mine], notes)
        for document, place in mine:
            found += compare.lines(change, document, place)
        main = next(((d, p) for d, p in mine if services.is_main(p)), None)
        if main:
            found += defaults.changed(change, *main)
        else:
            notes.append(_no_main(mine[0][1]))
    for name in dict.fromkeys(place.service for _, place in pairs):
        known = old.services.get(name) or new.services[name]
        reading = Reading(known, [one for one, place in pairs if place.service == name])
        found += hosts.differences(pairs, reading, name)
    found.sort(key=order)
    return Audit(old.name, new.name, tuple(documents), tuple(found), tuple(dict.fromkeys(notes)))


def read(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Return path and text of files; of a directory, those in it whose names say whose they are.

    :raises RequestError: one cannot be read, or there is none.
    """
    found: list[tuple[str, str]] = []
    seen: set[Path] = set()
    for path in paths:
        given = Path(path)
        members = sorted(given.rglob("*")) if given.is_dir() else [given]
        for file in members:
            wanted = not given.is_dir() or (file.is_file() and services.service_of(str(file)))
            if wanted and file.absolute() not in seen:
                seen.add(file.absolute())
                found.append((str(file), _text(file)))
    if not found:
        raise RequestError(f"there is no configuration file in {', '.join(paths)}")
    return found


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise RequestError(f"{path} cannot be read: {reason}") from exc


def _owner(path: str) -> str:
    name = services.service_of(path)
    if name is None:
        raise RequestError(f"{path}: its name does not say whose it is; say --service")
    return name


def _change(
    old: Release, new: Release, service: str, documents: Sequence[Document], notes: list[str]
) -> Change:
    after = new.services.get(service)
    if after is None:
        raise RequestError(
            f"there is no metadata of {service} {new.name}; name an environment that it is"
            " installed in with --environment"
        )
    before: Service | None = old.services.get(service)
    if before is None:
        notes.append(
            f"there is no metadata of {service} {old.name}: changed defaults are not known"
        )
    return Change(
        old=old.name,
        new=new.name,
        before=Reading(before, documents) if before else None,
        after=Reading(after, documents),
        together=tuple(documents),
    )


def _no_main(place: Place) -> str:
    where = f" on {place.host}" if place.host else ""
    return f"{place.service}{where}: its main file was not given, so changed defaults are not known"
