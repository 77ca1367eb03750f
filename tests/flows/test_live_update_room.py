"""Room for a surrogate: what is held until Nova has it, and what others take in between."""

from __future__ import annotations

import dataclasses

import pytest
from taskflow import engines

from tests.flows.live_scenes import action_for, as_before, cloud_with, context, serving
from upgrade_flows import errors
from upgrade_flows.flows import capability
from upgrade_flows.steps.base import NoRecords

DOOR = "room on h1"


class Told(NoRecords):
    """Keeps what is told and held; the door is shut to us for so many times."""

    def __init__(self, shut=0):
        self.shut, self.told, self.held = shut, [], []
        self.then = lambda: None

    def tell(self, what, facts):
        self.told.append((what, facts["for"]))
        self.then()

    def hold(self, subject):
        if self.shut:
            self.shut -= 1
            raise errors.SubjectBusy("another one has it")
        self.held.append(("hold", subject))

    def release(self, subject=None):
        self.held.append(("release", subject))


def scene(case="image-hot", **told):
    """Return a cloud whose host h1 has room for one more instance, and the flow."""
    cloud, server = cloud_with(case)
    needed = cloud.direct.compute.server(server).resources
    twice = {kind: 2 * amount for kind, amount in needed.items()}
    while cloud.placement.rooms()["h1"].fits(twice):
        cloud.add_server("filler", host="h1")
    records = Told(**told)
    action = action_for(case, cloud, server)
    ctx = dataclasses.replace(context(cloud, action), records=records)
    return cloud, server, records, lambda: capability.get("live_update").change(ctx, action)


def when(cloud, call, phase, act):
    """Have something done once, when a call is made or has been."""

    def hook(name, args, moment):
        if (name, moment) == (call, phase) and done:
            done.pop()()

    done = [act]
    cloud.faults.hook(hook)


@pytest.mark.parametrize("case", ["image-hot", "volume-update", "restarting"])
def test_room_that_somebody_takes_before_nova_does_is_waited_for_once_more(case):
    cloud, server, records, build = scene(case)

    def steal():
        thief = cloud.add_server("thief", host="h1")
        records.then = lambda: cloud.direct.compute.delete(thief)

    when(cloud, "placement.release", "after", steal)
    outcome = engines.run(build())["outcome"]
    assert records.told == [("waiting", DOOR)]
    assert serving(cloud) == [outcome["server_id"]]
    ours = [one.id for one in cloud.direct.compute.servers() if one.name.startswith("web")]
    assert sorted(ours) == sorted([server, outcome["server_id"]])


def test_a_surrogate_that_nova_refuses_although_there_is_room_is_not_tried_for_ever():
    cloud, server, records, build = scene()
    before = as_before(cloud.state())
    flow = build()
    when(cloud, "compute.create", "before", lambda: cloud.change_host("h1", enabled=False))
    with pytest.raises(errors.StepFailed, match="No valid host"):
        engines.run(flow)
    cloud.change_host("h1", enabled=True)
    assert records.told == []
    assert serving(cloud) == [server]
    assert as_before(cloud.state()) == before


def test_room_is_not_taken_while_another_one_of_ours_hands_his_over():
    cloud, _, records, build = scene(shut=3)
    looked = []
    cloud.faults.hook(lambda call, args, phase: looked.append((call, phase, records.shut)))
    outcome = engines.run(build())["outcome"]
    assert serving(cloud) == [outcome["server_id"]]
    assert ("placement.hold", "before", 0) in looked
    assert {shut for call, _, shut in looked if call == "placement.hold"} == {0}


def test_from_when_it_is_given_back_until_nova_has_it_nobody_of_ours_takes_it():
    cloud, _, records, build = scene()
    watched = ("placement.hold", "placement.release", "compute.create")

    def watch(call, args, phase):
        if call in watched and phase == "before":
            records.held.append(call)

    cloud.faults.hook(watch)
    engines.run(build())
    assert records.held == [
        ("hold", DOOR),
        "placement.hold",
        ("release", DOOR),
        ("hold", DOOR),
        "placement.release",
        "compute.create",
        ("release", DOOR),
    ]
