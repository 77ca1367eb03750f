"""Room that is held in the fake Placement, and what goes on in simulated guests."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.api import Credentials, NewServer
from upgrade_flows.cloud.fake import FakeCloud

MINE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def cloud() -> FakeCloud:
    cloud = FakeCloud(hosts=("h1",))
    cloud.set_capacity("h1", VCPU=2)
    return cloud


def create(cloud: FakeCloud, vcpus: int) -> str:
    flavor = cloud.add_flavor(f"of {vcpus}", vcpus=vcpus)
    image = cloud.add_image("debian")
    server = cloud.compute.create(
        NewServer("new", "project-1", flavor, (), host="h1", boot_image=image)
    )
    cloud.clock.sleep(60.0)
    return cloud.compute.server(server).status


def test_room_that_is_held_is_not_the_schedulers_until_it_is_released(cloud):
    cloud.placement.hold(MINE, "h1", {"VCPU": 1, "DISK_GB": 0}, "us", "run/1")
    assert create(cloud, 2) == "ERROR"
    cloud.placement.release(MINE)
    assert create(cloud, 2) == "ACTIVE"


def test_a_hold_is_seen_and_leaves_nothing_when_it_is_released(cloud):
    before = cloud.state()
    cloud.placement.hold(MINE, "h1", {"VCPU": 1, "DISK_GB": 0}, "us", "run/1")
    assert cloud.placement.holder(MINE) == ("us", "run/1")
    assert cloud.placement.consumers("h1") == {MINE: {"VCPU": 1}}
    assert cloud.state()["holds"] == {MINE: {"h1": {"VCPU": 1}}}
    cloud.placement.release(MINE)
    cloud.placement.release(MINE)
    assert cloud.placement.holder(MINE) is None
    assert cloud.state() == before


def test_more_than_there_is_is_not_held(cloud):
    with pytest.raises(errors.Conflict, match="exceed the capacity of h1"):
        cloud.placement.hold(MINE, "h1", {"VCPU": 3}, "us", "run/1")
    assert cloud.placement.holder(MINE) is None


def test_a_consumer_holds_once(cloud):
    cloud.placement.hold(MINE, "h1", {"VCPU": 1}, "us", "run/1")
    with pytest.raises(errors.Conflict, match="consumer generation conflict"):
        cloud.placement.hold(MINE, "h1", {"VCPU": 1}, "us", "run/1")


def test_room_is_held_on_a_disabled_host_and_on_no_unknown_one(cloud):
    cloud.change_host("h1", enabled=False)
    cloud.placement.hold(MINE, "h1", {"VCPU": 1}, "us", "run/1")
    with pytest.raises(errors.NotFound):
        cloud.placement.hold("other", "h9", {"VCPU": 1}, "us", "run/1")


def test_a_server_and_its_migration_belong_to_its_owner():
    cloud = FakeCloud()
    server = cloud.add_server("web", project="p", user="u")
    cloud.compute.migrate(server, "h2")
    migration = cloud.compute.migrations(server)[0].id
    assert cloud.placement.holder(server) == ("p", "u")
    assert cloud.placement.holder(migration) == ("p", "u")


# guests


def test_what_a_guest_does_is_shown_kept_and_gone_with_its_server(cloud):
    server = cloud.add_server("web")
    before = cloud.state()
    cloud.guests[server] = {"serves": ["10.0.0.10"]}
    assert cloud.state() != before
    again = FakeCloud.restored(cloud.snapshot())
    assert again.guests == {server: {"serves": ["10.0.0.10"]}}
    cloud.compute.delete(server)
    cloud.clock.sleep(60.0)
    assert cloud.guests == {}


def test_a_console_shows_what_the_guest_wrote(cloud):
    server = cloud.add_server("web")
    assert cloud.compute.console(server) == "web login:\n"
    cloud.guests[server] = {"console": "one\ntwo\nthree\n"}
    assert cloud.compute.console(server, 2) == "two\nthree\n"


def test_a_server_on_no_host_has_no_console():
    cloud = FakeCloud()
    server = cloud.add_server("web", status="SHUTOFF")
    cloud.compute.shelve(server)
    cloud.clock.sleep(60.0)
    with pytest.raises(errors.Conflict, match="not ready"):
        cloud.compute.console(server)


def test_credentials_are_good_for_as_long_as_a_test_says(cloud):
    assert cloud.credentials() == Credentials(expires=None, renewable=True)
    cloud.world.credentials = Credentials(expires=5.0, renewable=False)
    assert cloud.credentials() == Credentials(expires=5.0, renewable=False)
    assert cloud.count("credentials") == 2
