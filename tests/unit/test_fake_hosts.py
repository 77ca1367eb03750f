"""Compute hosts of the fake cloud: what is shown of them, and what a reboot does."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.api import Aggregate, HostService, Provider, Stock
from upgrade_flows.cloud.fake import FakeCloud


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def see(cloud: FakeCloud, server: str) -> tuple[str, str]:
    found = cloud.direct.compute.server(server)
    return found.status, found.host


def alive(cloud: FakeCloud, host: str) -> tuple[bool, bool]:
    agents = {agent.host: agent.alive for agent in cloud.direct.network.agents()}
    return cloud.direct.compute.service(host).up, agents[host]


def test_a_service_shows_what_it_takes_to_restore_it(cloud):
    cloud.compute.set_host_enabled("h1", False, "broken fan")
    assert cloud.compute.service("h1") == HostService(
        host="h1",
        id=cloud.world.hosts["h1"].host.service_id,
        enabled=False,
        up=True,
        disabled_reason="broken fan",
        availability_zone="nova",
        updated="2025-06-15T15:06:40Z",
    )


@pytest.mark.parametrize("call", ["service", "hypervisor"])
def test_an_unknown_host_is_not_found(cloud, call):
    with pytest.raises(errors.NotFound, match="h9"):
        getattr(cloud.compute, call)("h9")


def test_a_hypervisor_tells_version_cpu_and_uptime(cloud):
    cloud.change_hypervisor("h1", version=9_001_002, cpu={"model": "EPYC"})
    cloud.clock.sleep(90_000)
    found = cloud.compute.hypervisor("h1")
    assert (found.host, found.kind, found.version, found.cpu) == (
        "h1",
        "QEMU",
        9_001_002,
        {"model": "EPYC"},
    )
    assert "up 1 days, 1:00, " in found.uptime
    assert [item.uptime for item in cloud.compute.hypervisors()] == ["", "", ""]


def test_a_disabled_host_has_a_trait_in_placement(cloud):
    cloud.change_hypervisor("h1", traits=("HW_CPU_X86_AVX",))
    aggregate = cloud.add_aggregate("fast", "h1", "h2", zone="az1")
    cloud.set_capacity("h1", VCPU=4, MEMORY_MB=8, DISK_GB=2)
    cloud.compute.set_host_enabled("h1", False)
    (found,) = cloud.placement.providers("h1")
    assert found == Provider(
        id=found.id,
        name="h1",
        stocks={"VCPU": Stock(4), "MEMORY_MB": Stock(8), "DISK_GB": Stock(2)},
        traits=("COMPUTE_STATUS_DISABLED", "HW_CPU_X86_AVX"),
        aggregates=(aggregate,),
    )
    cloud.compute.set_host_enabled("h1", True)
    assert cloud.placement.providers("h1")[0].traits == ("HW_CPU_X86_AVX",)


def test_an_aggregate_with_a_zone_puts_its_hosts_there(cloud):
    aggregate = cloud.add_aggregate("fast", "h1", zone="az1", metadata={"ssd": "true"})
    metadata = {"availability_zone": "az1", "ssd": "true"}
    assert list(cloud.compute.aggregates()) == [
        Aggregate(aggregate, "fast", ("h1",), "az1", metadata)
    ]
    assert [host.availability_zone for host in cloud.compute.hosts()] == ["az1", "nova", "nova"]


def test_a_reboot_changes_the_boot_id(cloud):
    before = cloud.boot_id("h1"), cloud.boot_id("h2")
    cloud.reboot_host("h1")
    with pytest.raises(errors.Unavailable):
        cloud.boot_id("h1")
    cloud.clock.sleep(180)
    assert cloud.boot_id("h1") != before[0]
    assert cloud.boot_id("h2") == before[1]
    assert "up 0 min" in cloud.compute.hypervisor("h1").uptime


def test_a_reboot_is_noticed_only_after_a_while(cloud):
    cloud.reboot_host("h1")
    seen = []
    for seconds in (0, 59, 2, 20, 90, 20):
        cloud.clock.sleep(seconds)
        seen.append(alive(cloud, "h1"))
    up, half, down = (True, True), (False, True), (False, False)
    assert seen == [up, up, half, down, down, up]


def test_a_quick_reboot_is_not_noticed_but_in_what_was_heard(cloud):
    cloud.durations["host.reboot"] = 30
    cloud.clock.sleep(3)
    cloud.reboot_host("h1")
    cloud.clock.sleep(29)
    silent = cloud.compute.service("h1")
    assert (silent.up, silent.updated) == (True, "2025-06-15T15:06:40Z")
    assert cloud.compute.hypervisor("h1").uptime == ""
    cloud.clock.sleep(100)
    assert alive(cloud, "h1") == (True, True)
    assert cloud.compute.service("h1").updated > silent.updated


@pytest.mark.parametrize("status", ["ACTIVE", "PAUSED"])
def test_guests_are_found_off_when_the_host_is_back(cloud, status):
    server = cloud.add_server("web", status=status)
    cloud.reboot_host("h1")
    cloud.clock.sleep(179)
    assert see(cloud, server) == (status, "h1")
    cloud.clock.sleep(2)
    assert see(cloud, server) == ("SHUTOFF", "h1")


def test_guests_run_again_where_nova_is_told_to_start_them(cloud):
    cloud.world.resumes_guests = True
    server = cloud.add_server("web")
    before = cloud.state(bindings=True)
    cloud.reboot_host("h1")
    cloud.clock.sleep(200)
    assert see(cloud, server) == ("ACTIVE", "h1")
    assert cloud.state(bindings=True) == before


def test_what_is_asked_of_a_rebooting_host_waits_for_it(cloud):
    server = cloud.add_server("web", status="SHUTOFF")
    cloud.reboot_host("h1")
    cloud.compute.start(server)
    cloud.clock.sleep(179)
    assert see(cloud, server) == ("SHUTOFF", "h1")
    cloud.clock.sleep(5)
    assert see(cloud, server) == ("ACTIVE", "h1")


def test_a_host_that_is_stuck_never_comes_back(cloud):
    cloud.faults.stuck("host.reboot")
    cloud.reboot_host("h1")
    cloud.clock.sleep(1e6)
    assert alive(cloud, "h1") == (False, False)


def test_a_reboot_can_be_refused_and_is_a_call_like_others(cloud):
    cloud.faults.fail("host.reboot", errors.Unavailable("no answer"), subject="h1")
    with pytest.raises(errors.Unavailable):
        cloud.reboot_host("h1")
    assert cloud.calls == [("host.reboot", ("h1",))]
    assert alive(cloud, "h1") == (True, True)


@pytest.mark.parametrize(
    ("victim", "status", "then"),
    [("h2", "failed", ("ACTIVE", "h1")), ("h1", "error", ("SHUTOFF", "h1"))],
)
def test_a_migration_does_not_survive_a_reboot_of_either_host(cloud, victim, status, then):
    flavor = cloud.add_flavor("m1.big", memory_mb=20 * 1024)
    server = cloud.add_server("web", flavor=flavor)
    cloud.compute.live_migrate(server, "h2")
    cloud.clock.sleep(5)
    cloud.reboot_host(victim)
    cloud.clock.sleep(300)
    assert cloud.compute.migrations(server)[-1].status == status
    assert see(cloud, server) == then
    assert list(cloud.placement.consumers("h2")) == []
