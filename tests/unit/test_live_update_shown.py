"""Live updates and captures as people read them: reports, pages and runbooks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.unit.cli_samples import DB_1, WEB_1, FakeJournal, FakeRun, subject
from tests.unit.live_samples import NEW, UPDATED, capture_plan, captured, live_plan
from upgrade_flows.model.plan import Wave
from upgrade_flows.model.report import State
from upgrade_flows.planning import runbook
from upgrade_flows.reports import build, html, live, text
from upgrade_flows.reports import json as json_report

GOLDEN = Path(__file__).parents[1] / "golden"


def report(plan, subjects, capability="live_update"):
    run = FakeRun("20261120-aaaaaa", plan, capability=capability)
    return build.build(FakeJournal(subjects, runs=[run]), run.id)


def updated():
    return report(live_plan(), UPDATED)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("report-live-update.txt", lambda: text.text(updated())),
        ("report-capture.txt", lambda: text.text(report(capture_plan(), captured(), "capture"))),
        ("runbook-live-update.md", lambda: runbook.markdown(live_plan())),
        ("runbook-capture.md", lambda: runbook.markdown(capture_plan())),
    ],
)
def test_what_people_read_is_as_recorded(name, made):
    assert made() == (GOLDEN / name).read_text()


def test_a_blackout_is_told_in_its_unavoidable_calls_from_the_first_one_on():
    web, _ = live.of(updated())
    assert (web.blackout_s, web.unavoidable_s, web.times) == (3.4, 2.5, "1.4")
    assert [(one.call, one.begun_s, one.seconds) for one in web.calls] == [
        ("detach volume", 0.0, 1.25),
        ("detach port", 0.5, 0.9),
        ("create port", 1.5, 0.35),
    ]
    assert [(one.what, one.old, one.new) for one in web.ids] == [
        ("server", WEB_1, NEW),
        ("port", "port-1", "port-9"),
    ]


def test_ids_of_what_was_taken_back_are_said_to_be_so():
    _, db = live.of(updated())
    assert (db.back, db.times) == (True, "-")
    assert f"server {DB_1} -> a0000000-0000-4000-8000-000000000000 (taken back)" in text.text(
        updated()
    )


def test_the_page_has_the_blackouts_the_calls_and_the_ids():
    page = html.page(updated())
    assert "<h2>Blackouts, measured</h2>" in page
    for cell in ("detach volume", "+0.5 s", "1.2 s", "3.4 s", "port-9", NEW):
        assert f"{cell}</td>" in page
    assert "<h2>Blackouts" not in html.page(report(capture_plan(), captured(), "capture"))


def test_the_page_of_a_capture_has_the_image_and_its_snapshots():
    page = html.page(report(capture_plan(), captured(), "capture"))
    assert "<h2>Captured</h2>" in page
    assert "snapshot snap-1 of volume root-1" in page
    assert "<h2>Captured</h2>" not in html.page(updated())


def test_a_capture_that_was_taken_back_is_not_shown_any_more():
    (only,) = captured().values()
    gone = {WEB_1: subject(State.UNDONE, result=only.result)}
    assert "Captured" not in text.text(report(capture_plan(), gone, "capture"))


def test_the_json_report_has_calls_and_ids():
    first = json.loads(json_report.text(updated()))["outcomes"][0]
    assert first["result"]["ports"] == {"port-1": "port-9"}
    assert first["result"]["moved"]["calls"][0]["call"] == "detach port"


def test_names_in_a_runbook_are_quoted_for_the_shell():
    plan = live_plan()
    evil = dataclasses.replace(plan.actions[0], name="a; rm -rf $HOME")
    written = runbook.markdown(dataclasses.replace(plan, waves=(Wave("w", (evil,)),)))
    assert "--wait 'a; rm -rf $HOME-surrogate'\n" in written


def test_a_cold_live_update_stops_its_original_and_does_not_pause_it():
    plan = live_plan()
    written = runbook.markdown(dataclasses.replace(plan, waves=plan.waves[1:]))
    assert f"openstack server stop {DB_1}" in written
    assert "server pause" not in written
