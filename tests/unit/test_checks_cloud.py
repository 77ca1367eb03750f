"""The checks of the cloud: what is planted in the cloud in memory is found, and nothing else."""

from __future__ import annotations

import dataclasses
import sqlite3

import pytest

from upgrade_flows import checks, errors
from upgrade_flows.checks import Sources
from upgrade_flows.checks.database import access
from upgrade_flows.cloud.api import Migration
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.cloud.fake import binding as bindings
from upgrade_flows.model.check import CheckState

DAY = 86400


def well():
    """Return a cloud in which nothing is wrong."""
    cloud = FakeCloud(hosts=("h1", "h2", "h3"))
    for binary in ("nova-conductor", "nova-scheduler", "cinder-volume", "cinder-scheduler"):
        cloud.add_service(binary, "control-1")
    for name in ("web", "db", "app"):
        cloud.add_server(name, host="h1", project="p1", id=name, data_volumes=1)
    cloud.add_server("off", host="h2", id="off", status="SHUTOFF")
    cloud.add_server("bfv", host="h3", id="bfv", boot_volume=True)
    cloud.limit("p1", instances=100, volumes=100, ports=100)
    cloud.add_endpoint("compute", "https://api.test:8774/v2.1", cloud.clock.time() + 300 * DAY)
    cloud.add_endpoint("network", "http://api.test:9696")
    return cloud


@pytest.fixture
def cloud():
    return well()


def gate(cloud, **more):
    return checks.gate(Sources(cloud, now=cloud.clock.time(), **more), ["cloud"])


def found(cloud, **more):
    report = gate(cloud, **more)
    assert report.failed == ()
    return {(one.id, one.subject) for one in report.findings}


def migration(cloud, status, server="web", since=0, **more):
    at = cloud.world.timestamp(cloud.clock.time() - since)
    made = Migration(
        f"m-{status}", status, "live-migration", "h1", "h2", at, server_id=server, **more
    )
    cloud.world.migrations[server].append(made)
    return made


def wait(cloud, hours):
    cloud.clock.sleep(hours * 3600)


def test_in_a_cloud_that_is_well_nothing_is_found(cloud):
    """Not of work under way, of a server being moved, of room that we hold ourselves."""
    cloud.placement.hold("mine", "h1", {"VCPU": 1}, "upgrade-flows", "run/1")
    cloud.compute.migrate("app", "h2")
    cloud.compute.stop("db")
    migration(cloud, "running", since=60)
    migration(cloud, "failed", server="off", since=3600 * 50)
    cloud.change_volume(next(iter(cloud.world.volumes)), status="creating")
    report = gate(cloud)
    assert (report.findings, report.failed, report.exit_code) == ((), (), 0)
    done = {one.name for one in report.results if one.state == CheckState.DONE}
    assert done == {
        "agents",
        "allocations",
        "bindings",
        "certificates",
        "quotas",
        "services",
        "stuck-instances",
        "stuck-migrations",
        "stuck-volumes",
    }
    assert [one.name for one in report.skipped] == ["machine-types"]


def plant_compute_down(cloud):
    cloud.change_host("h2", up=False)
    return {("UF-CL-001", "nova-compute h2")}


def plant_conductor_down(cloud):
    cloud.add_service("nova-conductor", "control-2", up=False)
    return {("UF-CL-002", "nova-conductor control-2")}


def plant_volume_service_down(cloud):
    cloud.add_service("cinder-volume", "store@lvm", up=False)
    return {("UF-CL-002", "cinder-volume store@lvm")}


def plant_agent_dead(cloud):
    cloud.change_agent("h3", alive=False)
    return {("UF-CL-003", "Open vSwitch agent h3")}


def plant_stale_compute(cloud):
    cloud.change_host("h2", up=False, enabled=False, disabled_reason="broken fan")
    return {("UF-CL-004", "nova-compute h2")}


def plant_stuck_instance(cloud):
    cloud.faults.stuck("compute.stop", subject="web")
    cloud.compute.stop("web")
    wait(cloud, 2)
    return {("UF-CL-010", "web")}


def plant_broken_instance(cloud):
    cloud.change_server("db", status="ERROR", vm_state="error", fault="no host")
    return {("UF-CL-011", "db")}


def plant_unconfirmed_migration(cloud):
    cloud.compute.migrate("app", "h2")
    wait(cloud, 2)
    return {("UF-CL-012", "app")}


def plant_stuck_migration(cloud):
    cloud.faults.stuck("compute.live_migrate", subject="web")
    cloud.compute.live_migrate("web", "h2")
    cloud.world.live_migration_completion_timeout = 0
    wait(cloud, 2)
    (made,) = cloud.direct.compute.migrations("web")
    return {("UF-CL-010", "web"), ("UF-CL-013", made.id)}


def plant_stuck_volume(cloud):
    volume = next(iter(cloud.world.volumes))
    cloud.change_volume(volume, status="deleting")
    wait(cloud, 2)
    return {("UF-CL-014", volume)}


def plant_orphan_allocation(cloud):
    cloud.add_allocation("ghost", "h3", {"VCPU": 2})
    return {("UF-CL-020", "ghost")}


def plant_allocation_of_a_failed_migration(cloud):
    made = migration(cloud, "error", server="off", since=3600)
    cloud.add_allocation(made.id, "h1", {"VCPU": 2})
    return {("UF-CL-020", made.id)}


def plant_server_without_allocation(cloud):
    cloud.world.free("db")
    return {("UF-CL-021", "db")}


def plant_allocation_elsewhere(cloud):
    cloud.world.allocate("db", "h3", {"VCPU": 1})
    return {("UF-CL-022", "db h3")}


def plant_inactive_binding(cloud):
    migration(cloud, "failed", since=3600 * 50)
    (port,) = cloud.direct.network.ports(device_id="web")
    bindings.prepare(cloud.world, port.id, "h2")
    return {("UF-CL-030", f"{port.id} h2")}


def plant_certificate(cloud):
    cloud.add_endpoint("image", "https://glance.test/", cloud.clock.time() + 10 * DAY)
    return {("UF-CL-040", "glance.test:443")}


def plant_quota(cloud):
    cloud.limit("p1", ports=3, gigabytes=1000)
    return {("UF-CL-060", "p1 ports")}


PLANTS = {name[6:]: plant for name, plant in globals().items() if name.startswith("plant_")}


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_is_found_and_nothing_else(cloud, plant):
    expected = PLANTS[plant](cloud)
    assert found(cloud) == expected


def test_every_rule_of_the_area_is_planted():
    rules = {rule.id for rule in checks.registry.load().rules.values() if "UF-CL" in rule.id}
    planted = {number for plant in PLANTS.values() for number, _ in plant(well())}
    assert rules - planted == {"UF-CL-050"}  # of the database, below


def test_a_certificate_that_has_ended_is_an_error(cloud):
    cloud.add_endpoint("image", "https://glance.test/", cloud.clock.time() - 10 * DAY)
    (finding,) = gate(cloud).findings
    assert (finding.severity, "has ended on" in finding.message) == ("error", True)


def test_an_endpoint_that_does_not_answer_hides_no_certificate(cloud):
    plant_certificate(cloud)
    cloud.add_endpoint("volume", "https://cinder.test/")
    report = gate(cloud)
    assert [one.subject for one in report.findings] == ["glance.test:443"]
    assert [one.why for one in report.failed] == ["https://cinder.test/: connection refused"]


def test_what_changes_while_it_is_read_is_no_finding(cloud):
    """A server appears, and one loses its host, between the listing of one and the other."""
    real = cloud.direct.placement.holdings()
    real["h1"]["new"] = {"VCPU": 1}
    del real["h1"]["db"]
    real["h3"]["web"] = {"VCPU": 1}
    late = {}

    def appear(name, args, phase):
        if (name, phase) == ("placement.holder", "before") and not late:
            late["new"] = cloud.add_server("new", host="h2", id="new")

    cloud.faults.hook(appear)
    cloud._direct.placement.holdings = lambda: real
    cloud.add_allocation("new", "h1", {"VCPU": 1})
    assert found(cloud) == set()


def test_bindings_of_what_begins_to_move_are_left_alone(cloud):
    plant_inactive_binding(cloud)

    def move(name, args, phase):
        if (name, phase) == ("network.bindings", "after") and not cloud.world.live:
            cloud.compute.live_migrate("web", "h3")

    cloud.faults.hook(move)
    assert found(cloud) == set()


def test_a_task_that_ends_while_it_is_looked_at_is_not_stuck(cloud):
    plant_stuck_instance(cloud)

    def end(name, args, phase):
        if (name, phase) == ("compute.actions", "after"):
            cloud.change_server("web", task_state=None)

    cloud.faults.hook(end)
    assert found(cloud) == set()


def test_a_service_that_does_not_answer_hides_nothing_of_the_others(cloud):
    cloud.faults.fail("volumes.services", errors.Unavailable("cinder: 503"), times=None)
    plant_compute_down(cloud)
    report = gate(cloud)
    assert [one.id for one in report.findings] == ["UF-CL-001"]
    assert [(one.name, one.why) for one in report.failed] == [("services", "cinder: 503")]
    assert report.exit_code == 255


def test_listings_are_read_once_for_all_checks(cloud):
    plant_stuck_volume(cloud)
    gate(cloud)
    assert (cloud.count("compute.servers"), cloud.count("placement.holdings")) == (1, 1)


@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_is_changed(cloud, plant):
    PLANTS[plant](cloud)
    before = cloud.state(bindings=True)
    gate(cloud)
    assert cloud.state(bindings=True) == before


@pytest.fixture
def cell(tmp_path):
    """A cell's database with two servers of libvirt, one of Ironic, and one that is deleted."""
    path = tmp_path / "cell.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE instances (uuid TEXT, host TEXT, node TEXT, deleted INT);
            CREATE TABLE compute_nodes (hypervisor_hostname TEXT, hypervisor_type TEXT,
                                        deleted INT);
            CREATE TABLE instance_system_metadata (instance_uuid TEXT, key TEXT, deleted INT);
            INSERT INTO compute_nodes VALUES ('n1', 'QEMU', 0), ('bm', 'ironic', 0);
            INSERT INTO instances VALUES ('web', 'h1', 'n1', 0), ('db', 'h1', 'n1', 0),
                                         ('metal', 'i1', 'bm', 0), ('old', 'h1', 'n1', 3);
            INSERT INTO instance_system_metadata VALUES ('web', 'image_hw_machine_type', 0),
                                                        ('db', 'image_hw_machine_type', 0);
            """
        )
    return path


def test_an_instance_without_a_machine_type_is_found_and_nothing_else(cloud, cell):
    databases = access.open_all({"nova_cell:cell1": f"sqlite:///{cell}"})
    assert found(cloud, databases=databases) == set()
    with sqlite3.connect(cell) as db:
        db.execute("UPDATE instance_system_metadata SET deleted = 1 WHERE instance_uuid = 'db'")
    assert found(cloud, databases=databases) == {("UF-CL-050", "nova_cell:cell1")}


def test_a_hosts_name_may_differ_from_its_hypervisors(cloud):
    cloud.world.allocations["web"] = {"node-1": {"VCPU": 1}}
    instance = cloud.world.instances["web"]
    instance.server = dataclasses.replace(instance.server, hypervisor_hostname="node-1")
    assert found(cloud) == set()
