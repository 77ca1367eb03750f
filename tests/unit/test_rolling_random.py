"""Many small random clouds: whatever happens, nothing that was promised is broken."""

from __future__ import annotations

import json

import pytest

from tests.unit.rolling_clouds import RandomReality, random_case
from upgrade_flows.planning.rolling import Facts, Ground, Run, plan
from upgrade_flows.planning.rolling.check import check
from upgrade_flows.planning.rolling.simulate import play

SEEDS = range(100)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_breaks_nothing_and_is_not_faster_than_its_bound(seed):
    fleet, rules = random_case(seed)
    roll = plan(fleet, rules)
    assert check(fleet, rules, roll) == []
    if not roll.left:
        assert roll.makespan >= roll.bound.seconds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("failing", [0.0, 0.1])
def test_a_run_breaks_nothing_when_reality_is_not_what_was_predicted(seed, failing):
    fleet, rules = random_case(seed)
    roll = plan(fleet, rules, reality=RandomReality(seed, failing))
    assert check(fleet, rules, roll, predicted=False) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_goes_on_from_its_facts_and_keeps_what_was_done(seed):
    fleet, rules = random_case(seed)
    whole = plan(fleet, rules, reality=RandomReality(seed, 0.1))
    run = Run(Ground(fleet, rules, whole.variant))
    middle = whole.makespan // 2
    play(run, RandomReality(seed, 0.1), until=middle)
    facts = Facts.from_plain(json.loads(json.dumps(run.facts().to_plain())))
    roll = plan(fleet, rules, facts, middle, variant=whole.variant)
    assert check(fleet, rules, roll, predicted=False) == []
    assert set(facts.moves) <= set(roll.moves)
    done = [window for window in facts.windows if window.end is not None]
    assert [window for window in roll.windows if window in done] == done


def test_predicting_the_rest_anew_changes_nothing_when_all_went_as_predicted():
    same = 0
    for seed in SEEDS:
        fleet, rules = random_case(seed)
        roll = plan(fleet, rules)
        run = Run(Ground(fleet, rules, roll.variant))
        play(run, until=roll.makespan // 2)
        again = plan(fleet, rules, run.facts(), roll.makespan // 2, variant=roll.variant)
        same += again == roll
    assert same >= 80  # the others find another way that is as good, or a better one
