"""Waivers: what they cover, until when, and what is said of those that are not whole."""

from __future__ import annotations

import datetime

import pytest

from tests.unit.check_samples import HIGH, MIDDLE, SOURCES, checks, finds
from upgrade_flows import checks as engine
from upgrade_flows.errors import RequestError

TODAY = datetime.datetime.fromtimestamp(SOURCES.now, datetime.UTC).date()
TOMORROW, YESTERDAY = TODAY + datetime.timedelta(1), TODAY - datetime.timedelta(1)


def waiver(**fields):
    given = {
        "id": "UF-TT-003",
        "subject": "cinder.volumes",
        "owner": "ann",
        "reason": "CHG-7",
        "expires": TODAY,
    } | fields
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return "- " + "\n  ".join(lines) + "\n"


def gate(tmp_path, text, *found):
    path = tmp_path / "waivers.yaml"
    path.write_text(text if text.startswith("!") else f"waivers:\n{text}")
    found = found or (HIGH.found("cinder.volumes", "m"), MIDDLE.found("cinder.volumes", "m"))
    return engine.gate(SOURCES, waiver_file=path, checks=checks(toy=finds(*found)))


def ids(report):
    return [one.id for one in report.findings]


@pytest.mark.parametrize("subject", ["cinder.volumes", "cinder.*", '"*"'])
def test_a_waiver_covers_the_findings_of_its_id_and_subject(tmp_path, subject):
    report = gate(tmp_path, waiver(subject=subject))
    assert ids(report) == ["UF-TT-002"]
    assert [(item.finding.id, item.waiver.owner) for item in report.waived] == [
        ("UF-TT-003", "ann")
    ]
    assert report.exit_code == 1


def test_a_waiver_holds_on_its_last_day_and_not_after_it(tmp_path):
    assert ids(gate(tmp_path, waiver(expires=TODAY))) == ["UF-TT-002"]
    report = gate(tmp_path, waiver(expires=YESTERDAY))
    assert ids(report) == ["UF-TT-003", "UF-CK-001", "UF-TT-002"]
    assert report.findings[1].message == f"the waiver of ann has expired on {YESTERDAY}"
    assert report.waived == ()


def test_a_waiver_that_covers_nothing_is_found(tmp_path):
    report = gate(tmp_path, waiver() + waiver(subject="cinder.volume"))
    assert ids(report) == ["UF-TT-002", "UF-CK-002"]
    assert report.findings[1].subject == "UF-TT-003 cinder.volume"


def test_waivers_of_areas_that_are_not_checked_are_left_alone(tmp_path):
    path = tmp_path / "waivers.yaml"
    path.write_text("waivers:\n" + waiver(subject="none") + waiver(expires=YESTERDAY))
    both = checks(a=finds(area="one"), b=finds(rules=(MIDDLE,), area="two"))
    assert engine.gate(SOURCES, ["two"], path, both).findings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (waiver(owner=None), "waiver 1: it has no owner"),
        (waiver(reason='"  "'), "waiver 1: it has no reason"),
        (waiver(expires=None), "waiver 1: it has no expires"),
        (waiver(expires="soon"), "waiver 1: expires is no day like 2026-12-31: 'soon'"),
        (waiver(expires="2026-02-31"), "day is out of range for month"),
        (waiver(id="UF-TT-999"), "waiver 1: no check finds UF-TT-999"),
        (waiver(until="2026-01-01"), "waiver 1: unknown key until"),
        (waiver(subject=7), "waiver 1: subject is no text: 7"),
        ("- nothing\n", "waiver 1: expected an object with id, subject"),
        ("  a: b\n", "'waivers' is no list"),
        ("!x [\n", "line 2: this is not valid YAML"),
        ("!!map {}\n", "expected one key, 'waivers', with a list"),
    ],
)
def test_a_waiver_that_is_not_whole_stops_everything_before_it_begins(tmp_path, text, said):
    with pytest.raises(RequestError) as caught:
        gate(tmp_path, text)
    assert said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(RequestError) as caught:
        gate(tmp_path, waiver(owner=None) + waiver(expires="soon"))
    assert "waiver 1: it has no owner" in str(caught.value)
    assert "waiver 2: expires" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        engine.gate(SOURCES, waiver_file=tmp_path / "none", checks=checks(toy=finds()))
