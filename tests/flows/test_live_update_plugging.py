"""Volumes and ports that are free already, while Nova still thinks that somebody has them."""

from __future__ import annotations

import pytest
from taskflow import engines

from tests.flows.live_scenes import action_for, as_before, build, cloud_with, serving
from upgrade_flows import errors

TAKEN = errors.Conflict("volume is already attached to instances (HTTP 400)")


def scene():
    cloud, server = cloud_with("image-hot")
    return cloud, server, build(cloud, action_for("image-hot", cloud, server))


def test_a_volume_that_nova_has_not_forgotten_yet_is_attached_when_it_has():
    cloud, _, flow = scene()
    cloud.faults.fail("compute.attach_volume", TAKEN, times=1)
    outcome = engines.run(flow)["outcome"]
    assert serving(cloud) == [outcome["server_id"]]


def test_nova_is_asked_again_for_as_long_as_it_says_that_the_original_has_the_volume(monkeypatch):
    cloud, server, flow = scene()
    real, asked = cloud.compute.attachments, []

    def behind(server_id):
        asked.append(server_id)
        return volumes if asked.count(server) <= 3 and server_id == server else real(server_id)

    def forget_later(call, args, phase):
        if call == "compute.detach_volume" and phase == "before":
            monkeypatch.setattr(cloud.compute, "attachments", behind)

    volumes = real(server)
    cloud.faults.hook(forget_later)
    cloud.faults.fail("compute.attach_volume", TAKEN, times=4)
    outcome = engines.run(flow)["outcome"]
    assert serving(cloud) == [outcome["server_id"]]


def test_a_volume_that_nova_refuses_for_another_reason_goes_back():
    cloud, server, flow = scene()
    before = as_before(cloud.state())
    cloud.faults.fail("compute.attach_volume", TAKEN, times=2)
    with pytest.raises(errors.Conflict, match="already attached"):
        engines.run(flow)
    assert serving(cloud) == [server]
    assert as_before(cloud.state()) == before
