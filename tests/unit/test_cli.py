"""The command line: what is asked of the library, what is printed, how it ends."""

import json
import logging
import stat

import pytest

from tests.unit.cli_samples import (
    ALL_WELL,
    CLOUD,
    DB_1,
    MIXED,
    PLAN,
    WEB_1,
    FakeJournal,
    FakeRun,
    FakeWiring,
    Terminal,
    cli,
)
from upgrade_flows import errors
from upgrade_flows.engine.records import Event
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Finding, State


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    """Keep the log and the journal of this host, and the handlers of pytest, out of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(PLAN.to_json())
    return str(path)


def test_inventory_lists_servers_in_order_of_host_and_name():
    code, out, _ = cli("inventory", "-f", "json")
    assert code == 0
    assert json.loads(out) == [
        {
            "Server": WEB_1,
            "Name": "web-1",
            "Host": "compute-1",
            "Status": "ACTIVE",
            "VIF mode": "dpdkvhostuser",
        },
        {
            "Server": "20000000-0000-4000-8000-000000000000",
            "Name": "web-2",
            "Host": "compute-1",
            "Status": "SHUTOFF",
            "VIF mode": "",
        },
    ]


def test_inventory_without_a_scope_reads_everything():
    wiring = FakeWiring()
    cli("inventory", "-f", "value", wiring=wiring)
    assert wiring.scope.everything is True


def test_check_vif_mode_says_who_needs_what_and_why():
    code, out, _ = cli("check", "vif-mode", "--host", "compute-1", "-f", "csv", "--quote", "none")
    assert code == 0
    assert out.splitlines()[1] == (
        f"{WEB_1},web-1,compute-1,port-of-web-1,dpdkvhostuser,dpdkvhostuserclient,"
        "True,bound before the host's agent changed"
    )


def test_check_vif_mode_wants_a_scope():
    code, _, err = cli("check", "vif-mode")
    assert code == 2
    assert err == (
        "upgrade-flows: the scope is empty: name servers, hosts or projects,"
        " or ask for everything\n"
    )


def test_the_cloud_is_the_one_that_the_options_name():
    wiring = FakeWiring()
    cli("--os-cloud", "prod", "--os-region-name", "west", "inventory", wiring=wiring)
    assert wiring.connected == ("prod", "west")


def test_the_cloud_may_be_named_in_the_configuration(tmp_path):
    (tmp_path / "uf.conf").write_text(
        "[cloud]\nname = lab\n[journal]\nurl = sqlite:////x\n[steps]\nport_s = 7\n"
    )
    wiring = FakeWiring()
    cli("--config-file", "uf.conf", "resume", wiring=wiring)
    assert wiring.connected == ("lab", None)
    assert wiring.url == "sqlite:////x"
    assert wiring.the_engine.settings.port_s == 7.0


def test_a_journal_on_the_command_line_wins(tmp_path):
    (tmp_path / "uf.conf").write_text("[journal]\nurl = sqlite:////x\n")
    wiring = FakeWiring()
    cli("--config-file", "uf.conf", "--journal", "sqlite:////y", "status", wiring=wiring)
    assert wiring.url == "sqlite:////y"


@pytest.mark.parametrize("content", ["[steps]\nport_s = soon\n", "not a file of options"])
def test_a_bad_configuration_is_one_line_and_exit_code_2(tmp_path, content):
    (tmp_path / "uf.conf").write_text(content)
    code, _, err = cli("--config-file", "uf.conf", "status")
    assert code == 2
    assert err.startswith("upgrade-flows: the configuration cannot be used: ")
    assert err.count("\n") == 1


def test_a_missing_configuration_file_is_exit_code_2():
    code, _, err = cli("--config-file", "/nope.conf", "status")
    assert code == 2
    assert "/nope.conf" in err


def test_a_plan_is_shown_and_written_for_its_owner_alone(tmp_path):
    code, out, _ = cli("plan", "recreate", "--server", "web-1", "-o", "plan.json")
    assert code == 0
    assert "Wave wave-1: 2 at a time" in out
    assert Plan.from_json((tmp_path / "plan.json").read_text()) == PLAN
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_request_is_what_the_options_say():
    wiring = FakeWiring()
    cli(
        *[
            "plan",
            "recreate",
            "--server",
            "a",
            "b",
            "--host",
            "h",
            "--strategy",
            "shelve",
            "--to-host",
            "x",
            "--at-a-time",
            "3",
        ],
        *["--max-failures", "1", "--canaries", "2"],
        wiring=wiring,
    )
    request = wiring.request
    assert (request.scope.servers, request.scope.hosts) == (("a", "b"), ("h",))
    assert (request.target.strategy, request.target.hosts) == ("shelve", ("x",))
    rollout = request.rollout
    assert (rollout.at_a_time, rollout.max_failures, rollout.canaries) == (3, 1, 2)


def test_options_win_over_the_request_file_and_that_over_the_configuration(tmp_path):
    (tmp_path / "uf.conf").write_text("[engine]\nat_a_time = 9\nmax_failures = 9\n")
    (tmp_path / "request.yaml").write_text(
        "capability: recreate\nscope: {hosts: [h]}\n"
        "target: {strategy: shelve}\nrollout: {at_a_time: 4}\n"
    )
    wiring = FakeWiring()
    arguments = ["plan", "recreate", "--request", "request.yaml", "--strategy", "rebind"]
    cli("--config-file", "uf.conf", *arguments, wiring=wiring)
    request = wiring.request
    assert request.scope.hosts == ("h",)
    assert request.target.strategy == "rebind"
    assert (request.rollout.at_a_time, request.rollout.max_failures) == (4, 9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("scope: [", "request.yaml is not valid YAML"),
        ("just text", "request.yaml holds no request"),
        ("scope: {all: true}", "the request is not valid: Scope: unknown key all"),
        ("rollout: 7\nscope: {hosts: [h]}", "the request is not valid: Rollout: expected"),
        ("scope: {hosts: [h]}\nrollout: {at_a_time: 0}", "at_a_time is 0; it must be 1 or more"),
        ("{}", "the scope is empty"),
    ],
)
def test_a_bad_request_touches_nothing(tmp_path, content, said):
    (tmp_path / "request.yaml").write_text(content)
    wiring = FakeWiring()
    code, _, err = cli("plan", "recreate", "--request", "request.yaml", wiring=wiring)
    assert code == 2
    assert said in err
    assert wiring.connected is None


def test_a_plan_in_which_all_is_refused_is_exit_code_3():
    refused = Plan("p", "now", CLOUD, PLAN.request, findings=PLAN.findings).sealed()
    code, out, err = cli("plan", "recreate", "--all", wiring=FakeWiring(made=refused))
    assert code == 3
    assert "lb-1: it belongs to Octavia" in out
    assert err.startswith("upgrade-flows: nothing can be done")


def test_a_plan_can_be_shown_again_without_a_cloud(plan_file):
    wiring = FakeWiring()
    code, out, _ = cli("plan", "show", plan_file, wiring=wiring)
    assert (code, wiring.connected) == (0, None)
    assert out.startswith("Plan plan-1 (recreate)")


def test_a_plan_can_be_compared_and_printed_as_a_runbook(plan_file):
    assert "the two would do the same" in cli("plan", "diff", plan_file, plan_file)[1]
    assert cli("plan", "runbook", plan_file)[1].startswith("# Runbook of plan plan-1\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not a plan: the file is not JSON"), ("[]", "expected an object with format 1")],
)
def test_what_is_no_plan_is_refused(tmp_path, content, said):
    (tmp_path / "x.json").write_text(content)
    code, _, err = cli("plan", "show", "x.json")
    assert code == 2
    assert err.startswith("upgrade-flows: x.json: ")
    assert said in err


def test_a_run_without_a_terminal_to_ask_on_touches_nothing(plan_file):
    wiring = FakeWiring()
    code, out, err = cli("run", plan_file, wiring=wiring)
    assert code == 2
    assert "Plan plan-1" in out
    assert err == ("upgrade-flows: there is no terminal to ask on; say --yes to go on without\n")
    assert wiring.the_engine is None


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yesterday\n"])
def test_a_run_that_is_not_confirmed_touches_nothing(plan_file, answer):
    wiring = FakeWiring()
    code, _, err = cli("run", plan_file, wiring=wiring, stdin=Terminal(answer))
    assert (code, err) == (2, "upgrade-flows: nothing was done\n")
    assert wiring.the_engine is None


def test_a_confirmed_run_starts_runs_and_reports(plan_file):
    wiring = FakeWiring()
    code, out, _ = cli("run", plan_file, wiring=wiring, stdin=Terminal("y\n"))
    assert code == 0
    assert wiring.the_engine.calls == [("start", "plan-1"), ("run", "20261120-aaaaaa")]
    assert "Change 3 servers as shown? [y/N] " in out
    assert "Run 20261120-aaaaaa of plan plan-1 (recreate): changed" in out


def test_progress_is_plain_lines_where_there_is_no_terminal(plan_file):
    at = 1_795_176_000.0
    events = [
        Event(at, WEB_1, "", "changing"),
        Event(at + 1, WEB_1, f"stop-server:{WEB_1}", "started"),
        Event(at + 3, WEB_1, f"stop-server:{WEB_1}", "failed", "no\nway"),
        Event(at + 3, "somebody else", "", "changing"),
    ]
    _, out, _ = cli("run", plan_file, "--yes", wiring=FakeWiring(events=events))
    assert [line for line in out.splitlines() if line.startswith("12:00:0")] == [
        "12:00:00 web-1: changing",
        "12:00:01 web-1: stop-server started",
        "12:00:03 web-1: stop-server failed: no way",
    ]


@pytest.mark.parametrize(
    ("subjects", "code", "said"),
    [
        (MIXED, 5, "not everything could be undone (2 things left behind)"),
        ({**ALL_WELL, DB_1: MIXED["20000000-0000-4000-8000-000000000000"]}, 4, "1 server failed"),
        ({**ALL_WELL, DB_1: type(ALL_WELL[DB_1])(**{**vars(ALL_WELL[DB_1]),
          "state": State.REFUSED})}, 3, "1 server not touched"),
    ],
)  # fmt: skip
def test_the_exit_code_says_how_a_run_ended(plan_file, subjects, code, said):
    wiring = FakeWiring(FakeJournal(subjects))
    ended, out, err = cli("run", plan_file, "--yes", wiring=wiring)
    assert ended == code
    assert "Run 20261120-aaaaaa of plan" in out
    assert said in err


def test_a_run_that_did_not_come_to_its_end_is_no_success(plan_file):
    wiring = FakeWiring(FakeJournal(state="parked"))
    code, _, err = cli("run", plan_file, "--yes", wiring=wiring)
    assert code == 4
    assert "is not at its end; 'upgrade-flows resume' goes on" in err


def test_an_edited_plan_is_refused_before_anything_is_touched(tmp_path):
    (tmp_path / "x.json").write_text(PLAN.to_json().replace("rebind", "shelve"))
    wiring = FakeWiring()
    code, _, err = cli("run", "x.json", "--yes", wiring=wiring)
    assert code == 2
    assert "was edited after it was made" in err
    assert wiring.the_engine is None


def test_a_plan_for_another_cloud_is_refused(plan_file):
    code, _, err = cli("run", plan_file, "--yes", wiring=FakeWiring(cloud_id="elsewhere"))
    assert code == 2
    assert f"was made for the cloud {CLOUD}, not for elsewhere" in err


def test_rollback_of_named_servers_is_asked_for_by_id():
    wiring = FakeWiring()
    code, _, _ = cli("rollback", "20261120", "--server", "web-1", "--yes", wiring=wiring)
    assert code == 0
    assert wiring.the_engine.calls == [("rollback", "20261120-aaaaaa", (WEB_1,))]


def test_a_rollback_does_not_fail_for_what_failed_before():
    failed = {**ALL_WELL, DB_1: MIXED["20000000-0000-4000-8000-000000000000"]}
    assert cli("rollback", "--yes", wiring=FakeWiring(FakeJournal(failed, "undone")))[0] == 0


def test_commit_says_what_becomes_impossible_before_it_asks():
    wiring = FakeWiring()
    code, out, _ = cli("commit", wiring=wiring, stdin=Terminal("n\n"))
    assert code == 2
    assert out == (
        "After this 3 servers of run 20261120-aaaaaa cannot be rolled back: the source side of"
        " migrations is given up, and the journal forgets the way back.\n"
        "Commit 3 servers? [y/N] "
    )
    assert wiring.the_engine is None


def test_commit_of_a_server_that_failed_is_refused():
    code, _, err = cli("commit", "--server", "web-2", wiring=FakeWiring(FakeJournal(MIXED)))
    assert code == 2
    assert "has no server left to which that applies" in err


def test_a_server_that_the_run_does_not_have_is_refused():
    code, _, err = cli("rollback", "--server", "nope", "--yes")
    assert (code, err) == (2, "upgrade-flows: the run has no server 'nope'\n")


def runs(*ids):
    return FakeJournal(runs=[FakeRun(id_, created=n) for n, id_ in enumerate(ids)])


def test_the_newest_run_is_meant_where_none_is_named():
    wiring = FakeWiring(runs("20261119-ab", "20261120-cd"))
    cli("resume", wiring=wiring)
    assert wiring.the_engine.calls == [("resume", "20261120-cd")]


def test_the_beginning_of_an_id_is_enough():
    wiring = FakeWiring(runs("20261119-ab", "20261120-cd"))
    cli("resume", "20261119", wiring=wiring)
    assert wiring.the_engine.calls == [("resume", "20261119-ab")]


@pytest.mark.parametrize(
    ("journal", "wanted", "said"),
    [
        (runs(), None, "the journal holds no run yet; 'upgrade-flows run PLAN' starts one"),
        (runs("20261119-ab"), "2025", "the journal holds no run '2025'"),
        (runs("2026-ab", "2026-cd"), "2026", "several runs: 2026-ab, 2026-cd"),
    ],
)
def test_a_run_that_cannot_be_found_is_exit_code_2(journal, wanted, said):
    code, _, err = cli("report", *filter(None, [wanted]), wiring=FakeWiring(journal))
    assert code == 2
    assert said in err


def test_status_shows_where_each_server_stands():
    code, out, _ = cli("status", "-f", "value", wiring=FakeWiring(FakeJournal(MIXED)))
    assert code == 0
    assert out.splitlines() == [
        f"{WEB_1} web-1 rebind changed rebind-port  ",
        "20000000-0000-4000-8000-000000000000 web-2 cold-migrate failed   compute-3 has no room",
        f"{DB_1} db[red]-1 snapshot residue stop-server  the image is not active",
    ]


def test_status_all_lists_the_runs():
    _, out, _ = cli("status", "--all", "-f", "csv", wiring=FakeWiring(runs("a", "b")))
    assert [line.split(",")[0] for line in out.splitlines()] == ['"Run"', '"a"', '"b"']


@pytest.mark.parametrize(
    ("form", "begins"), [("text", "Run 2026"), ("json", "{\n"), ("html", "<!DOCTYPE html>")]
)
def test_a_report_is_written_in_the_form_that_is_asked_for(tmp_path, form, begins):
    assert cli("report", "--format", form)[1].startswith(begins)
    assert cli("report", "--format", form, "-o", "report")[:2] == (0, "")
    assert (tmp_path / "report").read_text().startswith(begins)


def test_a_report_that_cannot_be_written_is_exit_code_2():
    code, _, err = cli("report", "-o", "/nope/report")
    assert (code, err) == (
        2,
        "upgrade-flows: /nope/report cannot be written: No such file or directory\n",
    )


def test_purge_prints_what_is_forgotten():
    assert cli("purge", "--older-than", "0", wiring=FakeWiring(runs("a")))[0] == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.Unauthorized("the password is wrong"), 2, "check --os-cloud and clouds.yaml"),
        (errors.Forbidden("not an administrator"), 1, "use an administrator's credentials"),
        (errors.Unavailable("503", "req-1"), 1, "503 (request req-1); try again when"),
        (errors.JournalError("it is locked"), 2, "it is locked; check --journal"),
        (errors.SubjectBusy("web-1 is taken"), 2, "'upgrade-flows status --all' shows"),
        (errors.PluginError("two\n  reasons"), 2, "two reasons; install or remove"),
    ],
)
def test_an_error_is_one_line_with_what_to_do_next(error, code, said):
    ended, out, err = cli("inventory", wiring=FakeWiring(raises=error))
    assert (ended, out) == (code, "")
    assert err.startswith("upgrade-flows: ")
    assert err.count("\n") == 1
    assert said in err


def test_what_stands_in_the_way_is_shown_as_a_table():
    finding = Finding("UF-X-1", "web-1", "error", "it is locked", "unlock it")
    error = errors.NotReady("not ready", [finding])
    code, _, err = cli("inventory", wiring=FakeWiring(raises=error))
    assert code == 3
    assert err.splitlines()[-1].split() == ["UF-X-1", "web-1", "it", "is", "locked", "unlock", "it"]


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_the_log(tmp_path, capsys):
    code, _, err = cli("inventory", wiring=FakeWiring(raises=ZeroDivisionError("ups")))
    log = tmp_path / "state" / "upgrade-flows" / "upgrade-flows.log"
    assert code == 1
    assert err == (
        f"upgrade-flows: unexpected error: ZeroDivisionError: ups; the traceback is in {log}\n"
    )
    assert "Traceback" in log.read_text()
    assert "Traceback" not in capsys.readouterr().err
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_debug_shows_the_traceback(capsys):
    cli("--debug", "inventory", wiring=FakeWiring(raises=ZeroDivisionError("ups")))
    assert "Traceback" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_does_not_stop_a_command(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    assert cli("plan", "recreate", "--all")[0] == 0


def test_no_command_is_a_mistake_and_not_a_shell():
    code, _, err = cli()
    assert code == 2
    assert err.startswith("upgrade-flows: no command was given")


def test_an_unknown_command_is_exit_code_2():
    code, out, _ = cli("pln")
    assert code == 2
    assert "plan recreate" in out


def test_an_interrupt_while_reading_is_exit_code_130():
    code, _, err = cli("inventory", wiring=FakeWiring(raises=KeyboardInterrupt()))
    assert (code, err) == (130, "")
