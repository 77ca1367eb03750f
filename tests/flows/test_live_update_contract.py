"""What every flow of ``live_update`` keeps: closed, adopting, undone wherever it fails."""

from __future__ import annotations

import dataclasses

import pytest
from taskflow import engines

from tests.flows.live_scenes import (
    CASES,
    action_for,
    as_before,
    build,
    cloud_with,
    context,
    serving,
)
from tests.flows.scenes import Sabotage, reverted, sabotage, steps_of
from upgrade_flows import errors
from upgrade_flows.flows import capability
from upgrade_flows.plugins.workload.simulated import SimulatedWorkload
from upgrade_flows.steps import guest_probes


def step_names(case: str) -> list[str]:
    cloud, server = cloud_with(case)
    return sorted(step.name for step in steps_of(build(cloud, action_for(case, cloud, server))))


EVERY_STEP = [(case, name) for case in CASES for name in step_names(case)]


@pytest.mark.parametrize("case", CASES)
def test_a_built_flow_is_closed(case):
    cloud, server = cloud_with(case)
    assert build(cloud, action_for(case, cloud, server)).requires == frozenset()


@pytest.mark.parametrize("made_by_nova", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_the_surrogate_serves_with_what_the_original_had(case, made_by_nova):
    cloud, server = cloud_with(case, made_by_nova)
    action = action_for(case, cloud, server)
    direct = cloud.direct
    macs = sorted(port.mac_address for port in direct.network.ports(device_id=server))
    floating = [ip.address for ip in direct.network.floating_ips()]

    outcome = engines.run(build(cloud, action))["outcome"]

    new = outcome["server_id"]
    direct = cloud.direct
    assert new != server
    assert serving(cloud) == [new]
    ports = list(direct.network.ports(device_id=new))
    assert sorted(port.mac_address for port in ports) == macs
    assert list(direct.network.ports(device_id=server)) == []
    led = [ip for ip in direct.network.floating_ips() if ip.port_id in {p.id for p in ports}]
    assert [ip.address for ip in led] == floating
    assert bool(outcome["ports"]) == made_by_nova
    held = {one.volume_id for one in direct.compute.attachments(new)}
    assert set(action.details["volumes"]) <= held
    hot = action.details["cut"] == "hot"
    assert direct.compute.server(server).status == ("PAUSED" if hot else "SHUTOFF")
    assert {call["call"] for call in outcome["moved"]["calls"]} >= {
        "detach volume", "attach volume", "detach port", "attach port",
    }  # fmt: skip
    assert outcome["moved"]["blackout_s"] > 0


@pytest.mark.parametrize("case", CASES)
def test_at_no_moment_do_both_serve_on_the_way_there_and_back(case):
    cloud, server = cloud_with(case)
    flow = build(cloud, action_for(case, cloud, server))
    counts = set()
    cloud.faults.hook(lambda call, args, phase: counts.add(len(serving(cloud))))

    engine = engines.load(sabotage(flow, f"compare-surrogate:{server}"))
    with pytest.raises(Sabotage):
        engine.run()

    assert counts == {0, 1}


@pytest.mark.parametrize(("case", "victim"), EVERY_STEP)
def test_a_step_that_works_and_then_fails_leaves_the_cloud_as_it_was(case, victim):
    cloud, server = cloud_with(case)
    action = action_for(case, cloud, server)
    flow = build(cloud, action)
    before = as_before(cloud.state())

    engine = engines.load(sabotage(flow, victim))
    with pytest.raises(Sabotage):
        engine.run()

    assert as_before(cloud.state()) == before
    assert serving(cloud) == [server]
    left = [r for s in steps_of(flow) if (r := reverted(engine, s.name)) and "renewed" not in r]
    assert left == []


@pytest.mark.parametrize("case", CASES)
def test_settling_leaves_one_instance_that_has_the_name_and_nothing_of_ours(case):
    cloud, server = cloud_with(case)
    action = action_for(case, cloud, server)
    was = cloud.direct.compute.server(server)
    images = set(cloud.state()["images"])
    root = action.details["root"]

    outcome = engines.run(build(cloud, action))["outcome"]
    settle = capability.get("live_update").settle(context(cloud, action), action, outcome)
    engines.run(settle)

    direct = cloud.direct
    names = [one.name for one in direct.compute.servers()]
    assert names.count("web") == 1
    assert not [one for one in direct.compute.servers() if one.id == server]
    now = direct.compute.server(outcome["server_id"])
    assert (now.name, now.metadata) == (was.name, was.metadata)
    assert now.tags == (*was.tags, "upgrade-flows-owner=user-1")
    assert set(cloud.state()["images"]) == images
    assert list(direct.volumes.snapshots()) == []
    assert all(port.device_id for port in direct.network.ports())
    flags = {one.volume_id: one.delete_on_termination for one in direct.compute.attachments(now.id)}
    assert set(flags.values()) <= {True}
    if root:
        assert root["volume_id"] not in {one.id for one in direct.volumes.volumes()}
    assert serving(cloud) == [now.id]


def test_a_way_back_with_a_grace_period_says_until_when_it_is_kept():
    cloud, server = cloud_with("image-hot")
    action = action_for("image-hot", cloud, server, grace_s=3600)
    outcome = engines.run(build(cloud, action))["outcome"]

    engines.run(capability.get("live_update").settle(context(cloud, action), action, outcome))

    image = cloud.direct.images.image(outcome["way_back"]["image"])
    until = float(image.properties["upgrade_flows_until"])
    assert until == pytest.approx(cloud.clock.time() + 3600, abs=30)


def test_a_refused_undo_is_reported_while_the_others_go_on():
    cloud, server = cloud_with("image-hot")
    action = action_for("image-hot", cloud, server)
    flow = build(cloud, action)
    cloud.faults.fail("compute.unlock", errors.Forbidden("not today"), times=99)

    engine = engines.load(sabotage(flow, f"compare-surrogate:{server}"))
    with pytest.raises(Sabotage):
        engine.run()

    reports = {s.name: r for s in steps_of(flow) if (r := reverted(engine, s.name))}
    assert [name for name, r in reports.items() if "residue" in r] == [f"lock-server:{server}"]
    assert serving(cloud) == [server]


@pytest.mark.parametrize("case", CASES)
def test_a_second_run_of_a_step_adopts_what_the_first_one_made(case):
    cloud, server = cloud_with(case)
    flow = build(cloud, action_for(case, cloud, server))
    for step in steps_of(flow):
        work = step.execute

        def twice(*args, work=work, **kwargs):
            work(*args, **kwargs)
            return work(*args, **kwargs)

        step.execute = _like(work, twice)

    outcome = engines.run(flow)["outcome"]

    assert len([s for s in cloud.direct.compute.servers() if s.name.startswith("web")]) == 2
    assert serving(cloud) == [outcome["server_id"]]


def _like(work, wrapper):
    import functools

    return functools.wraps(work)(wrapper)


def test_without_room_the_surrogate_waits_and_says_so():
    cloud, server = cloud_with("image-hot")
    for number in range(99):
        room = cloud.placement.rooms()["h1"]
        needed = cloud.direct.compute.server(server).resources
        if not room.fits(needed):
            break
        cloud.add_server(f"filler-{number}", host="h1")
    action = action_for("image-hot", cloud, server)
    before = cloud.state()
    told = []

    class Told:
        def tell(self, what, facts):
            told.append((what, facts["for"]))

        def hold(self, subject): ...
        def release(self, subject=None): ...
        def parking(self):
            return False

    ctx = dataclasses.replace(context(cloud, action), records=Told())
    with pytest.raises(errors.TimedOut, match="room for the surrogate of web on h1"):
        engines.run(capability.get("live_update").change(ctx, action))

    assert told == [("waiting", "room on h1")]
    assert cloud.state() == before


def test_a_workload_that_does_not_answer_where_it_has_moved_to_goes_back_in_time(monkeypatch):
    monkeypatch.setattr(guest_probes, "connects", lambda *asked: False)
    cloud, server = cloud_with("image-hot")
    details = {"probes": [{"tcp": 80}], "ready_s": 7200, "answer_s": 60}
    action = action_for("image-hot", cloud, server, **details)
    before, since = as_before(cloud.state()), cloud.clock.monotonic()

    with pytest.raises(errors.TimedOut, match="tcp 80: no answer"):
        engines.run(build(cloud, action))

    assert cloud.clock.monotonic() - since < 600
    assert as_before(cloud.state()) == before
    assert serving(cloud) == [server]


def test_a_surrogate_is_not_looked_for_where_the_original_still_answers():
    cloud, server = cloud_with("image-hot")
    action = action_for("image-hot", cloud, server)
    carried = {one for port in action.details["ports"] for one in port["addresses"]}
    carried |= {ip.address for ip in cloud.direct.network.floating_ips()}
    asked = {}

    class Watched(SimulatedWorkload):
        def ready(self, guest, settings):
            asked["ready"] = set(guest.addresses)

        def prepare(self, original, surrogate, settings):
            asked["prepare"] = set(surrogate.addresses)
            return super().prepare(original, surrogate, settings)

        def resume(self, surrogate, settings, notes):
            asked["resume"] = set(surrogate.addresses)
            super().resume(surrogate, settings, notes)

    ctx = context(cloud, action)
    plugins = dataclasses.replace(ctx.plugins, workload={"simulated": Watched(cloud)})
    ctx = dataclasses.replace(ctx, plugins=plugins)
    engines.run(capability.get("live_update").change(ctx, action))

    assert asked["ready"] == asked["prepare"] == asked["resume"] - carried != set()
    assert carried <= asked["resume"]
