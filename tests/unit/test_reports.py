"""Plans and reports as people and programs read them."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.unit.cli_samples import ALL_WELL, DB_1, MIXED, PLAN, WEB_1, FakeJournal, action, subject
from upgrade_flows.model.plan import Wave
from upgrade_flows.model.report import Finding, Residue, State
from upgrade_flows.planning import runbook
from upgrade_flows.reports import build, diff, html, residue, text, words
from upgrade_flows.reports import json as json_report
from upgrade_flows.reports import plan as plan_text

GOLDEN = Path(__file__).parents[1] / "golden"
EVIL = "x<script>alert(1)</script>\x1b[31m"


def report(subjects, state="changed"):
    return build.build(FakeJournal(subjects, state), "20261120-aaaaaa")


def every_strategy():
    wave = Wave(
        "all",
        tuple(
            action(f"id-{strategy}", f"vm-{strategy}", strategy, volumes=volumes)
            for strategy, volumes in (
                ("rebind", ()),
                ("cold-migrate", ()),
                ("shelve", ()),
                ("recreate", ("volume-1", "volume-2")),
                ("snapshot", ("volume-1",)),
            )
        ),
    )
    return dataclasses.replace(PLAN, waves=(wave,))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("plan-show.txt", lambda: plan_text.text(PLAN)),
        ("report-changed.txt", lambda: text.text(report(ALL_WELL))),
        ("report-residue.txt", lambda: text.text(report(MIXED, "residue"))),
        ("runbook.md", lambda: runbook.markdown(PLAN)),
        ("runbook-every-strategy.md", lambda: runbook.markdown(every_strategy())),
    ],
)
def test_what_people_read_is_as_recorded(name, made):
    assert made() == (GOLDEN / name).read_text()


def test_a_plan_without_actions_says_that_there_is_nothing_to_do():
    plan = dataclasses.replace(PLAN, waves=(), findings=())
    assert plan_text.text(plan).splitlines()[-2:] == [
        "Unchanged: 1 server in scope needs nothing.",
        "There is nothing to do.",
    ]


def test_the_predicted_time_of_a_wave_counts_its_window():
    actions = tuple(action(f"s{n}", f"s{n}", "rebind", downtime=7.0) for n in range(5))
    assert words.wave_seconds(Wave("w", actions, at_a_time=2)) == 30.0


def test_names_cannot_command_the_terminal_or_the_markup():
    plan = dataclasses.replace(PLAN, waves=(Wave("w", (action("s", EVIL, "rebind"),)),))
    shown = plan_text.text(plan)
    assert "\x1b" not in shown
    assert "x<script>alert(1)</script>�[31m" in shown


def test_a_stopped_server_is_neither_stopped_nor_started_in_its_runbook():
    plan = dataclasses.replace(
        PLAN, waves=(Wave("w", (action("s", "s", "rebind", status="SHUTOFF"),)),)
    )
    assert re.findall(r"openstack server (?:stop|start)", runbook.markdown(plan)) == []


def test_names_in_a_runbook_are_quoted_for_the_shell():
    plan = dataclasses.replace(
        PLAN, waves=(Wave("w", (action("s", "a; rm -rf $HOME", "snapshot"),)),)
    )
    assert "--wait 'a; rm -rf $HOME'\n" in runbook.markdown(plan)


def test_two_equal_plans_do_not_differ():
    assert diff.text(PLAN, PLAN).splitlines()[1:] == ["  the two would do the same"]


def test_a_diff_names_what_is_gone_new_and_changed():
    other = dataclasses.replace(
        PLAN,
        request=dataclasses.replace(
            PLAN.request, target=dataclasses.replace(PLAN.request.target, strategy="shelve")
        ),
        waves=(
            PLAN.waves[0],
            Wave(
                "wave-1",
                (
                    action(PLAN.actions[1].subject, "web-2", "shelve", ("asked for",)),
                    action("new", "api-1", "rebind"),
                ),
            ),
        ),
        findings=(Finding("UF-RC-001", "x", "refused", "x: is locked"),),
    )
    assert diff.text(PLAN, other).splitlines()[1:] == [
        '  ~ request target.strategy: auto -> shelve',
        "  + api-1: rebind",
        "  - db[red]-1: snapshot",
        "  ~ web-2: cold-migrate -> shelve (asked for)",
        "  ~ web-2: predicted downtime 40 s -> 9.0 s",
        "  - refused UF-RC-004 40000000-0000-4000-8000-000000000000: lb-1: it belongs to Octavia",
        "  + refused UF-RC-001 x: x: is locked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "command"),
    [
        ("Compute.start('a')", "openstack server start a"),
        ("FakeCompute.delete('a')", "openstack server delete a"),
        ("Images.delete('i')", "openstack image delete i"),
        ("Volumes.delete('v')", "openstack volume delete v"),
        ("Volumes.delete_snapshot('s')", "openstack volume snapshot delete s"),
        ("Network.delete_port('p')", "openstack port delete p"),
        ("Compute.detach_port('a', 'p')", "openstack server remove port a p"),
        ("Compute.attach_port('a', 'p')", "openstack server add port a p"),
        ("Compute.detach_volume('a', 'v')", "openstack server remove volume a v"),
        ("Compute.unpause('a')", "openstack server unpause a"),
        ("Compute.migrate('a', None)", "openstack server migrate a"),
        ("Network.bind('p', 'h')", "openstack port set --host h p"),
        ("Network.set_owner('p', '', '')", "openstack port set --device '' --device-owner '' p"),
        (
            "Compute.set_delete_on_termination('a', 'v', True)",
            "openstack server volume update --delete-on-termination a v",
        ),
        ("Compute.start('a; reboot')", "openstack server start 'a; reboot'"),
        ("something(<object at 0x1>)", ""),
        ("Compute.start()", ""),
        ("unheard_of('a')", ""),
    ],
)
def test_residue_is_shown_as_the_command_that_removes_it(call, command):
    assert residue.command(Residue("step", call, "why")) == command


def test_the_json_report_has_everything_and_the_commands():
    plain = json.loads(json_report.text(report(MIXED, "residue")))
    assert plain["state"] == "residue"
    assert plain["outcomes"][0]["measured_downtime_s"] == 7.25
    assert plain["outcomes"][0]["steps"][1]["step"] == "rebind-port:port-of-web-1"
    assert [item["command"] for item in plain["outcomes"][2]["residue"]] == [
        f"openstack server start {DB_1}",
        "openstack image delete image-1",
    ]


class Page(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href", "data", "action")]


def test_the_html_report_refers_to_nothing_outside_itself():
    source = html.page(report(MIXED, "residue"))
    page = Page(source)
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "@import" not in source
    assert "url(" not in source


def test_the_html_report_has_a_bar_for_each_subject_and_each_step_that_began():
    page = Page(html.page(report(MIXED, "residue")))
    assert page.tags.count("svg") == 1
    assert page.tags.count("rect") == 3 + 3


def test_the_html_report_escapes_what_others_wrote():
    evil = dataclasses.replace(
        report(MIXED, "residue"),
        findings=(Finding("UF-1", EVIL, "refused", EVIL, EVIL),),
    )
    source = html.page(evil)
    assert "<script>" not in source
    assert "x&lt;script&gt;" in source


def test_a_timeline_places_steps_in_proportion():
    chart = html.timeline(report({k: v for k, v in MIXED.items() if k != DB_1}))
    stop, rebind = chart.bars[1], chart.bars[2]
    assert (stop.x, stop.width) == (190.0, 41.5)
    assert (rebind.x, rebind.width) == (231.5, 13.8)
    assert stop.kind == "done"


def test_a_run_that_has_not_begun_has_no_timeline():
    assert html.timeline(dataclasses.replace(report({}), outcomes=())) is None


def test_what_was_undone_differs_no_longer():
    undone = {WEB_1: subject(State.UNDONE, result=dict(ALL_WELL[WEB_1].result))}
    outcome = report(undone, "undone").outcomes[0]
    assert (outcome.identity_difference, outcome.measured_downtime_s) == ({}, 7.25)


def test_nothing_is_offered_when_all_is_settled():
    settled = dataclasses.replace(report(ALL_WELL, "settled"))
    outcomes = tuple(dataclasses.replace(o, state="settled") for o in settled.outcomes)
    assert list(text.next_steps(dataclasses.replace(settled, outcomes=outcomes))) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (0.04, "0.0 s"), (9.0, "9.0 s"), (59.6, "1 min"), (61, "1 min 1 s"),
     (3600, "1 h"), (5400, "1 h 30 min")],
)  # fmt: skip
def test_lengths_of_time_are_said_as_people_do(value, said):
    assert words.seconds(value) == said
