"""What every flow of ``capture`` keeps: closed, adopting, undone wherever it fails."""

from __future__ import annotations

import json

import pytest
from taskflow import engines

from tests.flows.capture_scenes import CASES, action_for, build, cloud_with, data_volumes
from tests.flows.scenes import Sabotage, context, reverted, sabotage, steps_of
from upgrade_flows import errors
from upgrade_flows.flows import capability

EVERY_STEP = [
    (case, name)
    for case in CASES
    for name in sorted(step.name for step in steps_of(build(case, *cloud_with(case))))
]


def captured(case, **more):
    cloud, server = cloud_with(case)
    outcome = engines.run(build(case, cloud, server, **more))["outcome"]
    return cloud, server, outcome


def devices_of(image):
    return json.loads(image.properties["block_device_mapping"])


@pytest.mark.parametrize("case", CASES)
def test_a_built_flow_is_closed(case):
    assert build(case, *cloud_with(case)).requires == frozenset()


@pytest.mark.parametrize("case", CASES)
def test_a_capture_makes_its_image_and_its_snapshots_and_nothing_else(case):
    cloud, server = cloud_with(case)
    before = cloud.state(bindings=True)

    outcome = engines.run(build(case, cloud, server))["outcome"]

    after = cloud.state(bindings=True)
    image = after["images"].pop(outcome["image"]["id"])
    assert (image["name"], image["status"]) == ("golden", "active")
    assert image["properties"]["upgrade_flows_captured_from"] == server
    made = {after["snapshots"].pop(one)["volume_id"] for one in _snapshots(outcome)}
    assert made == set(outcome["image"]["snapshots"])
    assert after == before


def _snapshots(outcome):
    return outcome["image"]["snapshots"].values()


@pytest.mark.parametrize(("case", "victim"), EVERY_STEP)
def test_a_step_that_works_and_then_fails_leaves_the_cloud_as_it_was(case, victim):
    cloud, server = cloud_with(case)
    flow = build(case, cloud, server)
    before = cloud.state(bindings=True)

    engine = engines.load(sabotage(flow, victim))
    with pytest.raises(Sabotage):
        engine.run()

    assert cloud.state(bindings=True) == before
    assert [r for step in steps_of(flow) if (r := reverted(engine, step.name))] == []


def test_a_volume_backed_instance_becomes_an_image_of_no_bytes_as_nova_makes_it():
    cloud, server, outcome = captured("volume-data-stopped")
    image = cloud.direct.images.image(outcome["image"]["id"])
    root = next(v for v in cloud.direct.compute.attachments(server) if v.boot_index == 0)
    (data, _) = data_volumes(cloud, server)
    snapshots = outcome["image"]["snapshots"]
    assert (image.size, image.properties["bdm_v2"]) == (0, "True")
    assert image.properties["root_device_name"] == "/dev/vda"
    assert [
        (one["snapshot_id"], one["boot_index"], one["device_name"], one["delete_on_termination"])
        for one in devices_of(image)
    ] == [
        (snapshots[root.volume_id], 0, "/dev/vda", False),
        (snapshots[data], None, "/dev/vdb", False),
    ]
    assert {one["source_type"] for one in devices_of(image)} == {"snapshot"}
    assert {one["destination_type"] for one in devices_of(image)} == {"volume"}


def test_an_image_backed_instance_keeps_its_bytes_and_refers_to_the_chosen_volume_alone():
    cloud, server, outcome = captured("image-data-stopped")
    image = cloud.direct.images.image(outcome["image"]["id"])
    (data, _) = data_volumes(cloud, server)
    assert image.size > 0
    (device,) = devices_of(image)
    assert device["snapshot_id"] == outcome["image"]["snapshots"][data]
    assert device["boot_index"] is None
    assert "root_device_name" not in image.properties


def test_the_image_is_booted_on_a_port_that_nothing_reaches_and_removed():
    cloud, _, outcome = captured("volume-data-stopped")
    calls = [(name, args) for name, args in cloud.calls if name.endswith(("create", "_port"))]
    assert [name for name, _ in calls] == ["images.create", "network.create_port", "compute.create",
                                           "network.delete_port"]  # fmt: skip
    port, new = calls[1][1][0], calls[2][1][0]
    assert port.security_groups == ()
    assert new.boot_image == outcome["image"]["id"]
    assert outcome["image"]["verified"].startswith("booted: ACTIVE after ")


def test_a_volume_made_of_the_trial_never_outlives_it_whatever_the_original_has():
    cloud, server = cloud_with("volume")
    held = cloud.direct.compute.attachments(server)
    assert {volume.delete_on_termination for volume in held} == {False}
    cloud.faults.break_result("compute.create", "ERROR")
    before = cloud.state(bindings=True)

    with pytest.raises(errors.StepFailed, match="is in ERROR"):
        engines.run(build("volume", cloud, server))

    assert cloud.state(bindings=True) == before


@pytest.mark.parametrize("case", ["image-data-stopped", "volume-data-stopped"])
def test_an_instance_that_is_stopped_for_it_runs_again_before_the_image_is_tried(case):
    cloud, _, outcome = captured(case)
    calls = [name for name, _ in cloud.calls]
    assert calls.index("compute.stop") < calls.index("volumes.create_snapshot")
    assert calls.index("volumes.create_snapshot") < calls.index("compute.start")
    assert calls.index("compute.start") < calls.index("compute.create")
    assert outcome["measured_downtime_s"] > 0


def test_a_trial_that_fails_does_not_stop_the_instance_once_more():
    cloud, server = cloud_with("volume-data-stopped")
    flow = build("volume-data-stopped", cloud, server)
    with pytest.raises(Sabotage):
        engines.run(sabotage(flow, f"try-image:{server}"))
    assert cloud.count("compute.stop") == 1
    assert cloud.direct.compute.server(server).status == "ACTIVE"


def test_an_instance_that_is_off_stays_off():
    cloud, server = cloud_with("volume-data-stopped", "SHUTOFF")
    outcome = engines.run(build("volume-data-stopped", cloud, server))["outcome"]
    assert cloud.count("compute.start") == 0
    assert outcome["measured_downtime_s"] is None


def test_a_refused_undo_is_reported_while_the_others_go_on():
    cloud, server = cloud_with("volume")
    flow = build("volume", cloud, server)
    cloud.faults.fail("images.delete", errors.Forbidden("not today"), times=99)

    engine = engines.load(sabotage(flow, f"name-image:{server}"))
    with pytest.raises(Sabotage):
        engine.run()

    reports = {s.name: r for s in steps_of(flow) if (r := reverted(engine, s.name))}
    assert set(reports) == {f"compose-image:{server}"}
    assert reports[f"compose-image:{server}"]["residue"]["why"] == "not today"
    assert cloud.direct.volumes.snapshots() == ()


def test_probes_are_asked_of_what_is_booted_and_its_port_is_as_open_as_the_originals(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "upgrade_flows.steps.guest_probes.await_ready",
        lambda clock, probes, addresses, **more: asked.append((probes, addresses)),
    )
    cloud, server = cloud_with("image")
    (original,) = cloud.direct.network.ports(device_id=server)
    outcome = engines.run(build("image", cloud, server, probes=[{"tcp": 22}]))["outcome"]
    ((probes, addresses),) = asked
    assert probes == [{"tcp": 22}]
    assert len(addresses) == 1
    port = next(args[0] for name, args in cloud.calls if name == "network.create_port")
    assert port.security_groups == original.security_groups
    assert "answers after" in outcome["image"]["verified"]


def test_a_capture_in_a_project_without_us_is_made_in_our_own():
    cloud, server = cloud_with("volume")
    cloud.close_project(cloud.direct.compute.server(server).project_id)
    outcome = engines.run(build("volume", cloud, server))["outcome"]
    assert cloud.direct.images.image(outcome["image"]["id"]).owner == cloud.world.own_project_id


def test_there_is_nothing_to_settle():
    cloud, server = cloud_with("image")
    module = capability.get("capture")
    assert module.settle(context(cloud), action_for("image", cloud, server), {}) is None
