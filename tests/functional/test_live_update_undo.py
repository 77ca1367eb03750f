"""A failure right after each step of the cut-over of a real guest: the original serves again.

All that comes before the cut-over is done once; each failure then has the same two guests, and
at last all of it is undone as well.
"""

from __future__ import annotations

import pytest
from taskflow import engines
from taskflow.patterns import linear_flow

from tests.flows.scenes import Sabotage, reverted, sabotage, steps_of
from tests.functional import live, whole
from tests.functional.instances import changes, truth
from upgrade_flows.flows import capability
from upgrade_flows.steps.base import Context
from upgrade_flows.steps.vault import Vault

RUN = "20261128-0ddba1"
FIRST, LAST = "quiesce-workload", "compare-surrogate"
VICTIMS = (
    FIRST, "move-resources", "resume-workload", "freeze-original", "detach-health-port", LAST,
)  # fmt: skip
#: of these, those after which the surrogate has served
SERVED = VICTIMS[1:]


class Scene:
    """A guest with a surrogate that is ready to take over."""

    def __init__(self, updates):
        (self.guest,) = live.make(live.Wish("undone", 105))
        self.guest.ask("bump")
        self.was, self.first = self.guest.ask(), truth(self.guest.id)
        self.cloud = whole.listing()
        (self.action,) = updates.plan(self.guest).actions
        runs = updates.runs
        self.context = Context(RUN, runs.cloud, runs.plugins, vault=Vault.temporary())

    def steps(self):
        """Return the steps, made anew, up to the cut-over and from there on."""
        flow = capability.get("live_update").change(self.context, self.action)
        steps = steps_of(flow)
        at = [step.name.partition(":")[0] for step in steps].index(FIRST)
        return steps[:at], steps[at:]

    def flow(self, steps):
        return linear_flow.Flow("some").add(*steps)

    def get_ready(self):
        """Do what comes before the cut-over, and keep what it has provided."""
        head, _ = self.steps()
        engine = engines.load(self.flow(head))
        engine.run()
        self.provided = engine.storage.fetch_all()

    def fail_after(self, victim):
        """Do the cut-over up to a step, let it fail there, and return what undoing has left."""
        _, tail = self.steps()
        flow = sabotage(self.flow(tail), f"{victim}:{self.guest.id}")
        engine = engines.load(flow, store=self.provided)
        with pytest.raises(Sabotage):
            engine.run()
        return [left for step in tail if (left := reverted(engine, step.name))]

    def give_up(self):
        """Do once more what comes before the cut-over, which adopts all of it, and fail there."""
        head, _ = self.steps()
        names = ("before", "recorded")
        flow = sabotage(self.flow(head[len(names) :]), head[-1].name)
        with pytest.raises(Sabotage):
            engines.run(flow, store={name: self.provided[name] for name in names})


@pytest.fixture(scope="module")
def scene(updates):
    scene = Scene(updates)
    scene.get_ready()
    scene.held, scene.around = truth(scene.guest.id), whole.listing()
    yield scene
    live.clear(updates, RUN)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_failure_after_a_step_of_the_cut_over_lets_the_original_serve_again(scene, victim):
    with scene.guest.polled() as polled:
        left = scene.fail_after(victim)
        now = scene.guest.ask()
    assert left == []
    assert now == scene.was
    assert polled.boots[0] == polled.boots[-1] == scene.was["boot_id"]
    assert len(polled.boots) == (3 if victim in SERVED else 1)
    assert changes(scene.held, truth(scene.guest.id)) == {}
    assert whole.difference(scene.around, whole.listing()) == {}


def test_at_last_nothing_is_left_of_what_came_before_the_cut_over(scene):
    scene.give_up()
    assert scene.guest.ask() == scene.was
    assert changes(scene.first, truth(scene.guest.id)) == {}
    assert whole.difference(scene.cloud, whole.listing()) == {}
