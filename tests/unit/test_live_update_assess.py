"""What a live update's action tells the flow, what it declares and predicts, and what moves."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.live_update_clouds import PLUGINS, cloud, image, only, plan, web
from upgrade_flows.flows import capability, live_update
from upgrade_flows.model.inventory import VolumeAttachment
from upgrade_flows.planning.planner import verify

TCP, BOOTED = {"tcp": 80}, {"cloud_init": True}


def test_the_capability_is_found_by_name_and_has_traits_and_all_quotas_read():
    assert capability.get("live_update") is live_update
    assert capability.reads("live_update") == {"traits": True, "all_quotas": True}
    assert capability.reads("host_upgrade") == {"traits": True, "all_quotas": False}
    assert capability.reads("recreate") == {"traits": False, "all_quotas": False}


def test_the_flow_is_told_everything_that_it_is_built_from():
    made = cloud(nics=2, data_volumes=2, key="key-1")
    server = web(made)
    first, second = made.direct.network.ports(device_id=server.id)
    flavor = next(iter(made.direct.compute.flavors()))

    action = only(made, probes=[TCP, BOOTED], grace_s=60, settings={"key": "value"})

    details = dict(action.details)
    assert set(details.pop("seen")) > {"name", "status", "host", "locked"}
    assert details == {
        "host": "h1",
        "target_host": "h1",
        "policy": "",
        "flavor_id": flavor.id,
        "project_id": "project-1",
        "user_id": "user-1",
        "status": "ACTIVE",
        "image": image(made),
        "boot": "image",
        "root": None,
        "update": False,
        "resources": {"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20},
        "moves": [],
        "volumes": [held.volume_id for held in server.volumes],
        "ports": [
            {
                "id": port.id,
                "mac": port.mac_address,
                "network_id": port.network_id,
                "addresses": [port.fixed_ips[0][1]],
            }
            for port in (first, second)
        ],
        "health_network": first.network_id,
        "group": "",
        "key_name": "key-1",
        "workload": {"plugin": "plain", "settings": {"key": "value"}},
        "cut": "hot",
        "restart": False,
        "ready": [BOOTED],
        "probes": [TCP],
        "grace_s": 60,
        "room_s": 3600,
        "ready_s": 600,
        "answer_s": 60,
    }
    assert (action.capability, action.subject, action.name) == ("live_update", server.id, "web")


def test_a_root_volume_is_told_from_the_others_by_its_device():
    made = cloud(boot_volume=True, data_volumes=2, delete_on_termination=True)
    root, first, second = (held.volume_id for held in web(made).volumes)
    made.change_volume(root, volume_type="fast")
    details = only(made).details
    assert (details["boot"], details["volumes"]) == ("volume", [first, second])
    assert details["root"] == {
        "volume_id": root,
        "size_gb": 20,
        "volume_type": "fast",
        "delete_on_termination": True,
        "device": "/dev/vda",
        "snapshot": "",
    }
    assert details["resources"] == {"VCPU": 1, "MEMORY_MB": 2048}


def test_a_root_volume_without_a_device_is_the_one_that_can_be_booted():
    made = cloud(boot_volume=True, data_volumes=1)
    root, data = (held.volume_id for held in web(made).volumes)
    for volume in (root, data):
        made.change_volume(volume, attachments=(VolumeAttachment(web(made).id, ""),))
    assert only(made).details["root"]["volume_id"] == root


def test_data_volumes_are_in_the_order_of_their_devices():
    made = cloud(data_volumes=3)
    ids = [held.volume_id for held in web(made).volumes]
    for volume, device in zip(ids, ("/dev/vdaa", "/dev/vdz", "/dev/vdb"), strict=True):
        made.change_volume(volume, attachments=(VolumeAttachment(web(made).id, device),))
    assert only(made).details["volumes"] == ids[::-1]


def test_an_image_that_boots_from_a_snapshot_says_of_which():
    made = cloud(boot_volume=True)
    said = '[{"boot_index": null}, {"boot_index": 0, "snapshot_id": "s-1", "volume_size": 20}]'
    made.change_image(image(made), size=0, properties={"block_device_mapping": said})
    assert only(made).details["root"]["snapshot"] == "s-1"


@pytest.mark.parametrize(
    ("workload", "data_volumes", "ready"),
    [("plain", 0, [TCP]), ("plain", 1, []), ("inside", 0, []), ("cold", 0, [TCP])],
)
def test_the_surrogate_is_asked_for_the_workload_first_if_it_has_it_by_itself(
    workload, data_volumes, ready
):
    made = cloud(data_volumes=data_volumes)
    details = only(made, workload=workload, probes=[TCP]).details
    assert (details["ready"], details["probes"]) == (ready, [TCP])


def test_the_health_network_can_be_named():
    made = cloud()
    other = made.add_network("health")
    assert only(made, health_network=other).details["health_network"] == other


def test_what_becomes_of_the_identity_is_declared():
    made = cloud()
    declared = set(only(made).declares)
    assert declared >= {"id", "user_id", "image_id", "volumes", "ports", "vif_modes"}
    assert not {"host", "availability_zone"} & declared
    made.change_host("h1", enabled=False)
    assert set(only(made).declares) - declared == {"host"}
    assert "image_id" not in only(cloud(boot_volume=True)).declares


def test_a_surrogate_that_boots_again_with_what_moves_to_it_is_cut_off_cold():
    details = only(cloud(), workload="rebooting").details
    assert (details["cut"], details["restart"]) == ("cold", True)


def test_an_image_whose_mapping_cannot_be_read_is_one_without():
    made = cloud(boot_volume=True)
    made.change_image(image(made), properties={"block_device_mapping": "?"})
    assert only(made).details["root"]["snapshot"] == ""


def test_what_users_notice_and_how_long_it_takes_is_predicted():
    made = cloud("h1", "h2", data_volumes=2)
    assert only(made).prediction.downtime_s == 5
    assert only(made, workload="cold").prediction.downtime_s == 14
    assert only(made, workload="rebooting").prediction.downtime_s == 34
    assert only(made).prediction.duration_s == 65
    made.add_server("other", host="h1")
    made.set_capacity("h1", MEMORY_MB=4096)
    assert only(made, elsewhere=False).prediction.duration_s == 65 + 10 + 2 * 8


def test_another_zone_is_warned_of_where_volumes_go_there():
    made = cloud("h1", "h2", data_volumes=1)
    made.change_host("h2", availability_zone="far")
    made.change_host("h1", enabled=False)
    found = plan(made)
    (action,), (finding,) = found.actions, found.findings
    assert (finding.id, finding.severity) == ("UF-LU-030", "warning")
    assert "it goes from zone nova to zone far" in finding.message
    assert {"host", "availability_zone"} <= set(action.declares)


def test_another_zone_is_all_the_same_to_who_has_no_volumes():
    made = cloud("h1", "h2")
    made.change_host("h2", availability_zone="far")
    made.change_host("h1", enabled=False)
    assert only(made).details["target_host"] == "h2"


def test_a_port_that_could_not_be_had_back_as_it_is_is_warned_of():
    made = cloud()
    made.set_mode("h1", "ovs-hybrid")
    (finding,) = plan(made).findings
    assert (finding.id, finding.severity) == ("UF-LU-031", "warning")
    assert "is bound as ovs (bridge=br-int), and its host binds it as ovs-hybrid" in finding.message


def test_huge_pages_that_nobody_counts_are_warned_of():
    made = cloud()
    flavor = dataclasses.replace(web(made).flavor, extra_specs={"hw:mem_page_size": "1GB"})
    made.world.flavors = {flavor.id: flavor}
    made.change_server(web(made).id, flavor=flavor)
    (finding,) = plan(made).findings
    assert (finding.id, finding.severity) == ("UF-LU-033", "warning")
    assert "huge pages (1GB)" in finding.message


def test_what_has_not_moved_since_it_was_planned_may_run():
    made = cloud()
    assert verify(made, PLUGINS, only(made)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.change_server(web(m).id, name="renamed"), "planned: name"),
        (lambda m: m.change_server(web(m).id, host="h3"), "planned: host"),
        (lambda m: m.change_host("h2", enabled=False), "h2, where it goes, is disabled"),
        (lambda m: m.change_host("h2", up=False), "h2, where it goes, is down"),
        (lambda m: m.change_image(image(m), status="deactivated"), "is deactivated"),
        (lambda m: m.world.images.pop(image(m)), "what it needs does not exist any more"),
    ],
)
def test_what_has_moved_since_it_was_planned_is_named(change, said):
    made = cloud("h1", "h2", "h3")
    made.set_capacity("h1", MEMORY_MB=2048)
    action = only(made, hosts=("h2",))
    change(made)
    assert said in verify(made, PLUGINS, action)


def test_a_workload_that_boots_where_it_has_moved_to_may_take_as_long_as_a_boot():
    made = cloud()
    assert only(made, answer_s=30).details["answer_s"] == 30
    assert only(made, workload="rebooting", answer_s=30).details["answer_s"] == 600
