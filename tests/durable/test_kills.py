"""Twenty kills at random moments, and in the end everything is as if there had been none."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.durable.scene import TTL_S, Scene, until
from tests.durable.toy import once, steps_of
from tests.unit.engine_toy import make_plan
from upgrade_flows.model.report import State

NAMES = tuple(f"s{number:02}" for number in range(20))
KILLS = 20


class Crew:
    """Three conductors, of which one is killed and replaced now and then."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.scene, self.chance = scene, chance
        self.killed: list[str] = []
        self.alive = [f"conductor{number}" for number in range(3)]
        scene.begin(*self.alive, jobs=3)

    def trouble(self, over: Callable[[], bool]) -> None:
        """Kill until something is over, or there were enough kills."""
        end = time.monotonic() + 120
        while len(self.killed) < KILLS and not over():
            assert time.monotonic() < end, "it does not come to its end"
            time.sleep(self.chance.uniform(0.1, 1.0))
            ready = [owner for owner in self.alive if self.scene.ready(owner)]
            if not ready or over():
                continue
            victim = self.chance.choice(ready)
            self.scene.kill(victim)
            self.killed.append(victim)
            self.alive.remove(victim)
            self.alive.append(f"conductor{len(self.killed) + 2}")
            self.scene.launch(self.alive[-1], TTL_S, 3)


@pytest.mark.parametrize("scene", [("redis", "postgresql")], indirect=True, ids="-".join)
def test_twenty_kills_change_nothing_in_the_end(scene: Scene, record_property):
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    record_property("seed", seed)
    chance = random.Random(seed)
    doomed = set(chance.sample(NAMES, 4))
    good = set(NAMES) - doomed
    scene.stage.order(pace=(0.05, 0.3), fail=[f"verify:{name} do" for name in doomed])
    crew, runs = Crew(scene, chance), []

    while len(crew.killed) < KILLS:
        assert len(runs) < 4
        run = scene.submit(make_plan(*NAMES, at_a_time=5, max_failures=len(NAMES)))
        runs.append(run)
        crew.trouble(lambda run=run: scene.journal.run(run).state == "failed")
        scene.reaches(run, "failed")
        states = {name: State.FAILED if name in doomed else State.CHANGED for name in NAMES}
        assert found(scene, run) == states
        assert scene.stage.effects() == steps_of(*good)

        scene.orders.rollback(run)
        scene.post(run)
        crew.trouble(lambda run=run: scene.journal.run(run).state == "undone")
        scene.reaches(run, "undone")
        assert found(scene, run) == {**states, **dict.fromkeys(good, State.UNDONE)}
        assert scene.stage.effects() == set()

    assert len(crew.killed) == KILLS
    assert len(set(crew.killed)) == KILLS
    uninterrupted = Counter[str]()
    for _ in runs:
        uninterrupted += once(*NAMES) + once(*NAMES, verb="undo")
    again = scene.stage.times() - uninterrupted
    cut_off = Counter(what for owner in crew.killed for what in scene.last_of(owner))
    assert again <= cut_off
    assert uninterrupted <= scene.stage.times()
    until("the living are healthy", lambda: all(scene.ready(owner) for owner in crew.alive))
    for owner in crew.alive:
        scene.end(owner)


def found(scene: Scene, run: str) -> dict[str, State]:
    """Return where the subjects of a run stand."""
    return {name: record.state for name, record in scene.journal.subjects(run).items()}
