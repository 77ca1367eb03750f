"""A run is told what happens, and says what to start."""

from __future__ import annotations

from tests.unit.rolling_story import host, instance, rules, story
from upgrade_flows.planning.rolling import (
    Begin,
    Canary,
    Fleet,
    Ground,
    MoveTo,
    Release,
    Run,
    TakeOut,
    plan,
)
from upgrade_flows.planning.rolling.check import check

FLEET = Fleet(
    tuple(host(name) for name in "abc"),
    (instance("1", "b"), instance("2", "b"), instance("3", "c")),
)


def run_of(given, fleet=FLEET, facts=None, now=0):
    return Run(Ground(fleet, given), facts, now)


def test_each_event_is_answered_with_what_may_start():
    run = run_of(rules())
    assert run.decide(0) == [Begin("a"), TakeOut("a")]
    assert run.decide(50) == []
    run.back("a", 100)
    assert run.decide(100) == [Begin("b"), MoveTo("1", "b", "a")]
    run.moved("1", 115)
    assert run.decide(115) == [MoveTo("2", "b", "a")]
    run.moved("2", 120)
    assert run.decide(120) == [TakeOut("b")]
    run.back("b", 220)
    assert run.decide(220) == [Begin("c"), MoveTo("3", "c", "b")]


def test_a_migration_that_failed_is_tried_again_elsewhere():
    done = (host("a", upgraded=True), host("b", upgraded=True))
    fleet = Fleet((*done, host("c")), (instance("1", "c"),))
    run = run_of(rules(), fleet)
    assert run.decide(0) == [Begin("c"), MoveTo("1", "c", "a")]
    run.move_failed("1", 7)
    assert run.decide(7) == [MoveTo("1", "c", "b")]


def test_a_host_that_cannot_be_emptied_is_enabled_again_and_counts_as_failed():
    run = run_of(rules(attempts=2))
    run.decide(0)
    run.back("a", 100)
    run.decide(100)
    run.move_failed("1", 110)
    assert run.decide(110) == [MoveTo("2", "b", "a")]
    run.moved("2", 120)
    assert run.decide(120) == [MoveTo("1", "b", "a")]
    run.move_failed("1", 130)
    why = "1 could not be moved in 2 attempts"
    assert run.decide(130) == [Release("b", why)]
    assert run.halted == "halted: 1 hosts have failed (b), 0 may"
    run.finish()
    assert run.roll().left == {"b": why, "c": run.halted}


def test_a_failure_within_the_budget_does_not_stop_the_others():
    run = run_of(rules(2, max_failures=1))
    assert run.decide(0) == [Begin("a"), TakeOut("a")]
    run.failed("a", 60, "no boot")
    assert run.halted == ""


def test_too_many_failures_stop_what_has_not_begun_and_finish_what_runs():
    fleet = Fleet(
        tuple(host(name) for name in "abcd"), tuple(instance(str(n), "d", 1) for n in range(3))
    )
    run = run_of(rules(3), fleet)
    assert run.decide(0)[:2] == [Begin("a"), Begin("b")]
    run.back("a", 100)
    assert run.decide(100) == [Begin("d"), MoveTo("0", "d", "a")]
    run.failed("b", 105, "no boot")
    assert run.decide(105) == []
    why = "halted: 1 hosts have failed (b), 0 may"
    assert run.halted == why
    run.moved("0", 110)
    assert run.decide(110) == [Release("d", why)]


def test_a_failed_canary_halts_whatever_the_budget():
    run = run_of(rules(3, canary=Canary(each=1), max_failures=9))
    assert run.decide(0) == [Begin("a"), TakeOut("a")]
    run.failed("a", 90, "no boot")
    assert run.decide(90) == []
    assert run.halted == "halted: the canary a has failed"


def test_the_end_of_a_bake_is_a_moment_to_decide():
    run = run_of(rules(3, canary=Canary(each=1, bake_s=50)))
    run.decide(0)
    run.back("a", 100)
    assert run.decide(100) == []
    assert run.wake == 150
    assert run.decide(150)[0] == Begin("b")


def test_the_rest_is_predicted_anew_from_what_really_happened():
    run = run_of(rules())
    run.decide(0)
    run.back("a", 400)  # four times as long as predicted
    run.decide(400)
    run.moved("1", 405)
    roll = plan(FLEET, rules(), run.facts(), 405, variant=0)
    assert story(roll) == [
        "a 0-0-400",
        "b 400-415-515 1>a@400-405 2>a@405-415",
        "c 515-525-625 3>b@515-525",
    ]
    assert check(FLEET, rules(), roll, predicted=False) == []


def test_what_failed_stays_in_the_result():
    run = run_of(rules(max_failures=1))
    run.decide(0)
    run.back("a", 100)
    run.decide(100)
    run.move_failed("1", 104)
    roll = plan(FLEET, rules(max_failures=1), run.facts(), 104, variant=0)
    assert [move.failed for move in roll.moves if move.instance == "1"] == [True, False]
    assert roll.makespan == 334
