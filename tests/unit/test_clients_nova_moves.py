"""Live migrations and migration records: what is sent to Nova, and what is made of its answer."""

import pytest
import requests_mock

from tests.unit.clients_http import NOVA, Listing, cloud_on
from upgrade_flows import errors
from upgrade_flows.cloud.api import Memory, Migration

ACTION = f"{NOVA}/servers/s/action"
UNDER_WAY = f"{NOVA}/servers/s/migrations"
RUNNING = {
    "id": 7,
    "uuid": "m7",
    "status": "running",
    "source_compute": "h1",
    "dest_compute": "h2",
    "server_uuid": "s",
    "created_at": "2026-01-01T00:00:00.000000",
    "updated_at": "2026-01-01T00:00:05.000000",
    "memory_total_bytes": 4096,
    "memory_processed_bytes": 1024,
    "memory_remaining_bytes": 3072,
    "disk_total_bytes": 0,
}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def record(number, status="completed", **more):
    return {
        "id": number,
        "uuid": f"m{number}",
        "status": status,
        "migration_type": "live-migration",
        "source_compute": "h1",
        "dest_compute": "h2",
        "created_at": f"2026-01-{number:02}",
        **more,
    }


def changes(http):
    return [r for r in http.request_history if "auth" not in r.url and r.method != "GET"]


@pytest.mark.parametrize("host", ["h2", None])
def test_a_live_migration_is_never_forced_and_leaves_the_disks_to_nova(http, host):
    http.post(ACTION, status_code=202)
    cloud_on(http).compute.live_migrate("s", host)
    (sent,) = changes(http)
    assert sent.json() == {"os-migrateLive": {"host": host, "block_migration": "auto"}}
    assert sent.headers["X-OpenStack-Nova-API-Version"] == "2.100"


def test_a_live_migration_that_nova_refuses_is_a_conflict(http):
    said = "Cannot 'os-migrateLive' instance s while it is in vm_state stopped"
    http.post(ACTION, status_code=409, json={"conflictingRequest": {"message": said, "code": 409}})
    with pytest.raises(errors.Conflict, match=r"live migrate s: .* in vm_state stopped"):
        cloud_on(http).compute.live_migrate("s", "h2")


def test_a_live_migration_under_way_shows_the_progress_of_its_memory(http):
    http.get(UNDER_WAY, json={"migrations": [RUNNING]})
    assert cloud_on(http).compute.live_migrations("s") == (
        Migration(
            id="m7",
            status="running",
            kind="live-migration",
            source="h1",
            destination="h2",
            created="2026-01-01T00:00:00.000000",
            server_id="s",
            updated="2026-01-01T00:00:05.000000",
            memory=Memory(4096, 1024, 3072),
        ),
    )


def test_a_live_migration_that_has_not_begun_has_copied_nothing(http):
    queued = {key: None if key.startswith("memory") else v for key, v in RUNNING.items()}
    http.get(UNDER_WAY, json={"migrations": [{**queued, "status": "queued"}]})
    (found,) = cloud_on(http).compute.live_migrations("s")
    assert (found.status, found.memory) == ("queued", Memory(0, 0, 0))


def test_forcing_a_live_migration_names_it_by_its_number(http):
    http.get(UNDER_WAY, json={"migrations": [RUNNING]})
    http.post(f"{UNDER_WAY}/7/action", status_code=202)
    cloud_on(http).compute.force_complete("s", "m7")
    assert changes(http)[0].json() == {"force_complete": None}


def test_giving_a_live_migration_up_names_it_by_its_number(http):
    http.get(UNDER_WAY, json={"migrations": [RUNNING]})
    http.delete(f"{UNDER_WAY}/7", status_code=202)
    cloud_on(http).compute.abort_migration("s", "m7")
    assert [(r.method, r.url) for r in changes(http)] == [("DELETE", f"{UNDER_WAY}/7")]


@pytest.mark.parametrize("call", ["force_complete", "abort_migration"])
def test_a_live_migration_that_has_ended_is_not_found(http, call):
    http.get(UNDER_WAY, json={"migrations": [RUNNING]})
    with pytest.raises(errors.NotFound, match="m6 of server s is under way"):
        getattr(cloud_on(http).compute, call)("s", "m6")
    assert changes(http) == []


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [("force_complete", "POST", "/7/action"), ("abort_migration", "DELETE", "/7")],
)
def test_a_live_migration_in_the_wrong_state_is_a_conflict(http, call, method, path):
    http.get(UNDER_WAY, json={"migrations": [RUNNING]})
    said = {"badRequest": {"message": "Migration 7 state of instance s is preparing", "code": 400}}
    http.register_uri(method, f"{UNDER_WAY}{path}", status_code=400, json=said)
    with pytest.raises(errors.Conflict, match="is preparing"):
        getattr(cloud_on(http).compute, call)("s", "m7")


def test_only_migrations_of_a_host_that_have_not_ended_are_shown(http):
    ended = ["cancelled", "completed", "confirmed", "done", "error", "failed", "reverted"]
    going = ["accepted", "queued", "preparing", "running", "post-migrating", "finished"]
    items = [record(number, status) for number, status in enumerate(ended + going, 1)]
    http.get(f"{NOVA}/os-migrations", json={"migrations": items[::-1]})
    found = cloud_on(http).compute.migrations_of_host("h2")
    assert [item.status for item in found] == going
    assert http.last_request.qs == {"host": ["h2"], "limit": ["1000"]}


def test_migrations_of_a_host_are_read_page_by_page(http):
    items = [record(number, "running", instance_uuid=f"s{number}") for number in range(25, 0, -1)]

    class ByUuid(Listing):
        def __init__(self):
            super().__init__("migrations", items, at_most=10)
            self.index = {item["uuid"]: place for place, item in enumerate(items)}

    http.get(f"{NOVA}/os-migrations", json=ByUuid())
    found = cloud_on(http).compute.migrations_of_host("h1")
    assert [item.server_id for item in found] == [f"s{number}" for number in range(1, 26)]
