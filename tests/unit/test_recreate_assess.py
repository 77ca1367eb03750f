"""Which strategy an instance gets, which rule excluded the cheaper ones, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import RequestError
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.plugins import registry

PLUGINS = registry.load()
EVERYTHING = Scope(everything=True)


def cloud(before="dpdkvhostuser", after="dpdkvhostuserclient", updated=("h1", "h2"), **server):
    """Return a cloud with one instance bound in mode ``before`` on h1, which is now ``after``."""
    made = FakeCloud(hosts=("h1", "h2"), mode=before)
    made.add_server("web", host="h1", **server)
    for host in updated:
        made.set_mode(host, after)
    return made


def plan(made, strategy="auto", hosts=(), **rollout):
    request = UpgradeRequest(
        "recreate", EVERYTHING, Target(strategy, tuple(hosts)), Rollout(**rollout)
    )
    return make_plan(request, collect(made, EVERYTHING), PLUGINS)


def only(made, strategy="auto", **more):
    (action,) = plan(made, strategy, **more).actions
    return action


def refusal(made, strategy="auto", **more):
    found = plan(made, strategy, **more)
    assert not found.actions
    (finding,) = found.findings
    return finding


def test_an_instance_in_its_hosts_mode_needs_nothing():
    made = cloud(after="dpdkvhostuser")
    assert plan(made).actions == ()
    assert len(plan(made).unchanged) == 1


def test_a_vhost_user_port_is_rebound_in_place():
    action = only(cloud())
    assert action.strategy == "rebind"
    assert action.because == ()
    assert action.declares == ("vif_modes",)


def test_a_hybrid_plug_is_not_changed_in_place_but_by_moving_to_an_updated_host():
    action = only(cloud("ovs-hybrid", "ovs"))
    assert action.strategy == "cold-migrate"
    assert action.details["target_host"] == "h2"
    assert "not rebind: the devices that port" in action.because[0]


def test_without_an_updated_host_a_hybrid_plug_is_changed_by_shelving():
    action = only(cloud("ovs-hybrid", "ovs", updated=("h1",)))
    assert action.strategy == "shelve"
    assert "would bind port" in action.because[1]
    assert action.because[1].startswith("not cold-migrate: no other host fits: h2 would bind")


def with_ephemeral(made):
    (server,) = made.direct.compute.servers()
    flavor = dataclasses.replace(server.flavor, ephemeral_gb=5)
    made.change_server(server.id, flavor=flavor)
    return made


def test_an_ephemeral_disk_leaves_no_strategy_that_would_lose_it():
    made = with_ephemeral(cloud("ovs-hybrid", "ovs", updated=("h1",)))
    finding = refusal(made)
    assert finding.id == "UF-RC-010"
    assert "not shelve: server" in finding.message
    assert "has an ephemeral disk of 5 GiB that a snapshot would lose" in finding.message


@pytest.mark.parametrize(
    ("volume_backed", "asked", "reason"),
    [
        (True, "snapshot", "not snapshot: its root disk is a volume"),
        (False, "recreate", "not recreate: its root disk is no volume"),
    ],
)
def test_a_strategy_for_another_kind_of_root_disk_is_refused(volume_backed, asked, reason):
    finding = refusal(cloud(boot_volume=volume_backed), asked)
    assert finding.id == "UF-RC-011"
    assert reason in finding.message


def test_live_migration_is_refused_with_the_reason_also_when_asked_for():
    finding = refusal(cloud(), "live-migrate")
    assert finding.id == "UF-RC-012"
    assert "both ends would be clients, or both servers" in finding.message


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    with pytest.raises(RequestError, match="known: auto, rebind, cold-migrate, shelve, recreate"):
        plan(cloud(), "hope")


def test_an_unknown_target_host_is_refused():
    with pytest.raises(RequestError, match="h9: no such compute host"):
        plan(cloud(), "cold-migrate", hosts=("h9",))


@pytest.mark.parametrize(
    ("fields", "number", "reason"),
    [
        ({"task_state": "image_snapshot"}, "UF-RC-002", "task_state image_snapshot"),
        ({"locked": True, "locked_reason": "mine"}, "UF-RC-003", r"it is locked (mine)"),
        ({"status": "PAUSED"}, "UF-RC-001", "its status is PAUSED"),
        ({"status": "ERROR"}, "UF-RC-001", "its status is ERROR"),
    ],
)
def test_an_instance_in_a_state_of_its_own_is_refused(fields, number, reason):
    made = cloud()
    (server,) = made.direct.compute.servers()
    made.change_server(server.id, **fields)
    finding = refusal(made)
    assert finding.id == number
    assert reason in finding.message


def test_a_port_that_is_passed_through_is_refused():
    made = cloud(nics=2)
    port = next(iter(made.direct.network.ports()))
    made.change_port(port.id, vnic_type="direct")
    assert refusal(made).id == "UF-RC-005"


def test_a_port_that_no_plugin_knows_is_refused():
    made = cloud()
    port = next(iter(made.direct.network.ports()))
    made.change_port(port.id, vif_type="hostdev_physical")
    finding = refusal(made)
    assert finding.id == "UF-RC-006"
    assert "vif_type hostdev_physical" in finding.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: made.change_host("h1", up=False), "nova-compute on its host h1 is down"),
        (lambda made: made.change_agent("h1", alive=False), "L2 agent of its host h1 is not alive"),
    ],
)
def test_an_instance_on_a_broken_host_is_refused(change, reason):
    made = cloud()
    change(made)
    finding = refusal(made)
    assert finding.id == "UF-RC-004"
    assert reason in finding.message


def owned_by_heat(made, server):
    made.manage(server.id, "Heat stack shop")


def without_its_flavor(made, server):
    made.change_server(server.id, flavor=dataclasses.replace(server.flavor, name="gone"))


def with_a_changed_flavor(made, server):
    made.change_server(server.id, flavor=dataclasses.replace(server.flavor, vcpus=9))


def with_a_lost_key(made, server):
    made.change_server(server.id, key_name="lost")


def in_a_closed_project(made, server):
    made.close_project(server.project_id)


def with_a_tpm(made, server):
    specs = {"hw:tpm_version": "2.0"}
    made.change_server(server.id, flavor=dataclasses.replace(server.flavor, extra_specs=specs))


def on_a_disabled_host(made, server):
    made.change_host("h1", enabled=False)


def on_an_overfull_host(made, server):
    made.set_capacity("h1", MEMORY_MB=server.flavor.memory_mb - 1)


def beyond_its_quota(made, server):
    made.limit(server.project_id, instances=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (owned_by_heat, "it belongs to Heat stack shop"),
        (without_its_flavor, "its flavor gone was deleted or has changed"),
        (with_a_changed_flavor, "was deleted or has changed since it was booted"),
        (with_a_lost_key, "its key lost does not exist any more"),
        (in_a_closed_project, "we cannot get a token in its project"),
        (with_a_tpm, "its virtual TPM would be lost"),
        (on_a_disabled_host, "its host h1 is disabled"),
        (on_an_overfull_host, "its host h1 has not enough room in Placement"),
        (beyond_its_quota, "is over its quota (instances)"),
    ],
)
def test_a_re_creation_that_would_not_end_well_is_refused_before_it_begins(change, reason):
    made = cloud()
    (server,) = made.direct.compute.servers()
    change(made, server)
    assert reason in refusal(made, "snapshot").message


def test_an_instance_that_its_anti_affinity_group_would_not_let_back_is_refused():
    made = FakeCloud(hosts=("h1", "h2"), mode="dpdkvhostuser")
    group = made.add_group("anti-affinity")
    for name in ("a", "b"):
        made.add_server(name, host="h1", group=group)
    made.set_mode("h1", "dpdkvhostuserclient")
    found = plan(made, "snapshot")
    assert found.actions == ()
    assert "another member of its anti-affinity group" in found.findings[0].message


def test_a_cold_migration_does_not_break_anti_affinity():
    made = FakeCloud(hosts=("h1", "h2"), mode="dpdkvhostuser")
    group = made.add_group("anti-affinity")
    made.add_server("a", host="h1", group=group)
    made.add_server("b", host="h2", group=group)
    for host in ("h1", "h2"):
        made.set_mode(host, "dpdkvhostuserclient")
    found = plan(made, "cold-migrate")
    assert found.actions == ()
    assert all("holds another member of its group" in f.message for f in found.findings)


def test_room_that_one_action_takes_is_not_there_for_the_next():
    made = FakeCloud(hosts=("h1", "h2"), mode="ovs-hybrid")
    for name in ("a", "b", "c"):
        made.add_server(name, host="h1")
    for host in ("h1", "h2"):
        made.set_mode(host, "ovs")
    made.set_capacity("h2", MEMORY_MB=2 * 2048)
    found = plan(made, "cold-migrate")
    assert len(found.actions) == 2
    assert "h2 has not enough room in Placement" in found.findings[0].message


def test_of_several_updated_hosts_the_one_with_the_most_memory_left_is_taken():
    made = FakeCloud(hosts=("h1", "h2", "h3"), mode="ovs-hybrid")
    made.add_server("web", host="h1")
    made.add_server("other", host="h2")
    for host in ("h1", "h2", "h3"):
        made.set_mode(host, "ovs")
    actions = {a.name: a for a in plan(made).actions}
    assert actions["web"].details["target_host"] == "h3"


def test_canaries_go_first_and_one_at_a_time():
    made = FakeCloud(hosts=("h1", "h2"), mode="dpdkvhostuser")
    for name in ("a", "b", "c"):
        made.add_server(name, host="h1")
    made.set_mode("h1", "dpdkvhostuserclient")
    found = plan(made, canaries=1, at_a_time=2, max_failures=1)
    assert [(w.name, len(w.actions), w.at_a_time, w.canary) for w in found.waves] == [
        ("canaries", 1, 1, True),
        ("rest", 2, 2, False),
    ]
    assert [w.gate.max_failures for w in found.waves] == [0, 1]


def test_what_has_not_moved_since_it_was_planned_may_run():
    made = cloud()
    assert verify(made, PLUGINS, only(made)) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda made, s: made.change_server(s.id, name="renamed"), "name"),
        (lambda made, s: made.direct.compute.stop(s.id), "task_state"),
        (lambda made, s: made.set_mode("h1", "dpdkvhostuser"), "mode that the host offers port"),
        (lambda made, s: made.change_server(s.id, host="h2"), "host"),
    ],
)
def test_what_has_moved_since_it_was_planned_is_named(change, named):
    made = cloud()
    action = only(made)
    (server,) = made.direct.compute.servers()
    change(made, server)
    assert named in verify(made, PLUGINS, action)


def test_an_instance_that_was_deleted_since_is_noticed():
    made = cloud()
    action = only(made)
    made.direct.compute.delete(action.subject)
    made.clock.sleep(60)
    assert verify(made, PLUGINS, action) == "the instance does not exist any more"


def test_a_stopped_instance_has_no_downtime_to_predict():
    assert only(cloud(status="SHUTOFF")).prediction.downtime_s == 0
    assert only(cloud()).prediction.downtime_s > 0
