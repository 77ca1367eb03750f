"""Volumes, snapshots and images of the fake cloud."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewVolume
from upgrade_flows.cloud.fake import FakeCloud

PROJECT = "project-1"


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def root_of(cloud: FakeCloud, server_id: str) -> str:
    return cloud.direct.compute.attachments(server_id)[0].volume_id


def settled(cloud: FakeCloud) -> None:
    cloud.clock.sleep(60.0)


def test_a_volume_is_there_after_two_seconds_and_not_before(cloud):
    made = cloud.volumes.create(NewVolume("v", 5, PROJECT, metadata={"of": "r/step"}))
    cloud.clock.sleep(1.9)
    assert cloud.volumes.volume(made.id).status == "creating"
    cloud.clock.sleep(0.2)
    (found,) = cloud.volumes.find("v")
    assert (found.status, found.size_gb, found.metadata) == ("available", 5, {"of": "r/step"})


def test_a_clone_of_a_root_disk_in_use_is_bootable_and_of_its_type(cloud):
    root = root_of(cloud, cloud.add_server("web", boot_volume=True))
    cloud.change_volume(root, volume_type="fast", backend="a@b#c", encrypted=True)
    made = cloud.volumes.create(NewVolume("copy", 20, PROJECT, source_volume_id=root))
    assert (made.bootable, made.volume_type, made.backend) == (True, "fast", "a@b#c")
    assert made.encrypted
    assert cloud.volumes.volume(root).status == "in-use"


def test_a_volume_of_an_image_tells_of_which(cloud):
    image = cloud.add_image("debian", min_disk=3, properties={"hw_disk_bus": "scsi"})
    made = cloud.volumes.create(NewVolume("v", 3, PROJECT, image_id=image))
    assert made.bootable
    assert made.image_properties == {
        "hw_disk_bus": "scsi",
        "image_id": image,
        "image_name": "debian",
    }


@pytest.mark.parametrize("kind", ["image_id", "snapshot_id", "source_volume_id"])
def test_a_volume_is_not_smaller_than_what_it_is_made_of(cloud, kind):
    volume = cloud.add_volume(size_gb=10)
    source = {
        "image_id": cloud.add_image("debian", min_disk=10),
        "snapshot_id": cloud.add_snapshot(volume),
        "source_volume_id": volume,
    }[kind]
    with pytest.raises(errors.Conflict, match="cannot be smaller than the 10GB"):
        cloud.volumes.create(NewVolume("v", 9, PROJECT, **{kind: source}))


def test_a_volume_is_not_made_of_what_is_not_ready(cloud):
    volume = cloud.add_volume(size_gb=10)
    snapshot = cloud.volumes.create_snapshot(volume, "s")
    with pytest.raises(errors.Conflict, match="is creating"):
        cloud.volumes.create(NewVolume("v", 10, PROJECT, snapshot_id=snapshot.id))
    settled(cloud)
    made = cloud.volumes.create(NewVolume("v", 10, PROJECT, snapshot_id=snapshot.id))
    with pytest.raises(errors.Conflict, match="is creating"):
        cloud.volumes.create(NewVolume("w", 10, PROJECT, source_volume_id=made.id))


def test_no_volume_is_made_in_a_closed_project(cloud):
    cloud.close_project(PROJECT)
    with pytest.raises(errors.Forbidden, match="no role"):
        cloud.volumes.create(NewVolume("v", 1, PROJECT))


def test_snapshots_count_as_gigabytes_of_their_project(cloud):
    volume = cloud.add_volume(size_gb=10)
    cloud.limit(PROJECT, gigabytes=25)
    cloud.volumes.create_snapshot(volume, "s")
    assert cloud.volumes.quota(PROJECT).used == {"volumes": 1, "gigabytes": 20, "snapshots": 1}
    with pytest.raises(errors.TooLarge, match="gigabytes"):
        cloud.volumes.create_snapshot(volume, "t")
    with pytest.raises(errors.TooLarge, match="gigabytes"):
        cloud.volumes.create(NewVolume("v", 6, PROJECT))
    cloud.volumes.create(NewVolume("v", 5, PROJECT))


def test_a_volume_in_use_is_snapshotted_and_stays_in_use(cloud):
    root = root_of(cloud, cloud.add_server("web", boot_volume=True))
    made = cloud.volumes.create_snapshot(root, "r/step", {"until": "1"})
    assert cloud.volumes.snapshot(made.id).status == "creating"
    settled(cloud)
    (found,) = cloud.volumes.find_snapshots("r/step")
    assert (found.status, found.volume_id, found.size_gb) == ("available", root, 20)
    assert (found.project_id, found.metadata) == (PROJECT, {"until": "1"})
    assert cloud.volumes.volume(root).status == "in-use"


def test_a_snapshot_of_a_closed_project_is_ours(cloud):
    volume = cloud.add_volume()
    cloud.close_project(PROJECT)
    assert cloud.volumes.create_snapshot(volume, "s").project_id == "admin"


def test_a_volume_with_a_snapshot_is_deleted_after_it(cloud):
    volume = cloud.add_volume()
    before = cloud.state()
    snapshot = cloud.volumes.create_snapshot(volume, "s")
    with pytest.raises(errors.Conflict, match="is creating"):
        cloud.volumes.delete_snapshot(snapshot.id)
    settled(cloud)
    with pytest.raises(errors.Conflict, match="have snapshots"):
        cloud.volumes.delete(volume)
    cloud.volumes.delete_snapshot(snapshot.id)
    settled(cloud)
    assert cloud.state() == before
    cloud.volumes.delete(volume)
    settled(cloud)
    assert cloud.volumes.volumes() == ()


def test_a_volume_in_use_is_not_deleted(cloud):
    root = root_of(cloud, cloud.add_server("web", boot_volume=True))
    with pytest.raises(errors.Conflict, match="in-use"):
        cloud.volumes.delete(root)


def test_a_snapshot_keeps_a_volume_that_was_to_go_with_its_server(cloud):
    server = cloud.add_server("web", boot_volume=True, delete_on_termination=True)
    root = root_of(cloud, server)
    cloud.add_snapshot(root)
    cloud.compute.delete(server)
    settled(cloud)
    assert cloud.volumes.volume(root).status == "available"


def test_metadata_is_added_to_what_is_there(cloud):
    volume = cloud.add_volume(metadata={"a": "1", "b": "1"})
    snapshot = cloud.add_snapshot(volume, metadata={"a": "1"})
    cloud.volumes.set_metadata(volume, {"b": "2"})
    cloud.volumes.set_snapshot_metadata(snapshot, {"b": "2"})
    assert cloud.volumes.volume(volume).metadata == {"a": "1", "b": "2"}
    assert cloud.volumes.snapshot(snapshot).metadata == {"a": "1", "b": "2"}


@pytest.mark.parametrize(("call", "status"), [("create", "error"), ("delete", "error_deleting")])
def test_what_cinder_does_can_be_made_to_fail(cloud, call, status):
    cloud.faults.break_result(f"volumes.{call}", status)
    if call == "create":
        volume = cloud.volumes.create(NewVolume("v", 1, PROJECT)).id
    else:
        volume = cloud.add_volume()
        cloud.volumes.delete(volume)
    settled(cloud)
    assert cloud.volumes.volume(volume).status == status


def test_a_snapshot_may_never_be_there(cloud):
    cloud.faults.stuck("volumes.create_snapshot")
    made = cloud.volumes.create_snapshot(cloud.add_volume(), "s")
    settled(cloud)
    assert cloud.volumes.snapshot(made.id).status == "creating"


# images


def test_a_volume_is_uploading_until_its_image_is_there(cloud):
    volume = cloud.add_volume(size_gb=2)
    image = cloud.volumes.upload_image(volume, "copy")
    assert cloud.volumes.volume(volume).status == "uploading"
    assert cloud.images.image(image).status == "queued"
    settled(cloud)
    (found,) = cloud.images.find("copy")
    assert (found.id, found.status, found.size, found.owner) == (image, "active", 2 << 30, PROJECT)
    assert cloud.volumes.volume(volume).status == "available"


def test_a_volume_in_use_is_uploaded_only_where_cinder_may_be_forced(cloud):
    root = root_of(cloud, cloud.add_server("web", boot_volume=True))
    with pytest.raises(errors.Conflict, match="must be available"):
        cloud.volumes.upload_image(root, "copy")
    cloud.world.enable_force_upload = True
    cloud.volumes.upload_image(root, "copy")
    settled(cloud)
    assert cloud.volumes.volume(root).status == "in-use"


def test_an_upload_that_fails_leaves_the_volume_as_it_was(cloud):
    volume = cloud.add_volume()
    cloud.faults.break_result("volumes.upload_image", "killed")
    image = cloud.volumes.upload_image(volume, "copy")
    settled(cloud)
    assert cloud.images.image(image).status == "killed"
    assert cloud.volumes.volume(volume).status == "available"


def test_an_image_of_no_bytes_is_active_and_takes_properties(cloud):
    image = cloud.images.create("c", {"block_device_mapping": "[]", "bdm_v2": "True"}, PROJECT)
    cloud.images.set_properties(image.id, {"bdm_v2": "False", "until": "1"})
    found = cloud.images.image(image.id)
    assert (found.status, found.size, found.owner) == ("active", 0, PROJECT)
    assert found.properties == {"block_device_mapping": "[]", "bdm_v2": "False", "until": "1"}
