"""What checks have found, as JUnit's XML: an area is a suite, a finding's id is a test.

A test fails if there is a finding of its id that counts and is more than information.
"""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree as Xml

from upgrade_flows.checks import Checks, waivers
from upgrade_flows.model.check import CheckReport, CheckResult, CheckState, Rule, rank
from upgrade_flows.model.report import Finding
from upgrade_flows.reports import words


def text(report: CheckReport, checks: Checks) -> str:
    """Return the report as a document of ``testsuites``."""
    root = Xml.Element("testsuites", name="upgrade-flows check")
    counting: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        counting[finding.id].append(finding)
    waived: dict[str, list[str]] = defaultdict(list)
    for item in report.waived:
        waived[item.finding.id].append(
            f"waived by {item.waiver.owner} until {item.waiver.expires}: {_line(item.finding)}"
        )
    suites: dict[str, Xml.Element] = {}

    def suite_of(area: str) -> Xml.Element:
        if area not in suites:
            suites[area] = Xml.SubElement(
                root, "testsuite", name=area, timestamp=report.taken_at.removesuffix("Z")
            )
        return suites[area]

    for result in report.results:
        rules = checks.checks[result.name].rules
        for rule in rules:
            case = _case(suite_of(result.area), f"{result.area}.{result.name}", rule)
            case.set("time", f"{result.seconds / len(rules):.3f}")
            _fill(case, result, counting[rule.id], waived[rule.id])
    for rule in waivers.RULES:
        if counting[rule.id]:
            _judge(_case(suite_of("waivers"), "waivers", rule), counting[rule.id], [])
    for suite in (*suites.values(), root):
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f".//{tag}"))))
        suite.set("tests", str(len(suite.findall(".//testcase"))))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Xml.Element, classname: str, rule: Rule) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname=classname, name=f"{rule.id} {rule.title}")


def _fill(
    case: Xml.Element, result: CheckResult, findings: list[Finding], waived: list[str]
) -> None:
    if result.state == CheckState.FAILED:
        Xml.SubElement(case, "error", message=words.safe(result.why), type="failed")
    elif result.state == CheckState.SKIPPED:
        Xml.SubElement(case, "skipped", message=words.safe(result.why))
    else:
        _judge(case, findings, waived)


def _judge(case: Xml.Element, findings: list[Finding], waived: list[str]) -> None:
    bad = [one for one in findings if rank(one)]
    if bad:
        message = words.safe(bad[0].message) if len(bad) == 1 else f"{len(bad)} findings"
        failure = Xml.SubElement(case, "failure", message=message, type=bad[0].severity)
        failure.text = "\n".join(_line(one) for one in bad)
    said = [*(_line(one) for one in findings if not rank(one)), *waived]
    if said:
        Xml.SubElement(case, "system-out").text = words_of(said)


def words_of(lines: list[str]) -> str:
    """Return lines as one text, safe to print."""
    return "\n".join(words.safe(line) for line in lines)


def _line(one: Finding) -> str:
    return words.safe(f"{one.severity}: {one.subject}: {one.message}; {one.remedy}")
