"""The services' own ``*-status upgrade check`` commands, and what they say as findings.

Their exit codes are 0 success, 1 warning, 2 failure and 255 error; they print a table, or with
``--json`` an object (oslo.upgradecheck, ``upgradecheck.py``, 2.5.0).
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from upgrade_flows.checks.base import Check, NothingToLookAt, Sources, each
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

RESULTS = {"Success": 0, "Warning": 1, "Failure": 2}

#: how much of an output that cannot be read is shown
SHOWN = 2000

WARNED = Rule(
    "UF-UP-001",
    "a service's own upgrade check warns",
    Severity.WARNING,
    "The service has looked at itself with the code of the release whose command was run. Its"
    " release notes say what the check is for.",
    "Do what the details say, then run the command again.",
)
FAILED = Rule(
    "UF-UP-002",
    "a service's own upgrade check fails",
    Severity.ERROR,
    "The service says that its upgrade would break something: after it, it would not start, or"
    " lose data.",
    "Do what the details say, then run the command again. Do not upgrade the service before.",
)


@dataclass(frozen=True)
class Said:
    """One check of a command: its name, its code (0, 1 or 2) and its details."""

    name: str
    code: int
    details: str


class Upstream(Check):
    """Runs the commands of the configuration, without a shell."""

    area = "upstream"
    title = "the services' own upgrade checks"
    rules = (WARNED, FAILED)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Run each command, one after the other."""
        if not sources.upstream:
            raise NothingToLookAt("no command is configured ([checks] upstream)")
        return each(sources.upstream, lambda command: ask(command, sources.limits.upstream_s))


def ask(command: tuple[str, ...], seconds: float) -> list[Finding]:
    """Run one command and return what it finds.

    :raises RuntimeError: it cannot be run, does not end, or ends otherwise than a check does.
    """
    line = shlex.join(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except OSError as exc:
        raise RuntimeError(f"{line}: {exc.strerror}") from exc
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{line}: it did not end within {seconds:g} s") from None
    if done.returncode not in (0, 1, 2):
        last = (done.stderr.strip() or done.stdout.strip())[-SHOWN:]
        raise RuntimeError(f"{line} ended with {done.returncode}: {last}")
    said = parse(done.stdout)
    if not said and not done.returncode:
        raise RuntimeError(f"{line} ended with 0, but printed no result: {done.stdout[:SHOWN]}")
    findings = [_finding(line, one) for one in said if one.code]
    if max((one.code for one in said), default=0) < done.returncode:
        # argparse ends with 2, too, and prints no results
        output = (done.stdout + done.stderr).strip()[-SHOWN:]
        whole = Said("", done.returncode, f"it ended with {done.returncode}: {output}")
        findings.append(_finding(line, whole))
    return findings


def parse(output: str) -> list[Said]:
    """Return the checks of an output, a table or JSON; none if it is neither."""
    try:
        plain = json.loads(output)
    except ValueError:
        return _from_table(output)
    checks = plain.get("checks", []) if isinstance(plain, dict) else []
    return [
        Said(str(one["check"]), int(one["result"]), str(one.get("details") or ""))
        for one in checks
        if _whole(one)
    ]


def _whole(one: Any) -> bool:
    return isinstance(one, dict) and "check" in one and one.get("result") in (0, 1, 2)


def _from_table(output: str) -> list[Said]:
    """Read the table: a box for each check, whose details may go over several lines."""
    found = []
    for box in re.split(r"^\+-+\+\s*$", output, flags=re.M):
        lines = [line.strip().strip("|").strip() for line in box.strip().splitlines()]
        text = "\n".join(lines)
        match = re.match(r"Check: (.*)\nResult: (\w+)\nDetails: ?(.*)", text, flags=re.S)
        if match and match[2] in RESULTS:
            details = " ".join(match[3].split())
            found.append(Said(match[1], RESULTS[match[2]], "" if details == "None" else details))
    return found


def _finding(line: str, said: Said) -> Finding:
    rule = FAILED if said.code == RESULTS["Failure"] else WARNED
    subject = f"{line}: {said.name}" if said.name else line
    return rule.found(subject, said.details or "it gives no details", f"{rule.remedy} {line}")
