"""Plans and reports of host upgrades as people read them: text, HTML, charts, runbooks, diffs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.unit.cli_samples import PLAN, FakeJournal, FakeRun, subject
from tests.unit.hosts_samples import inventory, plan_of, request, sample, scheduled, server
from tests.unit.test_reports import EVIL, Page
from upgrade_flows.model.inventory import Flavor
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout
from upgrade_flows.planning import hosts, runbook
from upgrade_flows.reports import build, diff, gantt, html, rolled, rolling, text, words
from upgrade_flows.reports import json as json_report
from upgrade_flows.reports import plan as plan_text

GOLDEN = Path(__file__).parents[1] / "golden"
BEGUN = 1_795_176_000.0


class Journal(FakeJournal):
    def steps(self, run_id, subject):
        return ()


def outcome_of(plan, window, late=1.1):
    """Return what a run might make of a host: a bit later than predicted."""
    instances = plan.action(window.host).details["instances"]
    return {
        "moves": [
            {
                "instance": id_, "name": one["name"], "source": window.host, "target": "h9",
                "how": one["how"], "attempts": 1 + (one["how"] == "cold"), "seconds": 66.0,
                "pause_s": 0.7 if one["how"] == "live" else None,
            }
            for id_, one in instances.items()
            if one["how"] in ("live", "cold")
        ],
        "stayed": [
            {"instance": id_, "name": one["name"], "why": "it is off"}
            for id_, one in instances.items()
            if one["how"] == "stay"
        ],
        "facts_before": {"kernel": "6.1"}, "facts_after": {"kernel": "6.12"},
        "rebooted": True, "canary": "ACTIVE after 12 s",
        "drain_s": (window.drained - window.start) * late, "out_s": 840.0,
    }  # fmt: skip


def reported(plan=None, failed=()):
    plan = plan or sample()
    subjects = {}
    for window in hosts.roll_of(plan.schedule).windows:
        bad = window.host in failed
        subjects[window.host] = subject(
            State.FAILED if bad else State.CHANGED,
            BEGUN + window.start * 1.1,
            BEGUN + window.end * 1.1,
            error="it does not come back" if bad else "",
            result={} if bad else outcome_of(plan, window),
        )
    run = FakeRun("20261120-aaaaaa", plan, capability="host_upgrade", size=len(subjects))
    return build.build(Journal(subjects, runs=[run]), run.id)


def every_plugin():
    """Return a plan in which each host is upgraded in another way."""
    plan = sample()
    settings = {
        "h1": ("ssh", {"packages": {"linux-image-6.12": "", "qemu": "8.2"}, "remove": ["old"],
                       "user": "op", "sudo": True, "kernel": "6.12", "address": "{host}.example",
                       "files": [{"path": "/etc/x", "line": "a*b"}]}),
        "h2": ("ansible", {"playbook": "up grade.yml", "rollback_playbook": "back.yml",
                           "inventory": "hosts.ini", "tags": ["ovs"], "extra_vars": {"v": "3"}}),
        "h3": ("command", {"command": ["/opt/up"]}),
        "h4": ("ssh", {"manager": "dnf", "packages": {"kernel": "6.12"}}),
    }  # fmt: skip
    options = {
        "h1": {"canary_instance": {"flavor": "f", "image": "cirros", "network": "n",
                                   "probe": "tcp:22"}},
        "h2": {"reboot": "never"}, "h3": {}, "h4": {"reboot": "always"},
    }  # fmt: skip
    service = {"h3": {"enabled": False, "reason": "fan"}}
    actions = tuple(
        dataclasses.replace(
            one,
            details={
                **one.details,
                "plugin": settings[one.subject][0],
                "settings": settings[one.subject][1],
                "options": options[one.subject],
                "service": service.get(one.subject, one.details["service"]),
            },
        )
        for one in plan.actions
    )
    return dataclasses.replace(plan, waves=(dataclasses.replace(plan.waves[0], actions=actions),))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("plan-hosts.txt", lambda: plan_text.text(sample())),
        ("report-hosts.txt", lambda: text.text(reported())),
        ("report-hosts-failed.txt", lambda: text.text(reported(failed=("h2",)))),
        ("runbook-hosts.md", lambda: runbook.markdown(sample())),
        ("runbook-hosts-every-plugin.md", lambda: runbook.markdown(every_plugin())),
    ],
)
def test_what_people_read_is_as_recorded(name, made):
    assert made() == (GOLDEN / name).read_text()


def test_a_plan_says_how_long_it_takes_how_good_that_is_and_who_moves_twice():
    shown = plan_text.text(sample())
    roll = hosts.roll_of(sample().schedule)
    assert f"predicted to take {words.seconds(float(roll.makespan))}." in shown
    assert f"the gap is {rolling.gap_text(roll)}." in shown
    assert "Longest pauses: " in shown


def test_only_the_first_of_many_that_move_twice_are_listed():
    servers = [server(f"s{n:02d}", "h1", Flavor("t", "tiny", 1, 1, 1)) for n in range(30)]
    found = inventory(servers, ("h1", "h2"), vcpus=64, used={"h1": 30})
    plan = plan_of(found, scheduled(found))
    roll = dataclasses.replace(
        hosts.roll_of(plan.schedule),
        moves=tuple(
            dataclasses.replace(move, why=why)
            for move in hosts.roll_of(plan.schedule).moves
            for why in ("no room on upgraded hosts", "upgraded")
        ),
    )
    lines = list(rolling.twice_lines(plan, roll))
    assert len(lines) == rolling.TWICE + 1
    assert lines[-1] == "and 10 more"


def test_a_host_for_which_no_way_is_found_has_no_times():
    large, mid = Flavor("l", "large", 6, 1, 1), Flavor("m", "mid", 4, 1, 1)
    servers = [server("a", "h1", large), server("b", "h2", mid), server("c", "h3", mid)]
    found = inventory(servers, used={"h1": 6, "h2": 4, "h3": 4}, vcpus=5)
    found.rooms["h1"].capacity["VCPU"] = 10
    plan = plan_of(found, scheduled(found))
    lines = plan_text.text(plan).splitlines()
    assert next(line for line in lines if line.startswith("3 ")).split()[1:4] == ["h1", "-", "-"]
    assert "As predicted there is no room to empty it" in runbook.markdown(plan)
    assert len(gantt.of_plan(plan).rows) == 2


def test_a_plan_as_html_has_a_row_for_each_host_and_nothing_from_outside():
    source = html.plan_page(sample())
    page = Page(source)
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("svg") == 1
    assert page.tags.count("rect") == 3 + 4  # three drains, four upgrades
    assert "Light: the host is drained" in source


def test_the_plan_of_servers_has_a_page_too_without_a_chart():
    page = Page(html.plan_page(PLAN))
    assert "svg" not in page.tags
    assert page.tags.count("table") == 3


def test_a_report_as_html_shows_predicted_above_measured():
    page = Page(html.page(reported()))
    assert page.tags.count("svg") == 2  # and the timeline of the steps
    chart = gantt.of_report(reported())
    assert chart.measured
    kinds = {bar.kind for row in chart.rows for bar in row.bars}
    assert kinds == {"drain predicted", "out predicted", "drain measured", "out measured"}
    first = chart.rows[0].bars
    assert {bar.y for bar in first} == {30, 38}


def test_html_escapes_what_others_wrote():
    plan = sample()
    action = dataclasses.replace(plan.actions[0], name=EVIL, details={
        **plan.actions[0].details, "missing": [EVIL],
        "instances": {"i": {"name": EVIL, "how": "stay", "why": EVIL}}})  # fmt: skip
    wave = dataclasses.replace(plan.waves[0], actions=(action, *plan.actions[1:]))
    evil = dataclasses.replace(plan, waves=(wave,))
    report = reported(evil, failed=(plan.actions[1].subject,))
    outcome = dataclasses.replace(
        report.outcomes[0], result={
            "moves": [{"instance": EVIL, "name": EVIL, "target": EVIL, "how": EVIL}],
            "stayed": [{"name": EVIL, "why": EVIL}], "canary": EVIL})  # fmt: skip
    report = dataclasses.replace(report, outcomes=(outcome, *report.outcomes[1:]))
    for source in (html.plan_page(evil), html.page(report)):
        assert "<script>" not in source
        assert "x&lt;script&gt;" in source
    assert "\x1b" not in plan_text.text(evil) + text.text(report) + runbook.markdown(evil)


def test_of_many_hosts_the_first_by_time_are_drawn():
    many = [
        gantt.Host(f"h{n:05d}", (gantt.Span(gantt.OUT, float(n), n + 900.0),))
        for n in reversed(range(10_000))
    ]
    chart = gantt.draw(many)
    assert (len(chart.rows), chart.more) == (300, 9_700)
    assert chart.rows[0].label == "h00000"
    assert gantt.draw([]) is None


def test_a_host_that_is_out_of_service_now_is_drawn_up_to_now():
    report = reported()
    begun = dataclasses.replace(report.outcomes[0], ended=None, result={})
    chart = gantt.of_report(dataclasses.replace(report, outcomes=(begun,)))
    assert [bar.kind for bar in chart.rows[0].bars][-1] in ("drain measured", "out predicted")


def test_the_json_report_has_all_moves_and_what_was_predicted():
    plain = json.loads(json_report.text(reported()))
    one = next(outcome for outcome in plain["outcomes"] if outcome["subject"] == "h1")
    assert set(one["predicted"]) == {"start", "drained", "end", "instances"}
    assert one["predicted"]["instances"]["s0"] == {"move_s": 60, "pause_s": 0.5}
    assert len(one["result"]["moves"]) == 3


def test_a_held_host_is_named_with_what_can_be_done_about_it():
    report = reported()
    held = dataclasses.replace(report.outcomes[1], state=State.HELD, error="it does not come back")
    shown = text.text(dataclasses.replace(report, outcomes=(report.outcomes[0], held)))
    assert "1 host held as the failure left it: 'upgrade-flows resume 20261120-aaaaaa'" in shown
    assert "'upgrade-flows skip 20261120-aaaaaa --host NAME' lets the run go on" in shown


def test_a_report_of_servers_has_no_hosts():
    assert rolled.of(dataclasses.replace(reported(), capability="recreate")) is None


def test_two_equal_plans_of_hosts_do_not_differ():
    assert diff.text(sample(), sample()).splitlines()[1:] == ["  the two would do the same"]


def test_a_diff_says_what_of_the_schedule_is_otherwise():
    before = inventory([server("a", "h1"), server("b", "h2"), server("c", "h2")])
    after = inventory([server("a", "h1"), server("d", "h2"), server("c", "h2")])
    asked = request(rollout=Rollout(2))
    old = plan_of(before, scheduled(before))
    new = plan_of(after, scheduled(after, how={"c": "cold"}, rollout=Rollout(2)), asked)
    assert diff.text(old, new).splitlines()[1:] == [
        "  ~ request rollout.at_a_time: 1 -> 2",
        "  ~ h2: instances: 1 come, 1 gone, 1 treated otherwise",
        "  ~ predicted to take 47 min -> 32 min",
        "  ~ h1: begins at 00:15 -> 00:00",
        "  ~ h2: begins at 00:31 -> 00:15",
    ]


def test_a_plan_of_hosts_is_read_from_its_file(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(sample().to_json())
    assert Plan.from_json(path.read_text()) == sample()


@pytest.mark.parametrize(
    ("seconds", "clock", "minutes"),
    [(None, "-", "-"), (59, "00:00", "0:59"), (3660, "01:01", "1:01:00"), (360000, "100:00",
     "100:00:00")],
)  # fmt: skip
def test_times_are_short_where_there_are_many(seconds, clock, minutes):
    assert (words.clock(seconds), words.minutes(seconds)) == (clock, minutes)
