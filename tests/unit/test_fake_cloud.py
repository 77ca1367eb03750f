"""The fake cloud does what the real one does, and breaks when it is told to."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewServer
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import AttachedVolume, Server


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def see(cloud: FakeCloud, server_id: str) -> Server:
    return cloud.direct.compute.server(server_id)


def port_of(cloud: FakeCloud, server_id: str) -> str:
    return cloud.direct.network.ports(server_id)[0].id


def settled(cloud: FakeCloud, seconds: float = 60.0) -> None:
    cloud.clock.sleep(seconds)


def new_server(cloud: FakeCloud, **fields: object) -> NewServer:
    if not cloud.world.flavors:
        cloud.add_flavor("m1.small")
    if not cloud.world.images:
        cloud.add_image("debian")
    defaults: dict[str, object] = {
        "name": "new",
        "project_id": "project-1",
        "flavor_id": next(iter(cloud.world.flavors)),
        "boot_image": next(iter(cloud.world.images)),
        "ports": (),
    }
    return NewServer(**{**defaults, **fields})  # type: ignore[arg-type]


# power


def test_a_stopped_server_is_off_after_two_seconds_and_not_before(cloud):
    server = cloud.add_server("web")
    cloud.compute.stop(server)
    cloud.clock.sleep(1.9)
    assert (see(cloud, server).status, see(cloud, server).task_state) == ("ACTIVE", "powering-off")
    cloud.clock.sleep(0.2)
    assert (see(cloud, server).status, see(cloud, server).task_state) == ("SHUTOFF", None)


def test_stopping_and_starting_leaves_the_cloud_as_it_was(cloud):
    server = cloud.add_server("web", nics=2, data_volumes=2, floating_ip=True, key="mine")
    before = cloud.state(bindings=True)
    cloud.compute.stop(server)
    settled(cloud)
    cloud.compute.start(server)
    settled(cloud)
    assert cloud.state(bindings=True) == before


@pytest.mark.parametrize(
    ("status", "call"), [("SHUTOFF", "stop"), ("ACTIVE", "start"), ("ACTIVE", "unshelve")]
)
def test_a_call_that_does_not_fit_the_status_is_a_conflict(cloud, status, call):
    server = cloud.add_server("web", status=status)
    arguments = (server, None) if call == "unshelve" else (server,)
    with pytest.raises(errors.Conflict):
        getattr(cloud.compute, call)(*arguments)


def test_a_server_with_something_under_way_refuses_the_next_call(cloud):
    server = cloud.add_server("web")
    cloud.compute.stop(server)
    with pytest.raises(errors.Conflict, match="task_state powering-off"):
        cloud.compute.create_image(server, "copy")


def test_a_port_is_active_only_while_its_server_runs(cloud):
    server = cloud.add_server("web")
    assert cloud.network.port(port_of(cloud, server)).status == "ACTIVE"
    cloud.compute.stop(server)
    settled(cloud)
    assert cloud.network.port(port_of(cloud, server)).status == "DOWN"


def test_a_server_does_not_start_on_an_unbound_port(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    cloud.network.unbind(port_of(cloud, server))
    cloud.compute.start(server)
    settled(cloud)
    assert see(cloud, server).status == "SHUTOFF"
    assert cloud.compute.actions(server)[-1].result == "Error"


def test_an_action_carries_the_times_of_the_clock(cloud):
    server = cloud.add_server("web")
    begun = cloud.clock.time()
    cloud.compute.stop(server)
    settled(cloud)
    action = cloud.compute.actions(server)[-1]
    assert (action.action, action.start, action.finish, action.result) == (
        "stop",
        begun,
        begun + 2.0,
        "Success",
    )


def test_a_lock_does_not_stop_an_administrator(cloud):
    server = cloud.add_server("web")
    cloud.compute.lock(server, "moving")
    cloud.compute.stop(server)
    settled(cloud)
    seen = see(cloud, server)
    assert (seen.status, seen.locked, seen.locked_reason) == ("SHUTOFF", True, "moving")


# binding


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("ovs", "ovs", {"port_filter": True, "ovs_hybrid_plug": False}),
        ("ovs-hybrid", "ovs", {"port_filter": True, "ovs_hybrid_plug": True}),
        ("dpdkvhostuser", "vhostuser", {"vhostuser_mode": "client", "datapath_type": "netdev"}),
        ("dpdkvhostuserclient", "vhostuser", {"vhostuser_mode": "server"}),
    ],
)
def test_a_binding_follows_what_the_agent_reports(mode, kind, expected):
    cloud = FakeCloud(mode=mode)
    port = cloud.network.port(port_of(cloud, cloud.add_server("web")))
    assert port.vif_type == kind
    assert {**port.vif_details, **expected} == port.vif_details


def test_a_vhostuser_socket_lies_in_the_agents_directory(cloud):
    cloud.set_mode("h1", "dpdkvhostuserclient", socket_dir="/run/vhost")
    port = cloud.network.port(port_of(cloud, cloud.add_server("web")))
    assert port.vif_details["vhostuser_socket"] == f"/run/vhost/vhu{port.id[:11]}"


def test_a_stop_and_start_keeps_the_mode_of_the_binding():
    cloud = FakeCloud(mode="dpdkvhostuser")
    server = cloud.add_server("web")
    cloud.set_mode("h1", "dpdkvhostuserclient")
    cloud.compute.stop(server)
    settled(cloud)
    cloud.compute.start(server)
    settled(cloud)
    details = cloud.network.port(port_of(cloud, server)).vif_details
    assert details["vhostuser_mode"] == "client"


def test_binding_to_the_same_host_again_changes_nothing():
    cloud = FakeCloud(mode="dpdkvhostuser")
    port = port_of(cloud, cloud.add_server("web"))
    cloud.set_mode("h1", "dpdkvhostuserclient")
    cloud.network.bind(port, "h1")
    assert cloud.network.port(port).vif_details["vhostuser_mode"] == "client"


def test_unbinding_and_binding_takes_the_new_mode():
    cloud = FakeCloud(mode="dpdkvhostuser")
    port = port_of(cloud, cloud.add_server("web"))
    cloud.set_mode("h1", "dpdkvhostuserclient")
    cloud.network.unbind(port)
    cloud.network.bind(port, "h1")
    assert cloud.network.port(port).vif_details["vhostuser_mode"] == "server"


def test_a_dead_agent_binds_no_port(cloud):
    port = port_of(cloud, cloud.add_server("web"))
    cloud.change_agent("h2", alive=False)
    cloud.network.bind(port, "h2")
    assert cloud.network.port(port).vif_type == "binding_failed"


# delete


def test_a_port_that_nova_made_goes_with_its_server(cloud):
    server = cloud.add_server("web", floating_ip=True)
    port = port_of(cloud, server)
    cloud.compute.delete(server)
    settled(cloud)
    with pytest.raises(errors.NotFound):
        cloud.network.port(port)
    assert [fip.port_id for fip in cloud.network.floating_ips()] == [None]


def test_a_pre_existing_port_is_set_free_without_its_dns_name(cloud):
    server = cloud.add_server("web", preexisting_ports=True)
    port = port_of(cloud, server)
    cloud.compute.delete(server)
    settled(cloud)
    seen = cloud.network.port(port)
    assert (seen.device_id, seen.device_owner, seen.binding_host, seen.dns_name) == ("",) * 4


def test_a_port_that_nova_made_survives_if_its_owner_was_cleared(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    port = port_of(cloud, server)
    cloud.network.set_owner(port, "", "")
    cloud.compute.delete(server)
    settled(cloud)
    assert cloud.network.port(port).dns_name == "web"


def test_a_port_serves_no_second_server_while_its_first_one_exists(cloud):
    old = cloud.add_server("web", status="SHUTOFF")
    port = port_of(cloud, old)
    cloud.network.set_owner(port, "", "")
    new = cloud.compute.create(new_server(cloud, name="web", ports=(port,)))
    settled(cloud)
    assert see(cloud, new).status == "ERROR"
    assert "Failed to allocate the network(s)" in see(cloud, new).fault
    assert cloud.network.port(port).device_id == ""


def test_a_port_that_comes_back_is_known_again_once_nova_looks_at_it(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    port = port_of(cloud, server)
    owner = cloud.network.port(port).device_owner
    cloud.network.set_owner(port, "", "")
    cloud.compute.refresh_port(server, port)
    assert see(cloud, server).addresses == ()
    cloud.network.set_owner(port, server, owner)
    cloud.compute.refresh_port(server, port)
    assert see(cloud, server).addresses == (cloud.network.port(port).fixed_ips[0][1],)


@pytest.mark.parametrize(("delete", "left"), [(True, []), (False, ["available"])])
def test_a_volume_goes_with_its_server_if_it_is_told_to(cloud, delete, left):
    server = cloud.add_server("web", data_volumes=1)
    volume = cloud.compute.attachments(server)[0].volume_id
    cloud.compute.set_delete_on_termination(server, volume, delete)
    cloud.compute.delete(server)
    settled(cloud)
    assert [item.status for item in cloud.volumes.volumes()] == left


def test_a_deleted_server_leaves_its_host_group_and_quota(cloud):
    group = cloud.add_group()
    before = cloud.state(ignore=["images"])
    server = cloud.add_server("web", group=group, nics=0)
    cloud.compute.delete(server)
    settled(cloud)
    assert cloud.state(ignore=["images"]) == before


# create


def test_a_created_server_is_ours_whoever_owned_the_original(cloud):
    original = cloud.add_server("web")
    server = cloud.compute.create(new_server(cloud))
    settled(cloud)
    assert see(cloud, server).status == "ACTIVE"
    assert see(cloud, server).user_id == cloud.compute.own_user_id()
    assert see(cloud, original).user_id != cloud.compute.own_user_id()


def test_a_created_server_holds_the_ports_it_was_given_in_their_order(cloud):
    first, second = cloud.add_port(), cloud.add_port()
    server = cloud.compute.create(new_server(cloud, ports=(second, first), host="h2"))
    settled(cloud)
    ports = {port.id: port for port in cloud.network.ports(server)}
    addresses = tuple(ports[name].fixed_ips[0][1] for name in (second, first))
    assert see(cloud, server).addresses == addresses
    assert {port.binding_host for port in ports.values()} == {"h2"}


def test_a_disabled_host_is_no_target_even_when_forced(cloud):
    cloud.compute.set_host_enabled("h2", False, "maintenance")
    server = cloud.compute.create(new_server(cloud, host="h2"))
    settled(cloud)
    seen = see(cloud, server)
    assert (seen.status, seen.fault) == ("ERROR", "No valid host was found.")


def test_a_full_host_is_no_target(cloud):
    cloud.add_server("web")
    cloud.set_capacity("h1", VCPU=1)
    server = cloud.compute.create(new_server(cloud, host="h1"))
    settled(cloud)
    assert see(cloud, server).fault == "No valid host was found."


def test_anti_affinity_keeps_members_apart(cloud):
    group = cloud.add_group("anti-affinity")
    cloud.add_server("web", host="h1", group=group)
    server = cloud.compute.create(new_server(cloud, host="h1", server_group=group))
    settled(cloud)
    assert see(cloud, server).status == "ERROR"


def test_the_quota_is_looked_at_before_anything_is_made(cloud):
    cloud.add_server("web")
    cloud.limit("project-1", instances=1)
    before = cloud.state()
    with pytest.raises(errors.Forbidden, match="Quota exceeded for instances"):
        cloud.compute.create(new_server(cloud))
    assert cloud.state() == before


def test_a_port_of_another_server_is_refused(cloud):
    port = port_of(cloud, cloud.add_server("web"))
    with pytest.raises(errors.Conflict, match="still in use"):
        cloud.compute.create(new_server(cloud, ports=(port,)))


def test_a_port_of_another_project_is_refused(cloud):
    port = cloud.add_port(project="project-2")
    with pytest.raises(errors.Conflict, match="not usable"):
        cloud.compute.create(new_server(cloud, ports=(port,)))


def test_a_volume_in_use_is_refused(cloud):
    volume = cloud.compute.attachments(cloud.add_server("web", data_volumes=1))[0]
    with pytest.raises(errors.Conflict, match="must be 'available'"):
        cloud.compute.create(new_server(cloud, volumes=(volume,)))


def test_a_key_is_looked_up_among_our_own(cloud):
    cloud.add_server("web", key="theirs")
    with pytest.raises(errors.Conflict, match="Invalid key_name"):
        cloud.compute.create(new_server(cloud, key_name="theirs"))
    cloud.compute.import_keypair("theirs", cloud.compute.public_key("user-1", "theirs"))
    assert cloud.compute.create(new_server(cloud, key_name="theirs"))


def test_an_image_that_is_not_active_is_refused(cloud):
    image = cloud.add_image("half", status="saving")
    with pytest.raises(errors.Conflict, match="not active"):
        cloud.compute.create(new_server(cloud, boot_image=image))


def test_a_server_that_boots_from_a_volume_takes_no_disk_of_its_host(cloud):
    volume = cloud.add_volume(size_gb=20)
    root = AttachedVolume(volume, boot_index=0)
    cloud.compute.create(new_server(cloud, boot_image=None, volumes=(root,), host="h3"))
    assert cloud.placement.rooms()["h3"].used["DISK_GB"] == 0


# devices and images


def test_an_image_is_queued_then_saving_then_active_with_its_size(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    image = cloud.compute.create_image(server, "copy")
    seen = [(cloud.images.image(image).status, see(cloud, server).task_state)]
    for _ in range(2):
        cloud.clock.sleep(1.5)
        seen.append((cloud.images.image(image).status, see(cloud, server).task_state))
    assert seen == [("queued", "image_snapshot"), ("saving", "image_uploading"), ("active", None)]
    assert cloud.images.image(image).size == 1 << 30


def test_an_image_of_a_volume_backed_server_has_no_bytes(cloud):
    server = cloud.add_server("db", boot_volume=True)
    assert cloud.images.image(cloud.compute.create_image(server, "copy")).size == 0


def test_the_root_disk_cannot_be_detached(cloud):
    server = cloud.add_server("db", boot_volume=True)
    with pytest.raises(errors.Conflict, match="root device"):
        cloud.compute.detach_volume(server, cloud.compute.attachments(server)[0].volume_id)


def test_detaching_a_volume_and_attaching_it_as_recorded_leaves_no_trace(cloud):
    server = cloud.add_server("db", boot_volume=True, data_volumes=2, delete_on_termination=True)
    before = cloud.state()
    data = cloud.compute.attachments(server)[1]
    cloud.compute.detach_volume(server, data.volume_id)
    settled(cloud)
    assert cloud.volumes.volume(data.volume_id).status == "available"
    cloud.compute.attach_volume(server, data)
    settled(cloud)
    assert cloud.state() == before


# moves


def test_a_cold_migration_holds_both_hosts_until_it_is_confirmed(cloud):
    server = cloud.add_server("web")
    cloud.compute.migrate(server, "h2")
    settled(cloud)
    assert see(cloud, server).status == "VERIFY_RESIZE"
    assert [cloud.placement.rooms()[host].used["VCPU"] for host in ("h1", "h2")] == [1, 1]
    cloud.compute.confirm_migration(server)
    settled(cloud)
    assert (see(cloud, server).status, see(cloud, server).host) == ("ACTIVE", "h2")
    assert [cloud.placement.rooms()[host].used["VCPU"] for host in ("h1", "h2")] == [0, 1]


def test_a_cold_migration_binds_anew_at_the_destination(cloud):
    cloud.set_mode("h2", "dpdkvhostuserclient")
    server = cloud.add_server("web")
    cloud.compute.migrate(server, "h2")
    settled(cloud)
    port = cloud.network.port(port_of(cloud, server))
    assert (port.binding_host, port.vif_type) == ("h2", "vhostuser")


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
def test_a_reverted_migration_leaves_the_cloud_as_it_was(cloud, status):
    server = cloud.add_server("web", status=status)
    before = cloud.state(bindings=True)
    cloud.compute.migrate(server, None)
    settled(cloud)
    cloud.compute.revert_migration(server)
    settled(cloud)
    assert cloud.state(bindings=True) == before
    assert [item.status for item in cloud.compute.migrations(server)] == ["reverted"]


def test_a_migration_that_finds_no_host_is_accepted_and_comes_to_nothing(cloud):
    server = cloud.add_server("web")
    before = cloud.state()
    cloud.compute.set_host_enabled("h2", False)
    cloud.compute.migrate(server, "h2")
    settled(cloud)
    cloud.compute.set_host_enabled("h2", True)
    assert cloud.state() == before
    assert cloud.compute.migrations(server)[0].status == "error"
    assert cloud.compute.actions(server)[0].result == "Error"


def test_a_migration_to_the_same_host_is_a_conflict(cloud):
    server = cloud.add_server("web")
    with pytest.raises(errors.Conflict):
        cloud.compute.migrate(server, "h1")


def test_a_shelved_server_is_an_image_until_it_is_unshelved(cloud):
    server = cloud.add_server("web")
    before = cloud.state()
    cloud.compute.shelve(server)
    settled(cloud)
    seen = see(cloud, server)
    assert (seen.status, seen.host) == ("SHELVED_OFFLOADED", "")
    assert [image.status for image in cloud.images.find("web-shelved")] == ["active"]
    cloud.compute.unshelve(server, "h1")
    settled(cloud)
    assert cloud.state() == before


def test_shelving_a_volume_backed_server_makes_no_image(cloud):
    server = cloud.add_server("db", boot_volume=True)
    cloud.compute.shelve(server)
    settled(cloud, 1.0)
    assert see(cloud, server).status == "SHELVED_OFFLOADED"
    assert cloud.images.find("db-shelved") == ()


def test_unshelving_binds_anew_at_the_destination(cloud):
    server = cloud.add_server("web")
    cloud.compute.shelve(server)
    settled(cloud)
    cloud.set_mode("h3", "dpdkvhostuser")
    cloud.compute.unshelve(server, "h3")
    settled(cloud)
    assert cloud.network.port(port_of(cloud, server)).vif_details["vhostuser_mode"] == "client"


# faults


def test_a_call_that_fails_before_has_no_effect(cloud):
    server = cloud.add_server("web")
    cloud.faults.fail("compute.stop", errors.Unavailable("503"))
    with pytest.raises(errors.Unavailable):
        cloud.compute.stop(server)
    assert see(cloud, server).task_state is None


def test_a_lost_answer_hides_an_effect(cloud):
    cloud.faults.fail("compute.create", errors.Unavailable("gone"), when="after")
    with pytest.raises(errors.Unavailable):
        cloud.compute.create(new_server(cloud))
    assert [server.name for server in cloud.compute.servers()] == ["new"]


def test_a_fault_hits_the_nth_call_as_often_as_asked(cloud):
    port = cloud.add_port()
    cloud.faults.fail("network.port", errors.Unavailable("503"), nth=2, times=2)
    seen = []
    for _ in range(4):
        try:
            cloud.network.port(port)
            seen.append("ok")
        except errors.Unavailable:
            seen.append("503")
    assert seen == ["ok", "503", "503", "ok"]


def test_a_fault_can_be_kept_to_one_subject(cloud):
    first, second = cloud.add_server("a"), cloud.add_server("b")
    cloud.faults.fail("compute.stop", errors.Unavailable("503"), subject=second)
    cloud.compute.stop(first)
    with pytest.raises(errors.Unavailable):
        cloud.compute.stop(second)


def test_a_stuck_operation_never_completes(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    cloud.faults.stuck("compute.start")
    cloud.compute.start(server)
    settled(cloud, 1e6)
    assert see(cloud, server).task_state == "powering-on"


def test_a_stuck_server_can_be_deleted(cloud):
    server = cloud.add_server("web")
    cloud.faults.stuck("compute.stop")
    cloud.compute.stop(server)
    cloud.compute.delete(server)
    settled(cloud)
    assert list(cloud.compute.servers()) == []


def test_a_broken_build_releases_the_ports_and_ends_in_error(cloud):
    port = cloud.add_port()
    cloud.faults.break_result("compute.create", "ERROR")
    server = cloud.compute.create(new_server(cloud, ports=(port,)))
    settled(cloud)
    assert see(cloud, server).status == "ERROR"
    assert cloud.network.port(port).device_id == ""


def test_a_hook_sees_every_call_before_and_after_its_effect(cloud):
    server = cloud.add_server("web")
    seen = []
    cloud.faults.hook(
        lambda name, args, phase: seen.append((name, args, phase, see(cloud, server).task_state))
    )
    cloud.compute.stop(server)
    assert seen == [
        ("compute.stop", (server,), "before", None),
        ("compute.stop", (server,), "after", "powering-off"),
    ]


def test_a_restored_cloud_goes_on_from_the_instant_of_the_kill(cloud):
    server = cloud.add_server("web")
    cloud.compute.stop(server)
    restored = FakeCloud.restored(cloud.snapshot())
    settled(cloud)
    cloud.compute.delete(server)
    settled(cloud)
    assert see(restored, server).task_state == "powering-off"
    settled(restored)
    assert see(restored, server).status == "SHUTOFF"


def test_calls_are_listed_and_counted_by_name(cloud):
    server = cloud.add_server("web")
    cloud.network.ports(device_id=server)
    cloud.network.ports()
    assert cloud.calls == [("network.ports", (server, None)), ("network.ports", (None, None))]
    assert cloud.count("network.ports") == 2


def test_two_clouds_built_alike_are_alike():
    def build() -> FakeCloud:
        cloud = FakeCloud()
        cloud.add_server("web", nics=2, data_volumes=1, floating_ip=True)
        cloud.compute.create(new_server(cloud))
        return cloud

    assert build().state(bindings=True) == build().state(bindings=True)


def test_a_call_about_one_server_looks_at_no_other(cloud, monkeypatch):
    for number in range(500):
        cloud.add_server(f"s{number}")
    (first, *_) = cloud.compute.servers()
    looked_at = []
    instance = World.instance
    monkeypatch.setattr(
        World, "instance", lambda self, key: looked_at.append(key) or instance(self, key)
    )
    cloud.compute.server(first.id)
    cloud.compute.stop(first.id)
    assert set(looked_at) == {first.id}
