"""Files of the same process on several hosts that do not say the same."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from upgrade_flows.config_audit import values
from upgrade_flows.config_audit.findings import make, rank, shown
from upgrade_flows.config_audit.inifile import Document
from upgrade_flows.config_audit.metadata import Key, Option
from upgrade_flows.config_audit.services import Place, Reading, rules
from upgrade_flows.model.report import Finding, Severity

#: what a host's file says of an option; None if it says nothing
Said = dict[str, str | None]


def differences(
    files: Sequence[tuple[Document, Place]], reading: Reading, service: str
) -> Iterator[Finding]:
    """Yield the options that differ between the hosts of one service.

    :param reading: how the release that the files were made for reads them.
    """
    alike: dict[tuple[str, str], list[tuple[Document, Place]]] = defaultdict(list)
    for document, place in files:
        if place.service == service:
            alike[place.role, place.file].append((document, place))
    for members in alike.values():
        if len({place.host for _, place in members}) > 1:
            yield from _among(members, reading)


def _among(members: Sequence[tuple[Document, Place]], reading: Reading) -> Iterator[Finding]:
    written: dict[Key, str] = {}
    for document, _ in members:
        for setting in document.settings:
            written.setdefault(setting.key, setting.group)
    for key, group in written.items():
        option = f"[{group}] {key[1]}"
        if re.fullmatch(rules()["per_host"]["options"], option):
            continue
        known = reading.find(key)
        said = {place.host: document.value(key) for document, place in members}
        meant = {host: _meant(value, host, known) for host, value in said.items()}
        if len(set(meant.values())) > 1:
            yield _finding(members, option, key, known, said, meant)


def _meant(value: str | None, host: str, known: Option | None) -> str:
    """Return what a value comes to, so that a default may be said or not, and names may differ."""
    if value is None:
        return values.written(known, known.default) or "" if known else ""
    if known is not None and values.same(known, value, known.default):
        return values.written(known, known.default) or ""
    own = rf"(?<![\w-]){re.escape(host)}(?![\w-])"
    return re.sub(own, "<this host>", value) if host else value


def _finding(
    members: Sequence[tuple[Document, Place]],
    option: str,
    key: Key,
    known: Option | None,
    said: Said,
    meant: dict[str, str],
) -> Finding:
    most = Counter(meant.values()).most_common(1)[0][0]
    odd = sorted(host for host, value in meant.items() if value != most)
    document, place = next((d, p) for d, p in members if p.host == odd[0])
    setting = next((one for one in reversed(document.settings) if one.key == key), None)
    noticed = rank(place.service, str(known) if known else option)
    usual = next(value for host, value in sorted(said.items()) if meant[host] == most)
    message = (
        f"{', '.join(odd)}: {shown(key[1], said[odd[0]], known)};"
        f" elsewhere: {shown(key[1], usual, known)}"
    )
    return make(
        "UF-CFG-015", Severity.WARNING if noticed.felt else Severity.INFO, document, place, option,
        f"not the same on all hosts ({message})",
        "make them alike, or know why they are not", setting=setting, known=known,
        hosts={host: shown(key[1], value, known) for host, value in sorted(said.items())},
    )  # fmt: skip
