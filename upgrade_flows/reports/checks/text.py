"""What checks have found, and what there is to be found, as tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType

from upgrade_flows.checks import Checks, rules_of
from upgrade_flows.model.check import CheckReport, CheckState, Rule
from upgrade_flows.reports import tables, words

VERDICTS = {
    0: "Nothing stands in the way.",
    1: "There are warnings.",
    2: "Something stands in the way.",
    255: "Not everything could be checked.",
}


def parts(report: CheckReport, verbose: bool = False) -> Iterable[RenderableType]:
    """Return the report: findings, waived findings, what was not checked, and the verdict.

    :param verbose: with a line for every check.
    """
    if report.findings:
        table = tables.table(("Finding", "Severity", "Subject", "What", "What to do"))
        for one in report.findings:
            table.add_row(
                one.id,
                one.severity,
                words.safe(one.subject),
                words.safe(one.message),
                words.safe(one.remedy),
                style=tables.COLOURS.get(one.severity, ""),
            )
        yield table
        yield ""
    if report.waived:
        table = tables.table(("Waived", "Subject", "Owner", "Until", "Reason"))
        for item in report.waived:
            waiver = item.waiver
            table.add_row(
                item.finding.id,
                words.safe(item.finding.subject),
                words.safe(waiver.owner),
                str(waiver.expires),
                words.safe(waiver.reason),
            )
        yield table
        yield ""
    shown = [one for one in report.results if verbose or one.state != CheckState.DONE]
    if shown:
        table = tables.table(("Area", "Check", "State", "Seconds", "Why"), right=("Seconds",))
        for result in shown:
            colour = tables.COLOURS["error"] if result.state == CheckState.FAILED else ""
            seconds, why = f"{result.seconds:.1f}", words.safe(result.why)
            table.add_row(result.area, result.name, result.state, seconds, why, style=colour)
        yield table
        yield ""
    counts = ", ".join(
        (
            words.count(len(report.findings), "finding"),
            f"{len(report.waived)} waived",
            words.count(len(report.results), "check"),
            f"{len(report.skipped)} skipped",
            f"{len(report.failed)} failed",
        )
    )
    yield f"{VERDICTS[report.exit_code]} {counts}."


def known(checks: Checks) -> RenderableType:
    """Return the table of all that checks find."""
    table = tables.table(("Area", "Check", "Finding", "Severity", "What is found"))
    for name, check in checks.checks.items():
        for rule in check.rules:
            table.add_row(check.area, name, rule.id, rule.severity, rule.title)
    return table


def explained(checks: Checks, rule: Rule) -> str:
    """Return all that there is to say of a finding's id, a paragraph each."""
    finder = next((name for name, check in checks.checks.items() if rule in check.rules), "")
    where = f"Found by: {checks.checks[finder].area}, {finder}" if finder else "Found in: waivers"
    return "\n\n".join(
        (
            f"{rule.id} ({rule.severity}): {rule.title}",
            where,
            f"Why it matters: {rule.why}",
            f"What to do: {rule.remedy}",
        )
    )


def explain(checks: Checks, rule_id: str) -> str:
    """Return the explanation of an id.

    :raises RequestError: no check finds that.
    """
    rules = rules_of(checks)
    return explained(checks, rules[rule_id] if rule_id in rules else checks.rule(rule_id))
