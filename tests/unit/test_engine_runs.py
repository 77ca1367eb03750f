"""What the engine does to one run: forwards, backwards, parked, refused."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from tests.unit.engine_toy import ToyCloud, make_engine, make_plan, open_journal
from upgrade_flows import errors
from upgrade_flows.engine.orders import Orders
from upgrade_flows.model.report import Residue, State


@pytest.fixture
def journal(tmp_path):
    journal = open_journal(tmp_path)
    yield journal
    journal.close()


@pytest.fixture
def cloud(tmp_path):
    return ToyCloud(tmp_path / "cloud")


FORWARD = ["observe:a do", "restore:a do", "do:left-a do", "do:right-a do", "verify:a do"]
BACKWARD = ["verify:a undo", "do:right-a undo", "do:left-a undo", "restore:a undo",
            "observe:a undo"]  # fmt: skip


def boom(error=RuntimeError("no")):
    def order():
        raise error

    return order


def started(journal, cloud, plan=None, **options):
    engine = make_engine(journal, cloud, **options)
    return engine, engine.start(plan or make_plan("a"))


def test_a_change_that_succeeds_keeps_the_outcome_that_its_flow_provides(journal, cloud):
    engine, run = started(journal, cloud)
    assert engine.run(run) == "changed"
    record = journal.subject(run, "a")
    assert (record.state, record.result) == (State.CHANGED, {"measured_downtime_s": 1.5})
    assert sorted(cloud.deeds) == sorted(FORWARD)


def test_running_a_changed_run_again_does_nothing(journal, cloud):
    engine, run = started(journal, cloud)
    engine.run(run)
    done = cloud.deeds
    assert engine.run(run) == "changed"
    assert cloud.deeds == done


def test_a_failure_is_undone_and_the_original_error_kept(journal, cloud):
    cloud.orders["verify:a", "do"] = boom(errors.StepFailed("the guest is silent"))
    engine, run = started(journal, cloud)
    assert engine.run(run) == "failed"
    record = journal.subject(run, "a")
    assert (record.state, record.error) == (State.FAILED, "verify:a: the guest is silent")
    assert sorted(cloud.deeds[5:]) == sorted(BACKWARD)


def test_a_failed_revert_is_reported_while_the_others_go_on(journal, cloud):
    cloud.orders["verify:a", "do"] = boom(errors.StepFailed("the guest is silent"))
    cloud.orders["do:left-a", "undo"] = boom(ConnectionError("refused"))
    cloud.orders["do:right-a", "undo"] = boom(ValueError("a bug"))
    engine, run = started(journal, cloud)
    assert engine.run(run) == "residue"
    record = journal.subject(run, "a")
    assert (record.state, record.error) == (State.RESIDUE, "verify:a: the guest is silent")
    assert set(record.residue) == {
        Residue("do:left-a", "ToyCloud.do('do:left-a', 'undo')", "refused"),
        Residue("do:right-a", "revert of do:right-a", "ValueError: a bug"),
    }
    assert cloud.deeds[-2:] == ["restore:a undo", "observe:a undo"]


def test_an_undo_that_was_refused_can_be_tried_again_and_only_it_is(journal, cloud):
    cloud.orders["verify:a", "do"] = boom()
    cloud.orders["restore:a", "undo"] = boom(ConnectionError("refused"))
    engine, run = started(journal, cloud)
    engine.run(run)
    cloud.orders.clear()
    before = len(cloud.deeds)
    assert engine.rollback(run, ["a"]) == "undone"
    assert cloud.deeds[before:] == ["restore:a undo"]
    assert journal.subject(run, "a").residue == ()


def test_a_finished_change_can_be_undone_last_step_first(journal, cloud):
    engine, run = started(journal, cloud)
    engine.run(run)
    assert engine.rollback(run) == "undone"
    assert cloud.deeds[5] == "verify:a undo"
    assert cloud.deeds[-2:] == ["restore:a undo", "observe:a undo"]
    assert sorted(cloud.deeds[5:]) == sorted(BACKWARD)
    assert journal.subject(run, "a").state is State.UNDONE


@pytest.mark.parametrize("operation", ["resume", "rollback"])
def test_what_was_reverted_is_never_run_again(journal, cloud, operation):
    engine, run = started(journal, cloud)
    engine.run(run)
    engine.rollback(run)
    done = cloud.deeds
    assert getattr(engine, operation)(run) == "undone"
    assert cloud.deeds == done


def test_a_reverted_flow_whose_subject_was_not_noted_is_not_run_again(journal, cloud):
    cloud.orders["verify:a", "do"] = boom()
    engine, run = started(journal, cloud)
    engine.run(run)
    journal.update_subject(run, "a", state=State.CHANGING, error="")  # as a kill would leave it
    done = cloud.deeds
    engine.resume(run)
    assert cloud.deeds == done
    assert journal.subject(run, "a").state is State.FAILED
    assert journal.subject(run, "a").error == "verify:a: no"


def test_a_withdrawn_run_does_not_begin_what_is_pending(journal, cloud):
    engine, run = started(journal, cloud, make_plan("a", "b"))
    cloud.orders["verify:a", "do"] = engine.park
    assert engine.run(run) == "parked"
    assert engine.rollback(run) == "undone"
    assert engine.resume(run) == "undone"
    assert not [deed for deed in cloud.deeds if "b" in deed.split()[0].split(":")[1]]
    with pytest.raises(errors.RequestError, match="was rolled back"):
        engine.run(run)


def test_parking_lets_the_current_step_end_and_resume_does_the_rest(journal, cloud):
    engine, run = started(journal, cloud)
    cloud.orders["restore:a", "do"] = engine.park
    assert engine.run(run) == "parked"
    assert cloud.deeds == ["observe:a do", "restore:a do"]
    assert journal.subject(run, "a").state is State.PARKED
    cloud.orders.clear()
    assert engine.resume(run) == "changed"
    assert sorted(cloud.deeds) == sorted(FORWARD)


def test_parking_stops_between_two_steps_that_could_run_together(journal, cloud):
    engine, run = started(journal, cloud)
    cloud.orders["do:left-a", "do"] = cloud.orders["do:right-a", "do"] = engine.park
    engine.run(run)
    assert len(cloud.deeds) == 3


def test_a_parked_change_can_be_undone_without_running_the_rest(journal, cloud):
    engine, run = started(journal, cloud)
    cloud.orders["restore:a", "do"] = engine.park
    engine.run(run)
    assert engine.rollback(run, ["a"]) == "undone"
    assert cloud.deeds[2:] == ["restore:a undo", "observe:a undo"]


def test_a_parked_undo_goes_on_backwards(journal, cloud):
    engine, run = started(journal, cloud)
    engine.run(run)
    cloud.orders["verify:a", "undo"] = engine.park
    assert engine.rollback(run) == "parked"
    assert journal.subject(run, "a").state is State.UNDOING
    assert engine.resume(run) == "undone"
    assert sorted(cloud.deeds[5:]) == sorted(BACKWARD)


def test_commit_settles_what_is_changed(journal, cloud):
    engine, run = started(journal, cloud)
    engine.run(run)
    assert engine.commit(run) == "settled"
    assert cloud.deeds[5:] == ["do:delete-a do", "do:forget-a do"]
    with pytest.raises(errors.RequestError, match="a is settled: it cannot be taken back"):
        engine.rollback(run, ["a"])


def test_a_settling_that_fails_is_retried_and_never_reverted(journal, cloud):
    engine, run = started(journal, cloud)
    engine.run(run)
    cloud.orders["do:forget-a", "do"] = boom()
    assert engine.commit(run) == "parked"
    record = journal.subject(run, "a")
    assert (record.state, record.error) == (State.SETTLING, "do:forget-a: no")
    assert cloud.deeds[5:] == ["do:delete-a do"] + ["do:forget-a do"] * 3
    cloud.orders.clear()
    assert engine.commit(run) == "settled"
    assert cloud.deeds[9:] == ["do:forget-a do"]
    assert journal.subject(run, "a").error == ""


def test_a_subject_without_a_settle_flow_is_settled_at_once(journal, cloud):
    engine, run = started(journal, cloud, make_plan("a", details={"no_settle": True}))
    engine.run(run)
    assert engine.commit(run, ["a"]) == "settled"
    assert len(cloud.deeds) == 5


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ((1, 2), "the result is a tuple"),
        ({"a": [b"x"]}, "the result['a'][0] is a bytes"),
        ({1: 2}, "the result has the key 1"),
        (float("nan"), "the result is nan"),
        ("x" * (1 << 20), "it has 1048578 bytes, and 1048576 are the most"),
    ],
)
def test_a_result_that_is_not_plain_json_fails_its_step(journal, cloud, value, where):
    cloud.orders["do:left-a", "return"] = value
    engine, run = started(journal, cloud)
    engine.run(run)
    record = journal.subject(run, "a")
    assert record.state is State.FAILED
    assert record.error.startswith("do:left-a: do:left-a returned something that cannot be kept")
    assert where in record.error


def test_a_subject_that_moved_since_planning_is_refused_untouched(journal, cloud):
    engine, run = started(journal, cloud, verify=lambda action: "it has moved to host3")
    assert engine.run(run) == "failed"
    record = journal.subject(run, "a")
    assert (record.state, record.error) == (State.REFUSED, "it has moved to host3")
    assert cloud.deeds == []


def test_a_cloud_that_cannot_be_asked_refuses_the_subject(journal, cloud):
    def verify(action):
        raise errors.Unavailable("503")

    engine, run = started(journal, cloud, verify=verify)
    engine.run(run)
    assert "503" in journal.subject(run, "a").error
    assert cloud.deeds == []


def test_the_failure_budget_halts_the_run(journal, cloud):
    cloud.orders["verify:a", "do"] = boom()
    engine, run = started(journal, cloud, make_plan("a", "b"))
    assert engine.run(run) == "halted"
    assert journal.subject(run, "b").state is State.PENDING
    assert engine.resume(run) == "halted"


def test_failures_within_the_budget_do_not_halt_the_run(journal, cloud):
    cloud.orders["verify:a", "do"] = boom()
    engine, run = started(journal, cloud, make_plan("a", "b", max_failures=1))
    assert engine.run(run) == "failed"
    assert journal.subject(run, "b").state is State.CHANGED


def test_the_window_runs_that_many_subjects_at_a_time(journal, cloud):
    both = threading.Barrier(2, timeout=20)
    engine, run = started(journal, cloud, make_plan("a", "b", "c", "d", at_a_time=2))
    for subject in "abcd":
        cloud.orders[f"restore:{subject}", "do"] = both.wait  # passes in pairs only
    assert engine.run(run) == "changed"


def test_rollback_goes_through_the_subjects_in_reverse_order(journal, cloud):
    engine, run = started(journal, cloud, make_plan("a", "b"))
    engine.run(run)
    engine.rollback(run)
    undone = [deed for deed in cloud.deeds if deed.startswith("verify") and "undo" in deed]
    assert undone == ["verify:b undo", "verify:a undo"]


def test_a_plan_of_another_cloud_or_an_edited_one_is_refused(journal, cloud):
    engine = make_engine(journal, cloud)
    plan = make_plan("a")
    with pytest.raises(errors.PlanChanged):
        engine.start(dataclasses.replace(plan, created="yesterday"))
    with pytest.raises(errors.PlanChanged):
        engine.start(dataclasses.replace(plan, cloud_id="other").sealed())
    assert journal.runs() == ()


def test_a_flow_that_cannot_be_built_leaves_its_subject_untouched_with_the_reason(
    journal, cloud, monkeypatch
):
    def change(ctx, action):
        raise KeyError("ports")

    monkeypatch.setattr("tests.unit.engine_toy.change", change)
    engine, run = started(journal, cloud)
    engine.run(run)
    record = journal.subject(run, "a")
    assert (record.state, record.error) == (State.PARKED, "KeyError: 'ports'")
    assert cloud.deeds == []


def test_a_flow_with_other_steps_than_it_began_with_is_not_gone_on_with(
    journal, cloud, monkeypatch
):
    engine, run = started(journal, cloud)
    cloud.orders["restore:a", "do"] = engine.park
    engine.run(run)
    monkeypatch.setattr("tests.unit.engine_toy.Verify", type("Check", (), {}))
    from tests.unit import engine_toy

    class Check(engine_toy.Do):
        default_provides = "outcome"

    monkeypatch.setattr(engine_toy, "Verify", Check)
    assert engine.resume(run) == "parked"
    assert "check:a, verify:a" in journal.subject(run, "a").error
    assert len(cloud.deeds) == 2


def test_the_timeline_and_the_steps_say_what_happened_when(journal, cloud):
    seen = []
    cloud.orders["do:left-a", "do"] = boom()
    cloud.orders["do:right-a", "do"] = boom()
    engine, run = started(journal, cloud, observer=seen.append)
    engine.run(run)
    assert tuple(seen) == journal.events(run)
    failed = seen[6].step
    assert [(e.step, e.what) for e in seen] == [
        ("", "changing"),
        ("observe:a", "started"), ("observe:a", "finished"),
        ("restore:a", "started"), ("restore:a", "finished"),
        (failed, "started"), (failed, "failed"), (failed, "reverting"), (failed, "reverted"),
        ("restore:a", "reverting"), ("restore:a", "reverted"),
        ("observe:a", "reverting"), ("observe:a", "reverted"),
        ("", "failed"),
    ]  # fmt: skip
    steps = journal.steps(run, "a")
    assert [(s.step, s.state, s.failure) for s in steps[:3]] == [
        ("observe:a", "REVERTED", ""), ("restore:a", "REVERTED", ""), (failed, "REVERTED", "no"),
    ]  # fmt: skip
    assert steps[0].started <= steps[0].ended
    assert steps[3].state == "PENDING"
    assert steps[3].started is None


def test_a_step_that_cannot_open_the_vault_fails_like_any_other(journal, cloud):
    cloud.orders["verify:a", "do"] = boom(errors.JournalError("sealed with another key"))
    engine, run = started(journal, cloud)
    assert engine.run(run) == "failed"
    assert journal.subject(run, "a").error == "verify:a: sealed with another key"


def test_engines_of_one_journal_have_the_same_key(journal, cloud):
    first, second = make_engine(journal, cloud), make_engine(journal, cloud)
    assert second._vault.open(first._vault.seal("secret")) == "secret"


@pytest.mark.parametrize("operation", ["commit", "rollback"])
def test_a_run_that_is_paused_meanwhile_stops_in_either_direction(journal, cloud, operation):
    engine, run = started(journal, cloud, make_plan(*"abcdef"))
    engine.run(run)
    done = len(cloud.deeds)
    doomed = {"commit": ("do:delete-a", "do"), "rollback": ("verify:f", "undo")}[operation]
    cloud.orders[doomed] = lambda: Orders(journal, "toy").pause(run)
    assert getattr(engine, operation)(run) == "parked"
    assert 0 < len(cloud.deeds) - done <= 5  # one subject, and not the five others
    assert engine.resume(run) == {"commit": "settled", "rollback": "undone"}[operation]


def test_steps_that_do_not_depend_on_each_other_may_run_together(journal, cloud):
    both = threading.Barrier(2, timeout=20)
    for side in ("left", "right"):
        cloud.orders[f"do:{side}-a", "do"] = both.wait  # passes in pairs only
    engine, run = started(journal, cloud, steps_at_a_time=2)
    assert engine.run(run) == "changed"
    assert cloud.deeds[:2] == FORWARD[:2]
    assert cloud.deeds[4:] == ["verify:a do"]


def test_of_steps_that_run_together_both_are_undone_when_one_fails(journal, cloud):
    both = threading.Barrier(2, timeout=20)

    def fail():
        both.wait()
        raise RuntimeError("no")

    cloud.orders["do:left-a", "do"] = fail
    cloud.orders["do:right-a", "do"] = both.wait
    engine, run = started(journal, cloud, steps_at_a_time=2)
    assert engine.run(run) == "failed"
    assert sorted(cloud.deeds[4:6]) == ["do:left-a undo", "do:right-a undo"]
    assert cloud.deeds[6:] == ["restore:a undo", "observe:a undo"]
