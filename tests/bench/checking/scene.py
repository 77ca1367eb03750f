"""The cloud that is checked: hosts, instances and projects that are well, and what is planted."""

from __future__ import annotations

from upgrade_flows.cloud.api import Migration
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.cloud.fake import binding as bindings

PER_HOST = 20
PER_PROJECT = 100
VOLUMES_PER_HOST = 1
#: how often each problem is planted
PLANTED = 20
DAY_S = 86400.0

Found = set[tuple[str, str]]


def server_id(number: int) -> str:
    """Return the id of an instance."""
    return f"s{number:06}"


def host_name(number: int) -> str:
    """Return the name of a host."""
    return f"compute-{number:05}"


def well(hosts: int) -> FakeCloud:
    """Return a cloud in which nothing is wrong, with work under way."""
    cloud = FakeCloud(hosts=())
    for number in range(hosts):
        cloud.add_host(host_name(number))
        cloud.change_hypervisor(host_name(number), version=9_000_000)
    for binary in ("nova-conductor", "nova-scheduler", "cinder-volume", "cinder-scheduler"):
        for number in range(3):
            cloud.add_service(binary, f"control-{number}")
    for number in range(hosts * PER_HOST):
        cloud.add_server(
            f"vm-{number}",
            host=host_name(number // PER_HOST),
            project=f"p{number // PER_PROJECT:05}",
            id=server_id(number),
        )
    for number in range(hosts * VOLUMES_PER_HOST):
        cloud.add_volume(f"v{number}", 10, f"p{number % (hosts * PER_HOST // PER_PROJECT):05}")
    for number in range(hosts * PER_HOST // PER_PROJECT):
        cloud.limit(f"p{number:05}", instances=200, ports=400, volumes=100)
    for service in ("compute", "network", "volumev3", "image", "placement", "identity"):
        url = f"https://{service}.example.org/"
        cloud.add_endpoint(service, url, cloud.clock.time() + 400 * DAY_S)
    return cloud


class Servers:
    """Hands out instances that nothing was done to yet, spread over the cloud."""

    def __init__(self, total: int) -> None:
        self._total, self._next = total, 0

    def take(self) -> str:
        """Return the next one."""
        self._next += 1
        return server_id(self._next * 997 % self._total)  # 997 is prime to round totals


def plant(cloud: FakeCloud, hosts: int) -> Found:
    """Plant every problem of the cloud; return what has to be found."""
    servers = Servers(hosts * PER_HOST)
    world, found = cloud.world, set[tuple[str, str]]()
    now = cloud.clock.time()
    for number in range(PLANTED):
        cloud.change_host(host_name(number), up=False)
        found.add(("UF-CL-001", f"nova-compute {host_name(number)}"))
        cloud.add_service("nova-conductor", f"lost-{number}", up=False)
        found.add(("UF-CL-002", f"nova-conductor lost-{number}"))
        cloud.change_agent(host_name(PLANTED + number), alive=False)
        found.add(("UF-CL-003", f"Open vSwitch agent {host_name(PLANTED + number)}"))
        cloud.change_host(host_name(2 * PLANTED + number), up=False, enabled=False)
        found.add(("UF-CL-004", f"nova-compute {host_name(2 * PLANTED + number)}"))

        stuck = servers.take()
        cloud.faults.stuck("compute.stop", subject=stuck)
        cloud.compute.stop(stuck)
        found.add(("UF-CL-010", stuck))
        broken = servers.take()
        cloud.change_server(broken, status="ERROR", fault="no valid host")
        found.add(("UF-CL-011", broken))
        waiting = servers.take()
        cloud.compute.migrate(waiting, host_name(hosts - 1 - number))
        found.add(("UF-CL-012", waiting))
        moving = servers.take()
        _migration(cloud, moving, "running", f"m-stuck-{number}", now)
        found.add(("UF-CL-013", f"m-stuck-{number}"))

        world.free(lost := servers.take())
        found.add(("UF-CL-021", lost))
        world.allocate(double := servers.take(), host_name(3 * PLANTED + number), {"VCPU": 1})
        found.add(("UF-CL-022", f"{double} {host_name(3 * PLANTED + number)}"))
        cloud.add_allocation(f"ghost-{number}", host_name(4 * PLANTED + number), {"VCPU": 1})
        found.add(("UF-CL-020", f"ghost-{number}"))

        failed = servers.take()
        _migration(cloud, failed, "failed", f"m-failed-{number}", now)
        (port,) = cloud.direct.network.ports(device_id=failed)
        bindings.prepare(world, port.id, host_name(5 * PLANTED + number))
        found.add(("UF-CL-030", f"{port.id} {host_name(5 * PLANTED + number)}"))
        _migration(cloud, servers.take(), "failed", f"m-clean-{number}", now)

        cloud.limit(f"p{number:05}", instances=PER_PROJECT + 5)
        found.add(("UF-CL-060", f"p{number:05} instances"))
    for volume in list(world.volumes)[:PLANTED]:
        cloud.change_volume(volume, status="deleting")
        found.add(("UF-CL-014", volume))
    cloud.add_endpoint("key-manager", "https://barbican.example.org/", now + 9 * DAY_S)
    found.add(("UF-CL-040", "barbican.example.org:443"))
    cloud.clock.sleep(7200)
    for _ in range(50 * PLANTED):  # work that was begun just now, and is no finding
        cloud.compute.stop(servers.take())
    return found


def _migration(cloud: FakeCloud, server: str, status: str, name: str, now: float) -> None:
    made = Migration(
        name, status, "live-migration", "a", "b", cloud.world.timestamp(now), server_id=server
    )
    cloud.world.add_migration(made)
