"""Which instances cannot be updated live: every rule, and that all reasons are told at once."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.live_update_clouds import PLUGINS, cloud, image, only, plan, refused, web
from upgrade_flows import errors
from upgrade_flows.cloud.collect import collect
from upgrade_flows.flows import live_update
from upgrade_flows.flows.live_update.rules import RULES
from upgrade_flows.model.inventory import Quota, VolumeAttachment
from upgrade_flows.model.request import Scope, Target, UpgradeRequest


def with_flavor(made, **fields):
    """Give the instance, and the cloud, a flavor with these fields."""
    flavor = dataclasses.replace(web(made).flavor, **fields)
    made.world.flavors = {flavor.id: flavor}
    made.change_server(web(made).id, flavor=flavor)


def the_port(made):
    (port,) = made.direct.network.ports(device_id=web(made).id)
    return port


def data_volume(made):
    return web(made).volumes[-1].volume_id


def changed(**fields):
    return lambda made: made.change_server(web(made).id, **fields)


def flavored(**fields):
    return lambda made: with_flavor(made, **fields)


def ported(**fields):
    return lambda made: made.change_port(the_port(made).id, **fields)


def plugged(**fields):
    return lambda made: made.change_volume(data_volume(made), **fields)


def imaged(**fields):
    return lambda made: made.change_image(image(made), **fields)


def with_another_flavor(made):
    made.change_server(web(made).id, flavor=dataclasses.replace(web(made).flavor, vcpus=9))


def without_its_port(made):
    made.change_port(the_port(made).id, device_id="")


def without_its_network(made):
    made.world.networks.clear()


def at_two_instances(made):
    mine = VolumeAttachment(web(made).id, "/dev/vdb")
    made.change_volume(
        data_volume(made), multiattach=True, attachments=(mine, VolumeAttachment("other"))
    )


@pytest.mark.parametrize(
    ("change", "number", "reason"),
    [
        (changed(status="SHUTOFF"), "UF-LU-001", "its status is SHUTOFF"),
        (changed(status="PAUSED"), "UF-LU-001", "its status is PAUSED"),
        (changed(task_state="rebooting"), "UF-LU-002", "task_state rebooting"),
        (changed(locked=True, locked_reason="mine"), "UF-LU-003", "it is locked (mine)"),
        (lambda m: m.change_host("h1", up=False), "UF-LU-004", "nova-compute on its host h1"),
        (lambda m: m.change_agent("h1", alive=False), "UF-LU-004", "the L2 agent of its host h1"),
        (ported(vif_type="hostdev_physical"), "UF-LU-005", "vif_type hostdev_physical"),
        (ported(vnic_type="direct"), "UF-LU-006", "(SR-IOV): it cannot be moved"),
        (
            flavored(extra_specs={"hw:pmem": "6GB"}),
            "UF-LU-007", "it has persistent memory of its host (hw:pmem=6GB)",
        ),
        (
            flavored(extra_specs={"accel:device_profile": "fpga"}),
            "UF-LU-007", "it has an accelerator of its host",
        ),
        (
            flavored(extra_specs={"pci_passthrough:alias": "gpu:1"}),
            "UF-LU-007", "is not known: Placement has none",
        ),
        (flavored(extra_specs={"hw:tpm_version": "2.0"}), "UF-LU-008", "its virtual TPM"),
        (imaged(properties={"hw_tpm_version": "2.0"}), "UF-LU-008", "its virtual TPM"),
        (without_its_port, "UF-LU-009", "it has no port"),
        (ported(trunk_id="trunk-1"), "UF-LU-009", "is the parent of a trunk"),
        (flavored(ephemeral_gb=5), "UF-LU-010", "its ephemeral disk of 5 GiB would be lost"),
        (flavored(swap_mb=512), "UF-LU-010", "its swap disk of 512 MiB would be lost"),
        (plugged(status="retyping"), "UF-LU-011", "is retyping, and must be in-use"),
        (lambda m: m.world.volumes.clear(), "UF-LU-011", "is not known to Cinder"),
        (at_two_instances, "UF-LU-012", "(also at other)"),
        (plugged(encrypted=True), "UF-LU-013", "is encrypted"),
        (lambda m: m.manage(web(m).id, "Heat stack shop"), "UF-LU-014", "belongs to Heat stack"),
        (with_another_flavor, "UF-LU-015", "was deleted or has changed"),
        (without_its_network, "UF-LU-016", "does not exist any more"),
        (changed(key_name="lost"), "UF-LU-017", "its key lost does not exist"),
        (lambda m: m.close_project("project-1"), "UF-LU-018", "we cannot get a token"),
        (imaged(status="queued"), "UF-LU-019", "image new is queued"),
        (imaged(visibility="private", owner="other"), "UF-LU-019", "belongs to another project"),
        (imaged(min_disk=21), "UF-LU-019", "needs a disk of 21 GiB, and its root disk has 20"),
        (imaged(size=(20 << 30) + 1), "UF-LU-019", "needs a disk of 21 GiB"),
        (
            imaged(properties={"block_device_mapping": '[{"boot_index": 0}]'}),
            "UF-LU-019", "boots from a volume, and the instance does not",
        ),
        (lambda m: m.limit("project-1", instances=1), "UF-LU-021", "instances (1 of 1 used, 1"),
        (lambda m: m.limit("project-1", cores=1), "UF-LU-021", "cores (1 of 1 used, 1 more"),
        (lambda m: m.limit("project-1", ram=4095), "UF-LU-021", "ram (2048 of 4095 used, 2048"),
    ],
)  # fmt: skip
def test_what_would_not_end_well_is_refused_before_it_begins(change, number, reason):
    made = cloud(data_volumes=1)
    change(made)
    assert reason in refused(made)[number]


def test_what_is_not_said_against_an_instance_is_nothing():
    made = cloud(data_volumes=1, nics=2, key="key-1", boot_volume=True)
    assert only(made).strategy == "own-host"


def test_all_reasons_are_told_at_once():
    made = cloud(data_volumes=1)
    with_flavor(made, swap_mb=512, extra_specs={"hw:tpm_version": "2.0"})
    made.change_server(web(made).id, locked=True, task_state="rebooting", key_name="lost")
    made.set_capacity("h1", MEMORY_MB=2048)
    made.limit("project-1", cores=1)
    found = refused(made, elsewhere=False)
    assert sorted(found) == [
        "UF-LU-002", "UF-LU-003", "UF-LU-008", "UF-LU-010", "UF-LU-017", "UF-LU-021", "UF-LU-022",
    ]  # fmt: skip
    assert all(said.startswith("web: ") for said in found.values())


def test_every_rule_has_an_id_of_its_own_and_says_what_to_do():
    numbers = [number for number, _, _ in RULES]
    assert numbers == [f"UF-LU-{number:03d}" for number in range(1, 22)]
    assert all(remedy for _, _, remedy in RULES)


def test_a_remedy_names_the_instance():
    made = cloud()
    made.change_server(web(made).id, locked=True)
    (finding,) = plan(made).findings
    assert finding.remedy.endswith(f"openstack server unlock {web(made).id}")


def test_an_sriov_port_is_refused_in_numbers_where_placement_has_them():
    made = cloud()
    ported(vnic_type="direct")(made)
    made.set_capacity("h1", CUSTOM_PCI_15B3_101E=4)
    made.world.allocate("someone", "h1", {"CUSTOM_PCI_15B3_101E": 4})
    said = refused(made)["UF-LU-006"]
    assert "there is no room for two on h1 (CUSTOM_PCI_15B3_101E 4 of 4 used)" in said


@pytest.mark.parametrize(
    ("taken", "said"), [(1, None), (2, "1 CUSTOM_PCI_GPU is free, 2 are needed")]
)
def test_devices_of_a_flavor_are_counted_where_placement_has_one_kind(taken, said):
    made = cloud("h1")
    with_flavor(made, extra_specs={"pci_passthrough:alias": "gpu:2"})
    made.set_capacity("h1", CUSTOM_PCI_GPU=3)
    made.world.allocate("someone", "h1", {"CUSTOM_PCI_GPU": taken})
    if said is None:
        assert only(made).details["resources"]["CUSTOM_PCI_GPU"] == 2
    else:
        assert said in refused(made)["UF-LU-022"]


def test_devices_of_a_flavor_are_refused_where_their_kind_is_not_known():
    made = cloud("h1")
    with_flavor(made, extra_specs={"pci_passthrough:alias": "gpu:1"})
    made.set_capacity("h1", CUSTOM_PCI_GPU=3, CUSTOM_PCI_NIC=3)
    said = refused(made)["UF-LU-007"]
    assert "several kinds (CUSTOM_PCI_GPU, CUSTOM_PCI_NIC)" in said


def test_a_volume_that_only_this_instance_holds_may_be_multiattach():
    made = cloud(data_volumes=1)
    plugged(multiattach=True)(made)
    assert only(made).details["volumes"] == [data_volume(made)]


def test_an_image_of_the_same_project_may_be_private():
    made = cloud()
    made.change_image(image(made), visibility="private", owner="project-1")
    assert only(made).details["image"] == image(made)


def test_an_image_must_fit_the_root_volume():
    made = cloud(boot_volume=True)
    made.change_image(image(made), min_disk=21)
    assert "its root disk has 20" in refused(made)["UF-LU-019"]


def test_a_flavor_without_a_disk_takes_any_image():
    made = cloud()
    with_flavor(made, disk_gb=0)
    made.change_image(image(made), min_disk=21)
    assert only(made).strategy == "own-host"


def test_only_a_root_volume_can_be_updated():
    assert (
        "its root disk is no volume"
        in refused(cloud(), update=True, workload="updating")["UF-LU-020"]
    )
    action = only(cloud(boot_volume=True), update=True, workload="updating")
    assert (action.details["update"], action.details["image"]) == (True, "")


def test_a_root_volume_that_cannot_be_told_is_refused():
    made = cloud(boot_volume=True, data_volumes=1)
    for held in web(made).volumes:
        made.change_volume(
            held.volume_id, bootable=True, attachments=(VolumeAttachment(web(made).id, ""),)
        )
    assert "which of its volumes is the root disk cannot be told" in refused(made)["UF-LU-011"]


def quota(made, limits, used):
    """Plan with a quota that the inventory knows of the project."""
    scope = Scope(servers=("web",))
    inventory = dataclasses.replace(collect(made, scope), quotas={"project-1": Quota(limits, used)})
    options = {"image": "new", "workload": "plain"}
    request = UpgradeRequest("live_update", scope, Target(options=options))
    return live_update.assess(request, inventory, PLUGINS)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"volumes": 2}, "volumes (2 of 2 used, 1 more are needed)"),
        ({"gigabytes": 69}, "gigabytes (30 of 69 used, 40 more are needed)"),
        ({"snapshots": 0}, "snapshots (0 of 0 used, 1 more are needed)"),
        ({"ports": 1}, "ports (1 of 1 used, 1 more are needed)"),
        ({"server_group_members": 1}, None),
        ({"volumes": 3, "gigabytes": 70, "snapshots": 1, "ports": 2}, None),
    ],
)
def test_the_quota_of_disks_and_ports_counts_where_it_is_known(limits, said):
    made = cloud(boot_volume=True, data_volumes=1)
    used = {"volumes": 2, "gigabytes": 30, "ports": 1}
    found = quota(made, limits, used)
    assert [said in one.message for one in found.findings] == ([] if said is None else [True])


def test_the_quota_of_disks_and_ports_is_read_with_the_cloud():
    made = cloud(boot_volume=True)
    made.limit("project-1", volumes=1)
    scope = Scope(servers=("web",))
    read = collect(made, scope, all_quotas=True).quotas["project-1"]
    assert (read.limits["volumes"], read.used["volumes"], read.used["instances"]) == (1, 1, 1)
    assert "volumes" not in collect(made, scope).quotas["project-1"].used
    assert "volumes (1 of 1 used, 1 more" in refused(made, all_quotas=True)["UF-LU-021"]


def test_a_quota_that_cannot_be_read_is_not_known():
    made = cloud()
    made.faults.fail("network.quota", errors.NotFound("no such extension"))
    read = collect(made, Scope(servers=("web",)), all_quotas=True).quotas["project-1"]
    assert "ports" not in read.limits
    assert read.used["snapshots"] == 0


def test_an_instance_without_a_root_volume_needs_no_quota_of_volumes():
    assert quota(cloud(), {"volumes": 0, "gigabytes": 0, "snapshots": 0}, {}).findings == ()


def test_a_surrogate_is_a_member_of_the_group_too():
    made = cloud()
    group = made.add_group("soft-anti-affinity")
    made.world.join_group(web(made).id, group)
    (finding,) = quota(made, {"server_group_members": 1}, {}).findings
    assert "may have no more than 1 members in a server group" in finding.message
    assert quota(made, {"server_group_members": 2}, {}).findings == ()


def test_the_quota_must_do_for_all_of_the_plan():
    made = cloud()
    made.add_server("db", host="h2")
    made.limit("project-1", cores=3)
    found = plan(made, "web", "db")
    assert [action.name for action in found.actions] == ["web"]
    (finding,) = found.findings
    assert finding.id == "UF-LU-021"
    assert "beside the others of this plan: cores (2 of 3 used, 2 more" in finding.message


@pytest.mark.parametrize("boot_volume", [False, True])
def test_an_instance_that_runs_from_the_image_already_needs_nothing(boot_volume):
    made = cloud(boot_volume=boot_volume)
    if boot_volume:
        root = web(made).volumes[0].volume_id
        made.change_volume(root, image_properties={"image_id": image(made)})
    else:
        made.change_server(web(made).id, image_id=image(made))
    found = plan(made)
    assert (found.actions, found.findings, found.unchanged) == ((), (), (web(made).id,))
