"""How volumes, snapshots and images are made, found and counted."""

import pytest
import requests_mock

from tests.unit.clients_http import CINDER, GLANCE, KEYSTONE, Listing, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import NewVolume
from upgrade_flows.model.inventory import Quota, Snapshot, Volume

VOLUME = {
    "id": "v",
    "name": "n",
    "status": "creating",
    "size": 3,
    "metadata": {"a": "1"},
    "os-vol-tenant-attr:tenant_id": "p-other",
}
SNAPSHOT = {
    "id": "s",
    "name": "n",
    "status": "creating",
    "volume_id": "v",
    "size": 3,
    "metadata": {"a": "1"},
}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def project_of_last_token(http):
    token = [r for r in http.request_history if r.url.endswith("/auth/tokens")][-1]
    return token.json()["auth"]["scope"]["project"]["id"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"volume_type": "fast"}, {"volume_type": "fast"}),
        ({"source_volume_id": "w"}, {"source_volid": "w"}),
        ({"snapshot_id": "s"}, {"snapshot_id": "s"}),
        ({"image_id": "i"}, {"imageRef": "i"}),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": "1"}}),
    ],
)
def test_a_volume_is_made_in_its_project_of_what_is_named(http, given, sent):
    http.post(f"{CINDER}/volumes", json={"volume": VOLUME}, status_code=202)
    made = cloud_on(http).volumes.create(NewVolume("n", 3, "p-other", **given))
    assert made == Volume("v", "n", "creating", 3, "p-other", metadata={"a": "1"})
    assert http.last_request.json() == {"volume": {"name": "n", "size": 3, **sent}}
    assert project_of_last_token(http) == "p-other"


def test_a_volume_beyond_the_quota_is_too_large(http):
    body = {"overLimit": {"code": 413, "message": "VolumeSizeExceedsAvailableQuota"}}
    http.post(f"{CINDER}/volumes", json=body, status_code=413)
    with pytest.raises(errors.TooLarge, match="VolumeSizeExceedsAvailableQuota"):
        cloud_on(http).volumes.create(NewVolume("n", 3, "p-own"))


def test_volumes_and_snapshots_are_found_by_name_in_all_projects(http):
    http.get(f"{CINDER}/volumes/detail", json={"volumes": [VOLUME]})
    http.get(f"{CINDER}/snapshots/detail", json={"snapshots": [SNAPSHOT]})
    volumes = cloud_on(http).volumes
    assert [volume.id for volume in volumes.find("r/step")] == ["v"]
    assert (http.last_request.qs["name"], http.last_request.qs["all_tenants"]) == (
        ["r/step"],
        ["1"],
    )
    assert [snapshot.id for snapshot in volumes.find_snapshots("r/step")] == ["s"]
    assert (http.last_request.qs["name"], http.last_request.qs["all_tenants"]) == (
        ["r/step"],
        ["1"],
    )


def test_snapshots_of_all_projects_are_listed_page_by_page(http):
    items = [{**SNAPSHOT, "id": f"s{number}"} for number in range(25)]
    http.get(f"{CINDER}/snapshots/detail", json=Listing("snapshots", items, at_most=10))
    found = cloud_on(http).volumes.snapshots()
    assert [snapshot.id for snapshot in found] == [item["id"] for item in items]


def test_a_snapshot_is_made_by_force_in_the_volumes_project(http):
    http.get(f"{CINDER}/volumes/v", json={"volume": VOLUME})
    http.post(f"{CINDER}/snapshots", json={"snapshot": SNAPSHOT}, status_code=202)
    made = cloud_on(http).volumes.create_snapshot("v", "n", {"a": "1"})
    assert made == Snapshot("s", "n", "creating", "v", 3, "p-other", {"a": "1"})
    assert http.last_request.json() == {
        "snapshot": {"volume_id": "v", "name": "n", "force": True, "metadata": {"a": "1"}}
    }
    assert project_of_last_token(http) == "p-other"


def test_where_we_have_no_role_the_snapshot_is_ours(http):
    http.get(f"{CINDER}/volumes/v", json={"volume": VOLUME})
    http.post(f"{CINDER}/snapshots", json={"snapshot": SNAPSHOT}, status_code=202)
    cloud = cloud_on(http)
    http.post(
        f"{KEYSTONE}/auth/tokens",
        status_code=401,
        json={"error": {"message": "no role"}},
        additional_matcher=lambda request: "p-other" in request.text,
    )
    assert cloud.volumes.create_snapshot("v", "n").project_id == "p-own"


def test_a_snapshot_tells_whose_it_is(http):
    shown = {**SNAPSHOT, "os-extended-snapshot-attributes:project_id": "p"}
    http.get(f"{CINDER}/snapshots/s", json={"snapshot": shown})
    assert cloud_on(http).volumes.snapshot("s").project_id == "p"


def test_a_volume_is_copied_into_a_raw_image_of_its_project(http):
    http.get(f"{CINDER}/volumes/v", json={"volume": VOLUME})
    answer = {"os-volume_upload_image": {"id": "v", "image_id": "i"}}
    http.post(f"{CINDER}/volumes/v/action", json=answer, status_code=202)
    assert cloud_on(http).volumes.upload_image("v", "copy") == "i"
    assert http.last_request.json() == {
        "os-volume_upload_image": {
            "image_name": "copy",
            "force": True,
            "container_format": "bare",
            "disk_format": "raw",
        }
    }
    assert project_of_last_token(http) == "p-other"


def test_what_is_reserved_of_a_quota_counts_as_used(http):
    kinds = {"volumes": (10, 1, 0), "gigabytes": (-1, 30, 5), "snapshots": (2, 0, 0)}
    found = {
        kind: {"limit": limit, "in_use": used, "reserved": reserved}
        for kind, (limit, used, reserved) in kinds.items()
    }
    http.get(f"{CINDER}/os-quota-sets/p?usage=True", json={"quota_set": {"id": "p", **found}})
    assert cloud_on(http).volumes.quota("p") == Quota(
        {"volumes": 10, "gigabytes": -1, "snapshots": 2},
        {"volumes": 1, "gigabytes": 35, "snapshots": 0},
    )


def test_an_image_of_no_bytes_is_made_raw_and_activated(http):
    shown = {"id": "i", "name": "n", "status": "active", "size": 0, "bdm_v2": "True"}
    http.post(f"{GLANCE}/v2/images", json={"id": "i", "status": "queued"}, status_code=201)
    http.put(f"{GLANCE}/v2/images/i/file", status_code=204)
    http.get(f"{GLANCE}/v2/images/i", json=shown)
    made = cloud_on(http).images.create("n", {"bdm_v2": "True"}, "p-other")
    assert (made.status, made.size, made.properties) == ("active", 0, {"bdm_v2": "True"})
    create, upload, _ = [r for r in http.request_history if "/images" in r.url]
    assert create.json() == {
        "name": "n",
        "container_format": "bare",
        "disk_format": "raw",
        "owner": "p-other",
        "bdm_v2": "True",
    }
    assert upload.headers["Content-Type"] == "application/octet-stream"
    assert b"".join(upload.body) == b""


def test_properties_are_patched_as_glance_wants_it(http):
    http.patch(f"{GLANCE}/v2/images/i", json={"id": "i"})
    cloud_on(http).images.set_properties("i", {"a": "1"})
    content = http.last_request.headers["Content-Type"]
    assert content == "application/openstack-images-v2.1-json-patch"
