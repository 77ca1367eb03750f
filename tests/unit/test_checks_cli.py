"""``upgrade-flows check``: its exit codes, its formats, and what it says of itself."""

from __future__ import annotations

import json
from xml.etree import ElementTree as Xml

import pytest

from tests.unit.check_samples import HIGH, LOW, MIDDLE, check, checks, command, finds
from tests.unit.cli_samples import Terminal
from upgrade_flows.checks import NothingToLookAt, Sources

EVIL = "web\x1b[31m\n<b>&"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def broken(sources):
    raise RuntimeError("no answer")


def nothing(sources):
    raise NothingToLookAt("no database of cinder is configured")


def sample():
    return checks(
        bad=check(broken, MIDDLE, area="cloud"),
        good=finds(HIGH.found(EVIL, "it is bad", tables=["a"]), area="database", rules=(HIGH,)),
        none=check(nothing, LOW, area="database"),
    )


WAIVERS = "waivers: [{id: UF-TT-003, subject: '*', owner: ann, reason: CHG-7, expires: 2999-01-01}]"


@pytest.mark.parametrize(
    ("found", "code"),
    [([], 0), ([MIDDLE.found("s", "m")], 1), ([HIGH.found("s", "m")], 2)],
    ids=["nothing", "warning", "error"],
)
@pytest.mark.parametrize("how", ["table", "json", "junit", "sarif"])
def test_the_exit_code_is_the_same_in_every_format(found, code, how):
    assert command("check", "-f", how, checks=checks(toy=finds(*found)))[0] == code


def test_a_failed_check_is_reported_beside_what_the_others_found():
    code, out, _ = command("check", checks=sample())
    assert code == 255
    assert "UF-TT-003   error" in out
    assert "web�[31m <b>&" in out
    assert "RuntimeError: no answer" in out
    assert "no database of cinder is configured" in out
    assert out.splitlines()[-1] == (
        "Not everything could be checked. 1 finding, 0 waived, 3 checks, 1 skipped, 1 failed."
    )


def test_json_says_everything():
    code, out, _ = command("check", "-f", "json", checks=sample())
    plain = json.loads(out)
    assert (code, plain["exit_code"], plain["areas"]) == (255, 255, ["cloud", "database"])
    assert plain["findings"] == [
        {
            "id": "UF-TT-003",
            "subject": EVIL,
            "severity": "error",
            "message": "it is bad",
            "remedy": "run that",
            "evidence": {"tables": ["a"]},
        }
    ]
    assert [(one["name"], one["state"], one["why"]) for one in plain["checks"]] == [
        ("bad", "failed", "RuntimeError: no answer"),
        ("good", "done", ""),
        ("none", "skipped", "no database of cinder is configured"),
    ]


def test_junit_has_a_suite_for_each_area_and_a_test_for_each_id():
    root = Xml.fromstring(command("check", "-f", "junit", checks=sample())[1])
    seen = {
        case.get("name"): [child.tag for child in case]
        for suite in root
        for case in suite.findall("testcase")
    }
    assert [suite.get("name") for suite in root] == ["cloud", "database"]
    assert seen == {
        "UF-TT-002 a thing": ["error"],
        "UF-TT-003 a heavy thing": ["failure"],
        "UF-TT-001 a light thing": ["skipped"],
    }
    counts = [root.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "1", "1", "1"]
    assert "web�[31m <b>&: it is bad; run that" in root.find(".//failure").text


def test_sarif_has_rules_results_and_what_failed(tmp_path):
    (tmp_path / "w.yaml").write_text(WAIVERS)
    words = ["check", "-f", "sarif", "--waivers", "w.yaml"]
    log = json.loads(command(*words, checks=sample())[1])
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["UF-TT-001", "UF-TT-002", "UF-TT-003"]
    (result,) = run["results"]
    assert (result["level"], rules[result["ruleIndex"]]["id"]) == ("error", "UF-TT-003")
    assert result["suppressions"] == [
        {"kind": "external", "justification": "ann until 2999-01-01: CHG-7"}
    ]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert [item["level"] for item in invocation["toolExecutionNotifications"]] == ["error", "note"]


def test_waived_findings_are_shown_and_do_not_count(tmp_path):
    (tmp_path / "w.yaml").write_text(WAIVERS)
    toy = checks(toy=finds(HIGH.found("s", "m")))
    code, out, _ = command("check", "--waivers", "w.yaml", checks=toy)
    assert code == 0
    assert "UF-TT-003   s         ann     2999-01-01   CHG-7" in out
    assert "Nothing stands in the way. 0 findings, 1 waived" in out


def test_the_report_goes_to_a_file_if_that_is_wanted(tmp_path):
    toy = checks(toy=finds(HIGH.found("s", "m")))
    assert command("check", "-f", "json", "-o", "out.json", checks=toy) == (2, "", "")
    assert json.loads((tmp_path / "out.json").read_text())["exit_code"] == 2


def test_a_terminal_is_told_of_each_check_that_ends():
    stderr = Terminal()
    command("check", checks=sample(), stderr=stderr)
    lines = sorted(line.partition("] ")[2] for line in stderr.getvalue().splitlines())
    assert lines == [
        "cloud, bad: failed: RuntimeError: no answer (0.0 s)",
        "database, good: 1 finding (0.0 s)",
        "database, none: skipped: no database of cinder is configured (0.0 s)",
    ]


def test_an_id_is_explained():
    code, out, _ = command("check", "--explain", "UF-TT-003", checks=sample())
    assert code == 0
    assert out == (
        "UF-TT-003 (error): a heavy thing\n\nFound by: database, good\n\n"
        "Why it matters: It will hurt.\n\nWhat to do: run that\n"
    )


def test_the_ids_of_waivers_are_explained_too():
    assert "Found in: waivers" in command("check", "--explain", "UF-CK-001", checks=sample())[1]


def test_everything_that_is_looked_for_is_listed():
    code, out, _ = command("check", "--list", checks=sample())
    assert code == 0
    assert [line.split()[:4] for line in out.splitlines()[2:]] == [
        ["cloud", "bad", "UF-TT-002", "warning"],
        ["database", "good", "UF-TT-003", "error"],
        ["database", "none", "UF-TT-001", "info"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explain", "UF-XX-001"], "no check finds UF-XX-001; 'upgrade-flows check --list'"),
        (["nothing"], "there are no checks of nothing; areas are cloud, database"),
        (["--waivers", "none.yaml"], "none.yaml cannot be read: No such file"),
        (["--list", "cloud"], "--explain and --list go without an area"),
    ],
)
def test_what_is_not_understood_is_said_before_anything_is_looked_at(words, said):
    code, out, err = command("check", *words, checks=sample())
    assert (code, out) == (2, "")
    assert said in err


def test_the_cloud_is_connected_to_only_if_a_check_looks_at_it():
    connected = []

    class Cloud:
        def check_credentials(self):
            connected.append(1)

    looks = check(lambda sources: filter(None, [sources.cloud and None]), LOW)
    command("check", checks=checks(a=finds()), cloud=Cloud())
    assert connected == []
    assert command("check", checks=checks(a=looks, b=looks), cloud=Cloud())[0] == 0
    assert connected == [1]


def test_the_configuration_reaches_the_checks_and_no_url_is_shown(tmp_path):
    seen = []

    def look(sources: Sources):
        names = [one.name for one in sources.databases()]
        seen.append((names, sources.target, sources.limits.stuck_s, sources.upstream))
        sources.database("cinder").rows("SELECT 1")
        return []

    (tmp_path / "c.conf").write_text(
        "[checks]\nstuck_s = 90\ntarget = 2024.1\nupstream = nova-status 'upgrade check'\n"
        "[databases]\ncinder = mysql+pymysql://reader:s3cret@127.0.0.1:1/cinder\n"
        "nova_cell = cell1 sqlite://\nnova_cell = cell0 sqlite://\n"
    )
    toy = checks(toy=check(look, LOW))
    code, out, err = command("--config-file", "c.conf", "--debug", "check", checks=toy)
    assert seen == [
        (
            ["cinder", "nova_cell:cell1", "nova_cell:cell0"],
            "2024.1",
            90.0,
            (("nova-status", "upgrade check"),),
        )
    ]
    assert code == 255
    assert "DatabaseError: the database of cinder: (2003, " in out
    assert "s3cret" not in out + err + "".join(p.read_text() for p in tmp_path.glob("**/*.log"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cinder = my secret s3cret", "the URL of the database of cinder cannot be understood"),
        ("cinder = oracle://u:s3cret@h/x", "database of cinder is of an unknown kind"),
        ("cinder = mysql+nodriver://u:s3cret@h/x", "of cinder cannot be understood"),
        ("nova_cell = mysql://u:s3cret@h/x", "nova_cell number 1 is not a name"),
        ("nova_cell = a sqlite://\nnova_cell = a sqlite://", "two cells are called a"),
    ],
)
def test_a_url_that_is_wrong_is_an_error_that_does_not_show_it(tmp_path, line, said):
    (tmp_path / "c.conf").write_text(f"[databases]\n{line}\n")
    code, out, err = command("--config-file", "c.conf", "check", checks=checks(toy=finds()))
    assert (code, out) == (2, "")
    assert said in err
    assert "s3cret" not in err
