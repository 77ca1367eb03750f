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
    reverted,
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
    if CASES[case][0] in ("recreate", "snapshot"):  # the original is gone, and its lock with it
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


@pytest.mark.parametrize("preexisting", [False, True])
@pytest.mark.parametrize("case", ["recreate", "snapshot"])
def test_a_re_creation_keeps_every_port_and_volume(case, preexisting):
    cloud, server = cloud_with(case, preexisting_ports=preexisting)
    action = action_for(case, cloud, server)
    outcome = engines.run(capability.get("recreate").change(context(cloud), action))["outcome"]

    held = ports_of(cloud, outcome["server_id"])
    assert {port.id for port in held} == {port["id"] for port in action.details["ports"]}
    volumes = cloud.direct.compute.attachments(outcome["server_id"])
    assert {volume.volume_id for volume in volumes} == set(action.details["volumes"])
    assert all(volume.delete_on_termination for volume in volumes)


@pytest.mark.parametrize("case", ["recreate", "snapshot"])
def test_our_key_is_there_for_the_moment_of_the_creation_only(case):
    cloud, server = cloud_with(case)
    seen = []
    own = cloud.direct.compute.own_user_id()
    cloud.faults.hook(
        lambda call, args, phase: seen.append(call) if cloud.direct.compute.keypairs(own) else None
    )

    engines.run(build(case, cloud, server))

    assert set(seen) == {"compute.import_keypair", "compute.public_key", "compute.create",
                         "compute.own_user_id", "compute.delete_keypair"}  # fmt: skip
    assert cloud.direct.compute.keypairs(own) == ()


def test_an_original_that_still_holds_something_is_not_deleted():
    cloud, server = cloud_with("snapshot")
    flow = build("snapshot", cloud, server)
    port = ports_of(cloud, server)[0]

    def given_back(call, args, phase):
        if call == "compute.delete":
            raise AssertionError("it was deleted")
        if call == "network.unbind" and phase == "after" and args[0] == port.id:
            cloud.direct.network.set_owner(port.id, server, port.device_owner)

    cloud.faults.hook(given_back)
    with pytest.raises(errors.StepFailed, match=f"would lose port {port.id}"):
        engines.run(flow)

    assert cloud.direct.compute.server(server).status == "ACTIVE"


def test_an_original_whose_host_is_full_by_then_comes_back_elsewhere():
    cloud, server = cloud_with("recreate")
    flow = build("recreate", cloud, server)

    def fill_the_host(call, args, phase):
        if call == "compute.delete" and phase == "after":
            cloud.set_capacity("h1", MEMORY_MB=0)

    cloud.faults.hook(fill_the_host)
    engine = engines.load(flow)
    with pytest.raises(errors.StepFailed, match="No valid host"):
        engine.run()

    rebuilt = reverted(engine, f"delete-original:{server}")["rebuilt"]
    assert cloud.direct.compute.server(rebuilt).status == "ACTIVE"
    assert cloud.direct.compute.server(rebuilt).host != "h1"


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


def ports_of(cloud, server):
    return list(cloud.direct.network.ports(device_id=server))


def first_unlock(case):
    """Return which unlock call is that of the undo: the change itself unlocks, or not."""
    return 1 if CASES[case][0] in ("recreate", "snapshot") else 2
