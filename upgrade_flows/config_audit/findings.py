"""How a finding of the audit is made: its number, where it stands, who would notice."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from upgrade_flows.config_audit.inifile import Document, Setting
from upgrade_flows.config_audit.metadata import Option
from upgrade_flows.config_audit.services import Place, fits, rules
from upgrade_flows.model.report import Finding, Severity

#: who would notice, the gravest first
RANKS = ("data", "guest", "user", "operator")

#: findings of lines that a service cannot read: who uses it is without it then
FATAL = ("UF-CFG-001", "UF-CFG-007", "UF-CFG-008")

#: what is shown instead of a value that may be a secret
MASK = "***"

SECRETS = re.compile(r"passw|secret|token$|transport_url|connection$|(?<!public_)key$|_url$.*@")


@dataclass(frozen=True)
class Rank:
    """Who would notice a change of an option, and why."""

    name: str
    reason: str

    @property
    def felt(self) -> bool:
        """Whether anybody but the operator would notice."""
        return self.name != RANKS[-1]


@functools.cache
def rank(service: str, option: str) -> Rank:
    """Return who would notice that ``[group] name`` means something else."""
    for rule in rules()["ranks"]:
        if fits(rule, service) and re.fullmatch(rule["option"], option):
            return Rank(rule["rank"], rule["reason"])
    return Rank(RANKS[-1], "nobody else would notice")


def shown(name: str, value: str | None, option: Option | None = None) -> str:
    """Return a value as it may be shown: on one line, and no secret."""
    if value is None:
        return "(not set)"
    if (option is not None and option.secret) or SECRETS.search(name) or "@" in value:
        return MASK
    return " ".join(value.split())


def make(
    number: str,
    severity: Severity,
    document: Document,
    place: Place,
    option: str,
    message: str,
    remedy: str,
    line: int = 0,
    setting: Setting | None = None,
    known: Option | None = None,
    **evidence: Any,
) -> Finding:
    """Return a finding.

    :param option: ``[group] name``, as it is written in the file.
    :param line: where it stands, from 1; 0 if nothing in the file is its cause.
    :param known: the option in question, if there is one: it may be a secret.
    """
    noticed = rank(place.service, str(known) if known else option)
    if number in FATAL and severity == Severity.ERROR and not noticed.felt:
        noticed = Rank("user", "the service fails when it reads it")
    line = line or (setting.line if setting else 0)
    more = {"value": shown(setting.name, setting.value, known)} if setting else {}
    return Finding(
        id=number,
        subject=f"{document.path}:{line}" if line else document.path,
        severity=str(severity),
        message=message,
        remedy=remedy,
        evidence={
            "file": document.path,
            "line": line,
            "service": place.service,
            "host": place.host,
            "option": option,
            "rank": noticed.name,
            "rank_reason": noticed.reason,
            **more,
            **evidence,
        },
    )


def order(finding: Finding) -> tuple[Any, ...]:
    """Return what findings are sorted by: who notices, how bad it is, where it stands."""
    grave = (Severity.ERROR, Severity.REFUSED, Severity.WARNING, Severity.INFO)
    evidence = finding.evidence
    return (
        RANKS.index(evidence["rank"]),
        grave.index(Severity(finding.severity)),
        evidence["file"],
        evidence["line"],
        finding.id,
        evidence["option"],
    )
