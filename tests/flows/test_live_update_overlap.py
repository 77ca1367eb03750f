"""A workload that waits for its volumes and ports itself is brought up while they move."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from taskflow import engines

from tests.flows.live_scenes import action_for, as_before, cloud_with, context, serving
from tests.flows.scenes import Sabotage, sabotage
from upgrade_flows import errors
from upgrade_flows.flows import capability
from upgrade_flows.plugins.workload.simulated import SimulatedWorkload
from upgrade_flows.steps.base import Settings


class Waiting(SimulatedWorkload):
    """Brings up what has come by then; fails as often as it is told to at first."""

    def __init__(self, cloud, way, fails=0):
        super().__init__(cloud, way)
        self.fails, self.called, self.begun = fails, [], threading.Event()

    def resume_waits(self, settings):
        return True

    def resume(self, surrogate, settings, notes):
        self.called.append("resume")
        self.begun.set()
        if self.fails:
            self.fails -= 1
            raise errors.HostError("the volume did not come")
        super().resume(surrogate, settings, notes)

    def withdraw(self, surrogate, settings, notes):
        self.called.append("withdraw")
        return super().withdraw(surrogate, settings, notes)


def scene(case="image-hot", width=1, **more):
    cloud, server = cloud_with(case)
    action = action_for(case, cloud, server)
    plugin = Waiting(cloud, action.details["cut"], **more)
    ctx = context(cloud, action)
    ctx = dataclasses.replace(
        ctx,
        plugins=dataclasses.replace(ctx.plugins, workload={"simulated": plugin}),
        settings=Settings(calls_at_a_time=width),
    )
    return cloud, server, plugin, capability.get("live_update").change(ctx, action)


def seen_by(cloud, plugin):
    """Return a list that gets what the plugin was called for before each call to Nova or so."""
    found = []
    cloud.faults.hook(lambda call, args, phase: found.append((call, *plugin.called)))
    return found


def test_it_is_called_while_a_port_is_still_on_its_way():
    cloud, _, plugin, flow = scene(width=8)
    waited = []

    def wait_for_it(call, args, phase):
        if call == "compute.attach_port" and not waited:
            waited.append(plugin.begun.wait(10))

    cloud.faults.hook(wait_for_it)
    engines.run(flow)
    assert waited == [True]


def test_it_is_brought_up_once():
    cloud, _, plugin, flow = scene()
    outcome = engines.run(flow)["outcome"]
    assert plugin.called == ["resume"]
    assert serving(cloud) == [outcome["server_id"]]


def test_one_that_did_not_come_up_meanwhile_is_brought_up_afterwards():
    cloud, _, plugin, flow = scene(fails=1)
    outcome = engines.run(flow)["outcome"]
    assert plugin.called == ["resume", "resume"]
    assert serving(cloud) == [outcome["server_id"]]


def test_one_that_never_comes_up_says_why_and_the_original_serves_again():
    cloud, server, _, flow = scene(fails=2)
    before = as_before(cloud.state())
    with pytest.raises(errors.HostError, match="the volume did not come"):
        engines.run(flow)
    assert serving(cloud) == [server]
    assert as_before(cloud.state()) == before


def test_it_is_withdrawn_before_anything_moves_back_if_it_fails_between_the_two_steps():
    cloud, server, plugin, flow = scene()
    calls = seen_by(cloud, plugin)
    engine = engines.load(sabotage(flow, f"move-resources:{server}"))
    with pytest.raises(Sabotage):
        engine.run()
    moved = [call[1:] for call in calls if call[0] == "compute.attach_volume"]
    assert (moved[0], moved[-1]) == ((), ("resume", "withdraw"))
    assert serving(cloud) == [server]


@pytest.mark.parametrize("case", ["image-cold", "restarting"])
def test_nothing_is_brought_up_meanwhile_in_a_guest_that_is_stopped_or_started_after_it(case):
    cloud, _, plugin, flow = scene(case)
    calls = seen_by(cloud, plugin)
    outcome = engines.run(flow)["outcome"]
    last = max(i for i, call in enumerate(calls) if call[0] == "compute.attach_port")
    assert calls[last][1:] == ()
    assert plugin.called == ["resume"]
    assert serving(cloud) == [outcome["server_id"]]
