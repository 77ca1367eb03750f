"""The services' own upgrade checks: real processes that print what real ones print."""

from __future__ import annotations

import sys

import pytest

from upgrade_flows.checks import Incomplete, Limits, NothingToLookAt, Sources
from upgrade_flows.checks.upstream import Upstream, parse

TABLE = """\
+--------------------------------------------------------------------+
| Upgrade Check Results                                              |
+--------------------------------------------------------------------+
| Check: Cells v2                                                    |
| Result: Success                                                    |
| Details: None                                                      |
+--------------------------------------------------------------------+
| Check: hw_machine_type unset                                       |
| Result: Warning                                                    |
| Details: Instances found without hw_machine_type set. This warning |
|   can be ignored if your environment does not contain libvirt.     |
+--------------------------------------------------------------------+
| Check: Older than N-1 computes                                     |
| Result: Failure                                                    |
| Details: Compute service on h1 is too old.                         |
+--------------------------------------------------------------------+
"""
JSON = '{"name": "Results", "checks": [{"check": "Policy", "result": 1, "details": "x"}]}'


def program(output, code, error=""):
    text = (
        f"import sys; sys.stdout.write({output!r}); sys.stderr.write({error!r}); sys.exit({code})"
    )
    return (sys.executable, "-c", text)


def found(*commands, **limits):
    sources = Sources(upstream=commands, limits=Limits(**limits))
    return [
        (one.id, one.subject.rpartition(": ")[2], one.message) for one in Upstream().run(sources)
    ]


def test_warnings_and_failures_of_a_table_become_findings():
    assert found(program(TABLE, 2)) == [
        (
            "UF-UP-001",
            "hw_machine_type unset",
            "Instances found without hw_machine_type set. This warning can be ignored if your"
            " environment does not contain libvirt.",
        ),
        ("UF-UP-002", "Older than N-1 computes", "Compute service on h1 is too old."),
    ]


def test_json_is_understood_too():
    assert found(program(JSON, 1)) == [("UF-UP-001", "Policy", "x")]


def test_success_is_no_finding():
    assert found(program(TABLE[: TABLE.index("| Check: hw")], 0)) == []


def test_an_exit_code_that_is_worse_than_what_was_printed_counts():
    usage = program("", 2, "error: unrecognized arguments: chek")
    ((number, _, message),) = found(usage)
    assert number == "UF-UP-002"
    assert message.endswith("it ended with 2: error: unrecognized arguments: chek")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (program("Error:\nTraceback: no database", 255), "ended with 255: Error:"),
        (program("what?", 0), "ended with 0, but printed no result: what?"),
        (("/nonexistent/nova-status", "upgrade", "check"), "No such file or directory"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "did not end within 0.5 s"),
    ],
    ids=["error", "nothing", "missing", "hangs"],
)
def test_a_command_that_fails_makes_the_check_failed_and_hides_no_other(command, why):
    with pytest.raises(Incomplete) as caught:
        found(command, program(JSON, 1), upstream_s=0.5 if "sleep" in command[-1] else 60)
    assert why in str(caught.value)
    assert [one.id for one in caught.value.findings] == ["UF-UP-001"]


def test_no_shell_looks_at_the_arguments():
    script = (
        "import sys, json; print(json.dumps({'checks': [{'check': sys.argv[1], 'result': 1}]}))"
    )
    command = (sys.executable, "-c", script, "$HOME; echo *")
    (finding,) = Upstream().run(Sources(upstream=[command]))
    assert finding.subject.endswith(": $HOME; echo *")


def test_without_a_command_there_is_nothing_to_look_at():
    with pytest.raises(NothingToLookAt):
        Upstream().run(Sources())


def test_what_is_neither_table_nor_json_has_no_checks():
    assert parse("hello") == parse("[1]") == parse('{"checks": [3, {"check": "x"}]}') == []
