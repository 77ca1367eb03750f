"""Live migration in the fake cloud: what Nova shows of it, and all the ways in which it ends."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.api import Memory, Migration
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.model.inventory import Server

GIB = 1 << 30


@pytest.fixture
def cloud() -> FakeCloud:
    cloud = FakeCloud()
    cloud.add_flavor("m1.big", memory_mb=20 * 1024)  # 20 s of copying
    return cloud


def see(cloud: FakeCloud, server: str) -> Server:
    return cloud.direct.compute.server(server)


def last(cloud: FakeCloud, server: str) -> Migration:
    return cloud.direct.compute.migrations(server)[-1]


def under_way(cloud: FakeCloud, server: str) -> str:
    return cloud.direct.compute.live_migrations(server)[0].id


def port_of(cloud: FakeCloud, server: str) -> str:
    return cloud.direct.network.ports(server)[0].id


def bindings(cloud: FakeCloud, server: str) -> list[tuple[str, bool]]:
    found = cloud.direct.network.bindings(port_of(cloud, server))
    return [(one.host, one.active) for one in found]


def test_a_live_migration_lives_through_novas_statuses(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    seen = []
    for _ in range(23):
        record = (last(cloud, server).status, see(cloud, server).status, see(cloud, server).host)
        if record not in seen:
            seen.append(record)
        cloud.clock.sleep(1.0)
    assert seen == [
        ("accepted", "MIGRATING", "h1"),
        ("preparing", "MIGRATING", "h1"),
        ("running", "MIGRATING", "h1"),
        ("completed", "ACTIVE", "h2"),
    ]


def test_a_live_migration_leaves_nothing_behind_but_another_host(cloud):
    server = cloud.add_server("web", data_volumes=1, floating_ip=True)
    before = cloud.state(bindings=True)
    for host in ("h2", "h1"):
        cloud.compute.live_migrate(server, host)
        cloud.clock.sleep(60)
    assert cloud.state(bindings=True) == before


def test_the_scheduler_chooses_where_no_host_is_named(cloud):
    server = cloud.add_server("web")
    cloud.compute.set_host_enabled("h2", False)
    cloud.compute.live_migrate(server, None)
    cloud.clock.sleep(60)
    assert see(cloud, server).host == "h3"
    assert last(cloud, server).destination == "h3"


def test_a_paused_server_arrives_paused(cloud):
    server = cloud.add_server("web", status="PAUSED")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    seen = see(cloud, server)
    assert (seen.host, seen.status, seen.power_state) == ("h2", "PAUSED", 3)


@pytest.mark.parametrize("status", ["SHUTOFF", "SUSPENDED", "ERROR", "VERIFY_RESIZE"])
def test_a_server_that_does_not_run_is_a_conflict(cloud, status):
    server = cloud.add_server("web", status=status)
    with pytest.raises(errors.Conflict, match="os-migrateLive"):
        cloud.compute.live_migrate(server, "h2")


def test_a_server_that_moves_refuses_other_calls(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    with pytest.raises(errors.Conflict, match="task_state migrating"):
        cloud.compute.stop(server)


def test_an_unknown_host_is_a_conflict(cloud):
    server = cloud.add_server("web")
    with pytest.raises(errors.Conflict, match="h9 could not be found"):
        cloud.compute.live_migrate(server, "h9")


def test_both_hosts_are_held_by_two_consumers_meanwhile(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    migration, placement = under_way(cloud, server), cloud.placement
    assert list(placement.consumers("h1")) == [migration]
    assert list(placement.consumers("h2")) == [server]
    h2 = placement.providers("h2")[0].id
    assert placement.allocations(server) == {h2: placement.consumers("h1")[migration]}
    cloud.clock.sleep(60)
    assert (placement.consumers("h1"), list(placement.consumers("h2"))) == ({}, [server])


def test_a_cold_migration_holds_its_source_by_its_record_too(cloud):
    server = cloud.add_server("web")
    cloud.compute.migrate(server, "h2")
    cloud.clock.sleep(60)
    assert list(cloud.placement.consumers("h1")) == [last(cloud, server).id]
    assert list(cloud.placement.consumers("h2")) == [server]


def test_the_port_has_an_inactive_binding_at_the_destination_meanwhile(cloud):
    server = cloud.add_server("web")
    assert bindings(cloud, server) == [("h1", True)]
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    assert bindings(cloud, server) == [("h1", True), ("h2", False)]
    cloud.clock.sleep(60)
    assert bindings(cloud, server) == [("h2", True)]


# memory


def test_the_progress_of_the_memory_is_written_down_every_five_seconds(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(1)
    seen = [cloud.compute.live_migrations(server)[0].memory]
    for seconds in (1, 4.5, 5):
        cloud.clock.sleep(seconds)
        seen.append(cloud.compute.live_migrations(server)[0].memory)
    assert seen == [
        Memory(0, 0, 0),
        Memory(20 * GIB, 0, 20 * GIB),
        Memory(20 * GIB, 5 * GIB, 15 * GIB),
        Memory(20 * GIB, 10 * GIB, 10 * GIB),
    ]


def test_a_busy_guest_takes_longer(cloud):
    server = cloud.add_server("web")
    cloud.set_dirty_rate(server, GIB // 2)
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(41)
    assert last(cloud, server).status == "running"
    cloud.clock.sleep(1)
    assert last(cloud, server).status == "completed"


def test_a_guest_that_writes_as_fast_as_is_copied_is_cancelled_at_the_timeout(cloud):
    server = cloud.add_server("web")
    before = cloud.state(bindings=True)
    cloud.set_dirty_rate(server, GIB)
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(3_600)
    memory = cloud.compute.live_migrations(server)[0].memory
    assert memory.processed > memory.total > memory.remaining > 0
    cloud.clock.sleep(800 * 20)
    assert last(cloud, server).status == "cancelled"
    assert cloud.state(bindings=True) == before


def test_one_that_never_converges_comes_to_an_end_by_force(cloud):
    server = cloud.add_server("web")
    cloud.faults.stuck("compute.live_migrate")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(1e6)
    assert see(cloud, server).status == "MIGRATING"
    cloud.compute.force_complete(server, under_way(cloud, server))
    cloud.clock.sleep(5)
    assert (see(cloud, server).host, last(cloud, server).status) == ("h2", "completed")


def test_one_that_never_converges_can_be_given_up(cloud):
    server = cloud.add_server("web")
    before = cloud.state(bindings=True)
    cloud.faults.stuck("compute.live_migrate")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(100)
    cloud.compute.abort_migration(server, under_way(cloud, server))
    assert see(cloud, server).status == "MIGRATING"
    cloud.clock.sleep(5)
    assert last(cloud, server).status == "cancelled"
    assert cloud.state(bindings=True) == before


def test_an_end_that_was_planned_before_the_force_comes_no_more(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(11.5)
    cloud.compute.force_complete(server, under_way(cloud, server))
    cloud.clock.sleep(11)
    cloud.compute.live_migrate(server, "h3")
    cloud.clock.sleep(60)
    assert [item.status for item in cloud.compute.migrations(server)] == ["completed"] * 2


def test_only_a_running_migration_can_be_forced(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    with pytest.raises(errors.NotFound):
        cloud.compute.force_complete(server, last(cloud, server).id)
    cloud.clock.sleep(1)
    with pytest.raises(errors.Conflict, match="is preparing"):
        cloud.compute.force_complete(server, under_way(cloud, server))


def test_a_migration_that_has_ended_cannot_be_given_up(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    with pytest.raises(errors.NotFound):
        cloud.compute.abort_migration(server, last(cloud, server).id)


# the queue of the source


def test_a_source_migrates_one_at_a_time(cloud):
    first, second, third = (cloud.add_server(name) for name in "abc")
    for server in (first, second, third):
        cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    seen = [last(cloud, server).status for server in (first, second, third)]
    assert seen == ["running", "queued", "queued"]
    cloud.clock.sleep(20)
    seen = [last(cloud, server).status for server in (first, second, third)]
    assert seen == ["completed", "running", "queued"]
    cloud.clock.sleep(60)
    assert last(cloud, third).status == "completed"


def test_as_many_run_as_the_source_allows(cloud):
    cloud.world.max_concurrent_live_migrations = 2
    servers = [cloud.add_server(name) for name in "abc"]
    for server in servers:
        cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    assert [last(cloud, server).status for server in servers] == ["running", "running", "queued"]


def test_one_that_is_given_up_leaves_the_queue_at_once(cloud):
    first, second = cloud.add_server("a"), cloud.add_server("b")
    before = cloud.state(bindings=True)["servers"][second]
    cloud.compute.live_migrate(first, "h2")
    cloud.compute.live_migrate(second, "h2")
    cloud.clock.sleep(5)
    cloud.compute.abort_migration(second, under_way(cloud, second))
    assert last(cloud, second).status == "cancelled"
    assert cloud.state(bindings=True)["servers"][second] == before


def test_a_server_that_is_deleted_makes_room_in_the_queue(cloud):
    first, second = cloud.add_server("a"), cloud.add_server("b")
    cloud.faults.stuck("compute.live_migrate", subject=first)
    cloud.compute.live_migrate(first, "h2")
    cloud.compute.live_migrate(second, "h2")
    cloud.clock.sleep(5)
    cloud.compute.delete(first)
    cloud.clock.sleep(60)
    assert see(cloud, second).host == "h2"
    assert list(cloud.placement.consumers("h1")) == []


@pytest.mark.parametrize(("call", "status"), [("live_migrate", "error"), ("migrate", "confirmed")])
def test_no_migration_of_a_deleted_server_is_under_way(cloud, call, status):
    server = cloud.add_server("web")
    getattr(cloud.compute, call)(server, "h2")
    cloud.clock.sleep(10)
    cloud.compute.delete(server)
    cloud.clock.sleep(60)
    assert cloud.compute.migrations_of_host("h2") == ()
    assert [item.status for item in cloud.compute.migrations(server)] == [status]
    assert [cloud.placement.consumers(host) for host in ("h1", "h2")] == [{}, {}]


# no host will do


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cloud: cloud.compute.set_host_enabled("h2", False, "maintenance"),
        lambda cloud: cloud.change_host("h2", up=False),
        lambda cloud: cloud.set_capacity("h2", VCPU=0),
        lambda cloud: cloud.change_agent("h2", alive=False),
        lambda cloud: cloud.change_hypervisor("h1", version=9_000_000),
        lambda cloud: cloud.reboot_host("h2"),
    ],
    ids=["disabled", "down", "full", "agent down", "older QEMU", "rebooting"],
)
def test_a_destination_that_will_not_do_is_refused_later(cloud, spoil):
    server = cloud.add_server("web")
    spoil(cloud)
    before = cloud.state(bindings=True)
    cloud.compute.live_migrate(server, "h2")
    assert see(cloud, server).status == "MIGRATING"
    cloud.clock.sleep(5)
    assert last(cloud, server).status == "error"
    assert cloud.compute.actions(server)[-1].result == "Error"
    assert cloud.state(bindings=True) == before


def test_a_server_does_not_migrate_to_where_it_is(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h1")
    cloud.clock.sleep(5)
    assert (last(cloud, server).status, see(cloud, server).status) == ("error", "ACTIVE")


def test_the_scheduler_passes_over_hosts_that_would_refuse(cloud):
    cloud.change_hypervisor("h1", version=8_002_000)
    cloud.change_hypervisor("h2", version=6_000_000)
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, None)
    cloud.clock.sleep(60)
    assert see(cloud, server).host == "h3"


# faults


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_migration_that_fails_brings_the_server_back_to_active(cloud, status):
    server = cloud.add_server("web")
    before = cloud.state(bindings=True)
    cloud.faults.break_result("compute.live_migrate", status)
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    assert last(cloud, server).status == status
    assert cloud.state(bindings=True) == before


def test_a_stale_binding_stands_in_the_way_until_it_is_deleted(cloud):
    server = cloud.add_server("web")
    cloud.world.leaves_stale_bindings = True
    cloud.faults.break_result("compute.live_migrate", "failed", times=1)
    for status in ("failed", "error", "completed"):
        cloud.compute.live_migrate(server, "h2")
        cloud.clock.sleep(60)
        assert last(cloud, server).status == status
        if status == "error":
            assert bindings(cloud, server) == [("h1", True), ("h2", False)]
            cloud.network.delete_binding(port_of(cloud, server), "h2")


def test_only_an_inactive_binding_can_be_deleted(cloud):
    port = port_of(cloud, cloud.add_server("web"))
    with pytest.raises(errors.Conflict, match="ACTIVE"):
        cloud.network.delete_binding(port, "h1")
    with pytest.raises(errors.NotFound):
        cloud.network.delete_binding(port, "h2")


def test_a_record_can_say_completed_of_a_server_that_is_stuck(cloud):
    server = cloud.add_server("web")
    cloud.faults.break_result("compute.live_migrate", "completed")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    seen = see(cloud, server)
    assert (seen.status, seen.task_state, seen.host) == ("MIGRATING", "migrating", "h1")
    assert last(cloud, server).status == "completed"
    assert bindings(cloud, server) == [("h1", True), ("h2", False)]


def test_a_migration_that_breaks_at_its_end_leaves_an_error_at_the_destination(cloud):
    server = cloud.add_server("web")
    cloud.faults.break_result("compute.live_migrate", "ERROR")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    assert (see(cloud, server).status, see(cloud, server).host) == ("ERROR", "h2")
    assert last(cloud, server).status == "error"


def test_a_lost_answer_hides_a_migration(cloud):
    server = cloud.add_server("web")
    cloud.faults.fail("compute.live_migrate", errors.Unavailable("gone"), when="after")
    with pytest.raises(errors.Unavailable):
        cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    assert see(cloud, server).host == "h2"


def test_a_restored_cloud_goes_on_migrating(cloud):
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    restored = FakeCloud.restored(cloud.snapshot())
    cloud.compute.abort_migration(server, under_way(cloud, server))
    restored.clock.sleep(60)
    assert see(restored, server).host == "h2"


# VIF modes


@pytest.mark.parametrize(
    ("source", "destination"),
    [("ovs-hybrid", "ovs"), ("dpdkvhostuser", "dpdkvhostuserclient")],
)
def test_a_port_takes_the_mode_of_its_destination(source, destination):
    cloud = FakeCloud(mode=source)
    cloud.set_mode("h2", destination)
    server = cloud.add_server("web")
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    moved = cloud.network.port(port_of(cloud, server))
    fresh = cloud.network.port(port_of(cloud, cloud.add_server("new", host="h2")))
    varying = {"vhostuser_socket"}
    assert moved.vif_details.keys() == fresh.vif_details.keys()
    assert all(moved.vif_details[k] == v for k, v in fresh.vif_details.items() if k not in varying)


def test_a_tap_does_not_become_a_vhost_user_device(cloud):
    cloud.set_mode("h2", "dpdkvhostuserclient")
    server = cloud.add_server("web")
    before = cloud.state(bindings=True)
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(60)
    assert last(cloud, server).status == "failed"
    assert cloud.state(bindings=True) == before


# records


def test_migrations_of_a_host_are_those_that_have_not_ended(cloud):
    cloud.world.max_concurrent_live_migrations = 5
    here, there, done = (cloud.add_server(n, host=h) for n, h in zip("abc", ["h1", "h2", "h1"]))
    cloud.compute.live_migrate(done, "h3")
    cloud.clock.sleep(60)
    cloud.compute.live_migrate(here, "h2")
    cloud.compute.migrate(there, "h3")
    cloud.clock.sleep(10)

    def found(host: str) -> list[tuple[str, str, str]]:
        return [
            (item.server_id, item.kind, item.status)
            for item in cloud.compute.migrations_of_host(host)
        ]

    live, cold = (here, "live-migration", "running"), (there, "migration", "finished")
    assert (found("h1"), found("h2"), found("h3")) == ([live], [live, cold], [cold])
