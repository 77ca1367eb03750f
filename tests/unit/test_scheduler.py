"""What the scheduler decides, from states alone."""

from __future__ import annotations

import pytest

from upgrade_flows.engine.scheduler import Decision, Job, Work, next_jobs, run_state
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout, Scope, UpgradeRequest


def make(*waves, max_failures=0):
    request = UpgradeRequest("toy", Scope(everything=True), rollout=Rollout(1, max_failures))
    return Plan("plan", "now", "toy", request, waves)


def wave(subjects, at_a_time=1, max_failures=0, canary=False):
    actions = tuple(Action("toy", s, s, "toy") for s in subjects)
    return Wave(f"wave {subjects}", actions, at_a_time, Gate(max_failures), canary)


def states(**found):
    return {subject: State(state) for subject, state in found.items()}


def changes(*subjects):
    return tuple(Job(subject, Work.CHANGE) for subject in subjects)


def test_the_first_wave_begins_with_as_many_as_its_window_holds():
    assert next_jobs(make(wave("abc", at_a_time=2)), {}) == Decision(changes("a", "b"))


def test_a_place_in_the_window_is_free_only_when_a_subject_has_ended():
    plan = make(wave("abc", at_a_time=2))
    assert next_jobs(plan, states(a="changing")).jobs == changes("a", "b")
    assert next_jobs(plan, states(a="changed", b="changing")).jobs == changes("b", "c")


def test_a_wave_begins_only_when_the_one_before_has_ended():
    plan = make(wave("a", canary=True), wave("bc", at_a_time=2))
    assert next_jobs(plan, states(a="changing")).jobs == changes("a")
    assert next_jobs(plan, states(a="changed")).jobs == changes("b", "c")


@pytest.mark.parametrize(
    ("state", "work"),
    [("changing", "change"), ("parked", "change"), ("undoing", "undo"), ("settling", "settle")],
)
def test_what_a_crash_left_unfinished_is_finished_in_the_direction_it_had(state, work):
    plan = make(wave("ab"))
    assert next_jobs(plan, states(b=state)).jobs == (Job("b", Work(work)),)


def test_a_failed_canary_halts_the_run():
    plan = make(wave("a", canary=True), wave("b"))
    assert next_jobs(plan, states(a="failed")) == Decision(
        (), "wave wave a: 1 failed (a), its gate allows 0", finished=True
    )


def test_a_refused_canary_halts_the_run_and_any_other_refused_subject_does_not():
    assert next_jobs(make(wave("a", canary=True), wave("b")), states(a="refused")).halted
    assert next_jobs(make(wave("a"), wave("b")), states(a="refused")).jobs == changes("b")


def test_the_budget_of_the_rollout_counts_over_all_waves():
    plan = make(wave("a", max_failures=1), wave("bc", max_failures=1), max_failures=1)
    assert next_jobs(plan, states(a="failed")).jobs == changes("b")
    decision = next_jobs(plan, states(a="failed", b="residue"))
    assert decision.halted == "2 subjects failed in all, the rollout allows 1"
    assert decision.jobs == ()


def test_a_halted_run_still_finishes_what_is_unfinished():
    plan = make(wave("abc", at_a_time=2))
    decision = next_jobs(plan, states(a="failed", b="changing"))
    assert decision.jobs == changes("b")
    assert decision.halted
    assert not decision.finished


def test_a_run_is_finished_when_every_subject_has_ended():
    plan = make(wave("ab"))
    assert next_jobs(plan, states(a="changed", b="refused")) == Decision(finished=True)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ("changed changed", "changed"),
        ("changed settled", "changed"),
        ("settled settled", "settled"),
        ("undone undone", "undone"),
        ("undone changed", "changed"),
        ("failed changed", "failed"),
        ("refused refused", "failed"),
        ("residue failed", "residue"),
        ("changed pending", "parked"),
        ("failed pending", "halted"),
        ("changed parked", "parked"),
        ("undone settling", "parked"),
    ],
)
def test_the_state_of_a_run_follows_from_its_subjects(found, state):
    first, second = found.split()
    assert run_state(make(wave("ab")), states(a=first, b=second), withdrawn=False) == state


def test_a_withdrawn_run_is_undone_although_subjects_never_began():
    plan = make(wave("ab"))
    assert run_state(plan, states(a="undone", b="pending"), withdrawn=True) == "undone"
    assert run_state(plan, states(a="pending", b="pending"), withdrawn=True) == "undone"
