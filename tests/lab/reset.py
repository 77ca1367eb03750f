"""Give the lab back as it was seeded: remove what tests have left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from openstack import exceptions

from tests.lab import agents, api, seed, services, waiting
from tests.lab.api import Connection
from tests.lab.hosts import faults, machines
from tests.lab.hosts import seed as hosts_seed
from tests.lab.settings import Settings

SEED_IMAGES = {seed.IMAGE, *(recipe.name for recipe in hosts_seed.RECIPES)}
SEED_NETWORKS = {seed.NETWORK, seed.EXTERNAL, *hosts_seed.NETWORKS}
SEED_FLAVORS = {*seed.FLAVORS, hosts_seed.FLAVOR["name"], hosts_seed.LIVE_FLAVOR["name"]}
SEED_KEYPAIRS = {seed.KEYPAIR, hosts_seed.KEYPAIR}


def reset() -> int:
    """Remove everything that is not part of the seed; return how many things there were."""
    settings = Settings.load()
    agents.reset(settings)
    faults.mend()
    started = services.start_fake_hosts(settings)
    cloud = api.connect()
    cloud.authorize()
    computes = cloud.compute.services(binary="nova-compute")
    _each(computes, lambda service: _enable(cloud, service))
    count = _stacks(cloud)
    count += _servers(cloud)
    count += _network(cloud)
    count += _volumes(cloud)
    count += _compute(cloud)
    images = [image for image in cloud.image.images() if image.name not in SEED_IMAGES]
    count += _each(images, lambda image: _delete_image(cloud, image))
    machines.wait_up(*started)
    agents.wait_reported(*settings.fake_hosts, cloud=cloud)
    return count


def _each(things: Iterable[Any], action: Callable[[Any], object]) -> int:
    """Do something with all things at once; what is gone already is fine."""

    def one(thing: Any) -> None:
        with suppress(exceptions.NotFoundException):
            action(thing)

    listed = list(things)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(one, listed))
    return len(listed)


def _gone(what: str, remaining: Callable[[], Iterable[Any]], seconds: float = 120) -> None:
    waiting.until(f"all {what} are deleted", lambda: not list(remaining()), seconds)


def _enable(cloud: Connection, service: Any) -> None:
    if service.is_forced_down:
        waiting.until(
            f"nova-compute of {service.host} has cleaned up and may be up again",
            lambda: _lift(cloud, service),
        )
    if service.status != "enabled" or service.disabled_reason:
        cloud.compute.enable_service(service, service.host, "nova-compute")


def _lift(cloud: Connection, service: Any) -> bool:
    """Take back that a host is down; refused until it has removed its evacuated guests."""
    try:
        cloud.compute.update_service_forced_down(service, service.host, "nova-compute", False)
    except exceptions.BadRequestException:
        return False
    return True


def _stacks(cloud: Connection) -> int:
    """Remove the stacks, project by project: Heat shows nobody those of all projects."""
    clouds = [cloud, cloud.connect_as_project("demo")]

    def remove(mine: Connection) -> int:
        def stacks() -> list[Any]:
            return list(mine.orchestration.stacks())

        count = _each(stacks(), mine.orchestration.delete_stack)
        _gone("stacks", stacks)
        return count

    with ThreadPoolExecutor(max_workers=len(clouds)) as pool:
        return sum(pool.map(remove, clouds))


def _servers(cloud: Connection) -> int:
    def servers() -> list[Any]:
        return list(cloud.compute.servers(all_projects=True, details=False))

    def delete(server: Any) -> None:
        with suppress(exceptions.ConflictException):
            cloud.compute.delete_server(server, force=False)

    def still() -> list[Any]:
        left = servers()
        _each(left, delete)
        return left

    count = _each(servers(), delete)
    if count:
        _gone("servers", still)
    return count


def _network(cloud: Connection) -> int:
    network = cloud.network
    keep_owner = ("network:",)
    count = _each(network.ips(), network.delete_ip)
    count += _each(network.trunks(), network.delete_trunk)
    ports = [each for each in network.ports() if not each.device_owner.startswith(keep_owner)]
    count += _each(ports, network.delete_port)
    routers = [router for router in network.routers() if router.name != seed.ROUTER]
    count += _each(routers, lambda router: _delete_router(cloud, router))
    networks = [each for each in network.networks() if each.name not in SEED_NETWORKS]
    count += _each(networks, network.delete_network)
    groups = [group for group in network.security_groups() if group.name != "default"]
    count += _each(groups, network.delete_security_group)
    count += _each(network.qos_policies(), network.delete_qos_policy)
    return count


def _delete_router(cloud: Connection, router: Any) -> None:
    for port in cloud.network.ports(device_id=router.id, device_owner="network:router_interface"):
        cloud.network.remove_interface_from_router(router, port_id=port.id)
    cloud.network.delete_router(router)


def _volumes(cloud: Connection) -> int:
    storage = cloud.block_storage

    def snapshots() -> list[Any]:
        return list(storage.snapshots(all_projects=True))

    def volumes() -> list[Any]:
        return list(storage.volumes(details=False, all_projects=True))

    def delete_volume(volume: Any) -> None:
        storage.delete_volume(volume, force=True)

    count = _each(snapshots(), lambda each: storage.delete_snapshot(each, force=True))
    if count:
        _gone("volume snapshots", snapshots)
    removed = _each(volumes(), delete_volume)
    if removed:
        _gone("volumes", volumes)
    return count + removed


def _compute(cloud: Connection) -> int:
    compute = cloud.compute
    count = _each(compute.server_groups(all_projects=True), compute.delete_server_group)
    for aggregate in list(compute.aggregates()):
        for host in aggregate.hosts or ():
            waiting.until(
                f"{host} leaves the aggregate {aggregate.name}",
                lambda aggregate=aggregate, host=host: _leave(cloud, aggregate, host),
                30,
            )
        compute.delete_aggregate(aggregate)
        count += 1
    flavors = [each for each in compute.flavors(is_public=None) if each.name not in SEED_FLAVORS]
    count += _each(flavors, compute.delete_flavor)
    for name in ("lab-admin", "lab-demo"):
        mine = api.connect(name).compute
        keys = [each for each in mine.keypairs() if each.name not in SEED_KEYPAIRS]
        count += _each(keys, mine.delete_keypair)
    return count


def _leave(cloud: Connection, aggregate: Any, host: str) -> bool:
    """Take a host out of an aggregate; Nova counts servers just deleted for a moment longer."""
    try:
        cloud.compute.remove_host_from_aggregate(aggregate, host)
    except exceptions.ConflictException:
        return False
    return True


def _delete_image(cloud: Connection, image: Any) -> None:
    if image.is_protected:
        cloud.image.update_image(image, is_protected=False)
    cloud.image.delete_image(image)
