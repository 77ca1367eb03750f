"""What every flow of ``recreate`` keeps: closed, adopting, undone wherever it fails."""

from __future__ import annotations

import pytest
from taskflow import engines, exceptions

from tests.flows.scenes import (
    CASES,
    NEW,
    OLD,
    Sabotage,
    action_for,
    build,
    cloud_with,
    context,
    sabotage,
    step_names,
    steps_of,
    told_apart_only_by_id,
)
from upgrade_flows import errors
from upgrade_flows.flows import capability

EVERY_STEP = [(case, name) for case in CASES for name in step_names(case)]
STATUSES = ("ACTIVE", "SHUTOFF")


@pytest.mark.parametrize("case", CASES)
def test_a_built_flow_is_closed(case):
    assert build(case, *cloud_with(case)).requires == frozenset()


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("case", CASES)
def test_a_change_alters_only_what_its_plan_declared(case, status):
    cloud, server = cloud_with(case, status)
    action = action_for(case, cloud, server)
    flow = capability.get("recreate").change(context(cloud), action)

    outcome = engines.run(flow)["outcome"]

    changed = {name.partition("[")[0] for name in outcome["identity_difference"]}
    assert changed <= set(action.declares)
    assert outcome["undeclared"] == []
    now = cloud.direct.compute.server(outcome["server_id"])
    modes = {PORT_MODES[p.vif_details["vhostuser_mode"]] for p in ports_of(cloud, now.id)}
    assert modes == {NEW}
    if CASES[case][0] != "cold-migrate":
        assert now.status == status
    assert (outcome["measured_downtime_s"] is not None) == (status == "ACTIVE")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("case", "victim"), EVERY_STEP)
def test_a_step_that_works_and_then_fails_leaves_the_cloud_as_it_was(case, victim, status):
    cloud, server = cloud_with(case, status)
    flow = build(case, cloud, server)
    before = cloud.state(bindings=True)

    def back_to_the_old_mode():
        cloud.set_mode("h1", OLD)

    engine = engines.load(sabotage(flow, victim, back_to_the_old_mode))
    # side by side with its victim, TaskFlow's own engine may run a sibling that fails too
    with pytest.raises((Sabotage, exceptions.WrappedFailure)):
        engine.run()
    cloud.set_mode("h1", NEW)

    after = cloud.state(bindings=True)
    rebuilt = [
        result["rebuilt"]
        for step in steps_of(flow)
        if (result := reverted(engine, step.name)) and "rebuilt" in result
    ]
    for new in rebuilt:
        after = told_apart_only_by_id(after, new, server)
    assert after == before
    left = [r for s in steps_of(flow) if (r := reverted(engine, s.name)) and "rebuilt" not in r]
    assert left == []


@pytest.mark.parametrize("case", CASES)
def test_a_refused_undo_is_reported_while_the_others_go_on(case):
    cloud, server = cloud_with(case)
    flow = build(case, cloud, server)
    last = f"compare-identity:{server}"
    cloud.faults.fail(
        "compute.unlock", errors.Forbidden("not today"), nth=first_unlock(case), times=99
    )

    engine = engines.load(sabotage(flow, last, lambda: cloud.set_mode("h1", OLD)))
    with pytest.raises(Sabotage):
        engine.run()

    reports = {s.name: r for s in steps_of(flow) if (r := reverted(engine, s.name))}
    if CASES[case][0] == "recreate":  # the original is gone, and its lock with it
        assert set(reports) == {f"delete-original:{server}"}
        return
    assert set(reports) == {f"lock-server:{server}"}
    residue = reports[f"lock-server:{server}"]["residue"]
    assert residue["why"] == "not today"
    assert cloud.direct.compute.server(server).status == "ACTIVE"
    assert cloud.direct.compute.server(server).locked


@pytest.mark.parametrize("case", CASES)
def test_no_step_gives_the_user_data_away(case):
    cloud, server = cloud_with(case)
    engine = engines.load(build(case, cloud, server))
    engine.run()

    text = repr(engine.storage.fetch_all())

    assert "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo" not in text


def test_settling_a_snapshot_deletes_the_parked_original_and_the_key():
    cloud, server = cloud_with("snapshot")
    action = action_for("snapshot", cloud, server)
    module = capability.get("recreate")
    outcome = engines.run(module.change(context(cloud), action))["outcome"]
    assert cloud.direct.compute.server(server).status == "SHUTOFF"

    engines.run(module.settle(context(cloud), action, outcome))

    assert [s.id for s in cloud.direct.compute.servers()] == [outcome["server_id"]]
    assert cloud.direct.compute.keypairs(cloud.direct.compute.own_user_id()) == ()


@pytest.mark.parametrize("preexisting", [False, True])
def test_settling_takes_no_port_from_the_replacement(preexisting):
    cloud, server = cloud_with("snapshot", preexisting_ports=preexisting)
    action = action_for("snapshot", cloud, server)
    module = capability.get("recreate")
    outcome = engines.run(module.change(context(cloud), action))["outcome"]

    engines.run(module.settle(context(cloud), action, outcome))

    held = ports_of(cloud, outcome["server_id"])
    assert {port.id for port in held} == {port["id"] for port in action.details["ports"]}
    assert {port.binding_host for port in held} == {"h1"}


def test_a_parked_original_that_still_holds_something_is_not_deleted():
    cloud, server = cloud_with("snapshot")
    action = action_for("snapshot", cloud, server)
    module = capability.get("recreate")
    outcome = engines.run(module.change(context(cloud), action))["outcome"]
    volume = cloud.add_volume("late")
    cloud.direct.compute.attach_volume(server, attached(volume))
    cloud.clock.sleep(60)

    with pytest.raises(errors.StepFailed, match=f"still holds {volume}"):
        engines.run(module.settle(context(cloud), action, outcome))

    assert cloud.direct.compute.server(server).id == server


def test_a_rebind_in_which_the_old_mode_is_gone_says_so_and_the_instance_runs():
    cloud, server = cloud_with("rebind")
    flow = build("rebind", cloud, server)

    engine = engines.load(sabotage(flow, f"start-server:{server}"))
    with pytest.raises(Sabotage):
        engine.run()

    assert cloud.direct.compute.server(server).status == "ACTIVE"
    whys = [r["residue"]["why"] for s in steps_of(flow) if (r := reverted(engine, s.name))]
    assert len(whys) == 2
    assert all("no longer binds it as dpdkvhostuser" in why for why in whys)


PORT_MODES = {"server": NEW, "client": OLD}


def attached(volume):
    from upgrade_flows.model.inventory import AttachedVolume

    return AttachedVolume(volume)


def ports_of(cloud, server):
    return list(cloud.direct.network.ports(device_id=server))


def reverted(engine, name):
    """Return what a step's revert returned, or None if it was not reverted."""
    try:
        return engine.storage.get_revert_result(name)
    except exceptions.NotFound:
        return None


def first_unlock(case):
    """Return which unlock call is that of the undo: the change itself unlocks, or not."""
    return 1 if CASES[case][0] in ("recreate", "snapshot") else 2
