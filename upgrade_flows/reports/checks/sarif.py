"""What checks have found, as SARIF 2.1.0 (OASIS); subjects are logical locations.

Waived findings are results with a suppression; checks that failed are notifications.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import upgrade_flows
from upgrade_flows.checks import Checks, rules_of
from upgrade_flows.model import codec
from upgrade_flows.model.check import CheckReport, Rule, Waiver
from upgrade_flows.model.report import Finding, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {
    Severity.INFO: "note",
    Severity.WARNING: "warning",
    Severity.REFUSED: "error",
    Severity.ERROR: "error",
}


def text(report: CheckReport, checks: Checks) -> str:
    """Return the report as a SARIF log of one run."""
    ids = sorted(
        {one.id for one in report.findings} | {item.finding.id for item in report.waived}
        | {rule.id for result in report.results for rule in checks.checks[result.name].rules}
    )  # fmt: skip
    rules, places = rules_of(checks), {rule_id: place for place, rule_id in enumerate(ids)}
    results = [_result(one, places) for one in report.findings]
    results += [_result(item.finding, places, item.waiver) for item in report.waived]
    run = {
        "tool": {
            "driver": {
                "name": "upgrade-flows",
                "version": str(getattr(upgrade_flows, "__version__", "0")),
                "rules": [_rule(rules[rule_id]) for rule_id in ids],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not report.failed,
                "startTimeUtc": report.taken_at,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": [
                    {
                        "level": "error" if one in report.failed else "note",
                        "message": {"text": f"{one.area}, {one.name}: {one.state}: {one.why}"},
                    }
                    for one in (*report.failed, *report.skipped)
                ],
            }
        ],
        "results": results,
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": LEVELS[Severity(rule.severity)]},
    }


def _result(one: Finding, places: dict[str, int], waiver: Waiver | None = None) -> dict[str, Any]:
    mark = hashlib.sha256(f"{one.id} {one.subject}".encode()).hexdigest()
    found: dict[str, Any] = {
        "ruleId": one.id,
        "ruleIndex": places[one.id],
        "level": LEVELS[Severity(one.severity)],
        "message": {"text": f"{one.subject}: {one.message}. {one.remedy}"},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": one.subject}]}],
        "partialFingerprints": {"finding/v1": mark},
        "properties": {"evidence": codec.to_plain(one.evidence), "remedy": one.remedy},
    }
    if waiver is not None:
        said = f"{waiver.owner} until {waiver.expires}: {waiver.reason}"
        found["suppressions"] = [{"kind": "external", "justification": said}]
    return found
