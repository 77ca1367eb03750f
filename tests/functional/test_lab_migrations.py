"""Migrations from the lab's fake hosts, as a test wants them to go."""

from __future__ import annotations

import pytest

from tests.functional import instances
from tests.lab import api, hosts, waiting

SOURCE, TARGET = "fake1", "fake2"


@pytest.fixture
def guest(lab):
    """Make an instance on the source host; let migrations go as they like afterwards."""
    made = instances.make([instances.Wish("lab-mover", SOURCE)])["lab-mover"]
    yield made
    hosts.mend(SOURCE)
    compute = api.shared().compute
    compute.delete_server(made)
    waiting.until("it is gone", lambda: not list(compute.servers(name="lab-mover")))


def start(guest: str) -> None:
    """Start a live migration."""
    api.shared().compute.live_migrate_server(guest, host=TARGET, block_migration="auto")


def ends(guest: str, status: str, host: str) -> None:
    """Wait until the migration has a status and the instance is active on a host."""
    compute = api.shared().compute

    def done() -> bool:
        listed = sorted(compute.migrations(instance_uuid=guest), key=lambda found: found.id)
        return listed and listed[-1].status == status

    waiting.until(f"the migration is {status}", done, 30)
    assert instances.reaches(api.shared(), guest, "ACTIVE", 30).compute_host == host


def running(guest: str):
    """Wait until a migration copies memory, and return it."""
    compute = api.shared().compute

    def found():
        listed = list(compute.server_migrations(guest))
        return listed[0] if listed and listed[0].memory_remaining_bytes else None

    return waiting.until("memory is copied", found, 30)


def test_a_live_migration_fails_and_nothing_has_moved(guest):
    hosts.set_behaviour(SOURCE, {guest: {"live": "fail"}})
    start(guest)
    ends(guest, "failed", SOURCE)


def test_a_live_migration_that_does_not_end_is_aborted_or_forced(guest):
    hosts.set_behaviour(SOURCE, {"*": {"live": "never"}})
    start(guest)
    found = running(guest)
    assert 0 < found.memory_remaining_bytes < found.memory_total_bytes
    api.shared().compute.abort_server_migration(found, guest)
    ends(guest, "cancelled", SOURCE)
    start(guest)
    api.shared().compute.force_complete_server_migration(running(guest), guest)
    ends(guest, "completed", TARGET)


def test_a_cold_migration_fails_and_nothing_has_moved(guest):
    hosts.set_behaviour(SOURCE, {guest: {"cold": "fail"}})
    api.shared().compute.migrate_server(guest, host=TARGET)
    ends(guest, "error", SOURCE)
