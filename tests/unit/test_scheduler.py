"""What the scheduler decides, from states alone."""

from __future__ import annotations

import pytest

from upgrade_flows.engine.scheduler import (
    IN_PROGRESS,
    Decision,
    Job,
    Outline,
    Place,
    Standing,
    WaveOutline,
    Work,
    outline_of,
    run_state,
)
from upgrade_flows.engine.scheduler import next_jobs as decide
from upgrade_flows.model.plan import Action, Gate, Plan, Wave
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout, Scope, UpgradeRequest


def make(*waves, max_failures=0):
    return Outline(tuple(outline for outline, _ in waves), max_failures), [s for _, s in waves]


def wave(subjects, at_a_time=1, max_failures=0, canary=False):
    name = f"wave {subjects}"
    return WaveOutline(name, len(subjects), at_a_time, max_failures, canary), subjects


def places(plan, found, wants=None):
    """Return every subject's place, as the journal would have it."""
    result, position = [], 0
    for index, subjects in enumerate(plan[1]):
        for subject in subjects:
            state = found.get(subject, State.PENDING)
            wanted = Work.CHANGE if state is State.PENDING else IN_PROGRESS.get(state, "")
            wanted = (wants or {}).get(subject, wanted)
            result.append(Place(subject, index, position, state, str(wanted)))
            position += 1
    return result


def next_jobs(plan, found, wants=None):
    """Decide from the states of all subjects."""
    every = places(plan, found, wants)
    busy = tuple(place for place in every if place.state in IN_PROGRESS)
    waiting = [place for place in every if place.work and place.state not in IN_PROGRESS]
    if wants:
        waiting.reverse()
    return decide(plan[0], Standing(busy, tuple(waiting), failures(plan, found)))


def failures(plan, found):
    bad = (State.FAILED, State.RESIDUE, State.REFUSED, State.QUARANTINED)
    return tuple(place for place in places(plan, found) if place.state in bad)


def states(**found):
    return {subject: State(state) for subject, state in found.items()}


def state_of(plan, found, withdrawn=False):
    counts = {}
    for place in places(plan, found):
        counts[place.state] = counts.get(place.state, 0) + 1
    return run_state(plan[0], counts, failures(plan, found), withdrawn)


def changes(*subjects):
    return tuple(Job(subject, Work.CHANGE) for subject in subjects)


def test_the_first_wave_begins_with_as_many_as_its_window_holds():
    decision = next_jobs(make(wave("abc", at_a_time=2)), {})
    assert decision == Decision(changes("a", "b"), new=changes("a", "b"))


def test_a_place_in_the_window_is_free_only_when_a_subject_has_ended():
    plan = make(wave("abc", at_a_time=2))
    assert next_jobs(plan, states(a="changing")).jobs == changes("a", "b")
    decision = next_jobs(plan, states(a="changed", b="changing"))
    assert (decision.jobs, decision.new) == (changes("b", "c"), changes("c"))


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
        halted="wave wave a: 1 failed (a), its gate allows 0", finished=True
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


def test_a_quarantined_subject_counts_as_failed_and_frees_its_place():
    plan = make(wave("abc", max_failures=1), max_failures=1)
    assert next_jobs(plan, states(a="quarantined")).jobs == changes("b")
    assert next_jobs(plan, states(a="quarantined", b="failed")).halted


def test_undoing_goes_backwards_through_waves_and_subjects_and_halts_for_nothing():
    plan = make(wave("a"), wave("bc", at_a_time=2))
    undo = dict.fromkeys("abc", Work.UNDO)
    found = states(a="changed", b="changed", c="failed")
    assert next_jobs(plan, found, undo).jobs == (Job("c", Work.UNDO), Job("b", Work.UNDO))
    found = states(a="changed", b="undone", c="undone")
    assert next_jobs(plan, found, {"a": Work.UNDO}).jobs == (Job("a", Work.UNDO),)


def test_works_that_are_not_asked_for_are_not_in_the_decision():
    plan = make(wave("ab"))
    standing = Standing(waiting=tuple(places(plan, {})))
    assert decide(plan[0], standing, (Work.UNDO, Work.SETTLE)) == Decision(finished=True)


def test_an_undo_that_was_given_up_makes_room_and_a_change_keeps_its_place():
    plan = make(wave("ab"))
    undo = places(plan, states(a="changed", b="undoing"), {"a": Work.UNDO})
    standing = Standing(busy=(undo[1],), waiting=(undo[0],))
    assert decide(plan[0], standing, without={"b"}).jobs == (Job("a", Work.UNDO),)
    change = places(plan, states(a="parked"))
    standing = Standing(busy=(change[0],), waiting=(change[1],))
    assert decide(plan[0], standing, without={"a"}).jobs == changes("a")


def test_the_outline_of_a_plan_has_its_waves_and_budgets():
    actions = tuple(Action("toy", s, s, "toy") for s in "ab")
    request = UpgradeRequest("toy", Scope(everything=True), rollout=Rollout(1, 3))
    plan = Plan("plan", "now", "toy", request, (Wave("first", actions, 2, Gate(1), True),))
    assert outline_of(plan) == Outline((WaveOutline("first", 2, 2, 1, True),), 3)


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
        ("changed quarantined", "parked"),
    ],
)
def test_the_state_of_a_run_follows_from_its_subjects(found, state):
    first, second = found.split()
    assert state_of(make(wave("ab")), states(a=first, b=second)) == state


def test_a_withdrawn_run_is_undone_although_subjects_never_began():
    plan = make(wave("ab"))
    assert state_of(plan, states(a="undone", b="pending"), withdrawn=True) == "undone"
    assert state_of(plan, states(a="pending", b="pending"), withdrawn=True) == "undone"
