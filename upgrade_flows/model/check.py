"""What checks look for, what they found, and which of it somebody has waived."""

from __future__ import annotations

import datetime
import enum
import fnmatch
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.report import Finding, Severity

#: the exit codes of a report, which are those of ``nova-status upgrade check``
SUCCESS, WARNING, FAILURE, ERROR = 0, 1, 2, 255

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.REFUSED: 2, Severity.ERROR: 3}


@dataclass(frozen=True)
class Rule:
    """What is there to be said of all findings of one id.

    :param id: ``UF-<area>-<number>``; it never changes its meaning.
    :param title: what was found, as the beginning of a sentence: "tables of several charsets".
    :param severity: the usual one; a finding may have another.
    :param why: what it leads to, and where that is known from.
    :param remedy: what to do, where a finding has nothing more special.
    """

    id: str
    title: str
    severity: str
    why: str
    remedy: str

    def found(
        self,
        subject: str,
        message: str,
        remedy: str = "",
        severity: str = "",
        **evidence: Any,
    ) -> Finding:
        """Return a finding of this id; ``evidence`` is plain JSON without secrets."""
        return Finding(
            self.id, subject, severity or self.severity, message, remedy or self.remedy, evidence
        )


@dataclass(frozen=True)
class Waiver:
    """Somebody's word that findings are known and do not stand in the way, until a day.

    :param subject: the subject of the findings, or a pattern with ``*`` and ``?``.
    :param expires: the last day on which it holds, in UTC.
    """

    id: str
    subject: str
    owner: str
    reason: str
    expires: datetime.date

    def covers(self, finding: Finding) -> bool:
        """Whether it is about that finding, whatever the day."""
        return self.id == finding.id and fnmatch.fnmatchcase(finding.subject, self.subject)


@dataclass(frozen=True)
class Waived:
    """A finding that does not count, and who says so."""

    finding: Finding
    waiver: Waiver


class CheckState(enum.StrEnum):
    """What became of a check: ``skipped``, it had nothing to look at; ``failed``, it broke."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class CheckResult:
    """One check, run once.

    :param why: why it was skipped, or how it failed.
    :param seconds: how long it took.
    """

    area: str
    name: str
    state: str
    findings: tuple[Finding, ...] = ()
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckReport:
    """All checks of a run, the worst findings first.

    :param taken_at: when they were begun, in ISO 8601 and UTC.
    :param findings: what counts, also of the waivers themselves.
    """

    taken_at: str
    results: tuple[CheckResult, ...]
    findings: tuple[Finding, ...] = ()
    waived: tuple[Waived, ...] = ()
    areas: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that broke."""
        return tuple(one for one in self.results if one.state == CheckState.FAILED)

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """The checks that had nothing to look at."""
        return tuple(one for one in self.results if one.state == CheckState.SKIPPED)

    @property
    def exit_code(self) -> int:
        """0 nothing found, 1 warnings, 2 something is in the way, 255 a check failed.

        255 also where no check had anything to look at: that nothing was found says nothing then.
        """
        if self.failed or all(one.state == CheckState.SKIPPED for one in self.results):
            return ERROR
        worst = max((rank(one) for one in self.findings), default=0)
        return (SUCCESS, WARNING, FAILURE, FAILURE)[worst]


def rank(finding: Finding) -> int:
    """Return how much a finding matters: 0 least, 3 most."""
    return _RANK[Severity(finding.severity)]


def by_weight(finding: Finding) -> tuple[int, str, str]:
    """Return what findings are sorted by: the worst first, then by id and subject."""
    return -rank(finding), finding.id, finding.subject
