"""What every test starts from: flavors, an image, networks, a volume type, a key, quotas."""

from __future__ import annotations

from typing import Any

from tests.lab.api import Connection

FLAVORS = {
    "m1.tiny": {"ram": 64, "vcpus": 1, "disk": 1},
    "m1.small": {"ram": 128, "vcpus": 1, "disk": 2},
}
IMAGE = "tiny"
VOLUME_TYPE = "nfs"
NETWORK, SUBNET, ROUTER = "demo-net", "demo-subnet", "demo-router"
EXTERNAL, EXTERNAL_SUBNET = "public", "public-subnet"
KEYPAIR = "demo-key"
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJkA+CWm9gs8P3N8Fn2x9WBAtNvStXz+qv2TOE0E91ay demo@lab"
)
QUOTAS = {
    "compute": {
        "instances": 200,
        "cores": 400,
        "ram": 400 * 1024,
        "key_pairs": 200,
        "server_groups": 100,
        "server_group_members": 100,
    },
    "network": {
        "networks": 200,
        "subnets": 200,
        "ports": 1000,
        "routers": 100,
        "floating_ips": 200,
        "security_groups": 200,
        "security_group_rules": 2000,
    },
    "volume": {"volumes": 400, "snapshots": 400, "gigabytes": 4000, "backups": 100},
}


def basics(admin: Connection, demo: Connection) -> None:
    """Create what needs no compute host."""
    image(admin)
    flavors(admin)
    volume_type(admin)
    networks(admin, demo)
    quotas(admin)
    keypair(demo)


def image(admin: Connection) -> None:
    """Create the public image: a MiB of nothing."""
    found = next(iter(admin.image.images(name=IMAGE, visibility="public")), None)
    if found is None:
        admin.image.create_image(
            name=IMAGE,
            data=bytes(1024 * 1024),
            disk_format="raw",
            container_format="bare",
            visibility="public",
        )


def flavors(admin: Connection) -> None:
    """Create the flavors."""
    for name, size in FLAVORS.items():
        if not admin.compute.find_flavor(name):
            admin.compute.create_flavor(name=name, **size)


def volume_type(admin: Connection) -> None:
    """Create the volume type of the one backend."""
    if not admin.block_storage.find_type(VOLUME_TYPE):
        kind = admin.block_storage.create_type(name=VOLUME_TYPE)
        admin.block_storage.update_type_extra_specs(kind, volume_backend_name="nfs1")


def networks(admin: Connection, demo: Connection) -> None:
    """Create demo's network, the external network, and the router between them."""
    network = demo.network.find_network(NETWORK) or demo.network.create_network(name=NETWORK)
    subnet = demo.network.find_subnet(SUBNET) or demo.network.create_subnet(
        name=SUBNET, network_id=network.id, ip_version=4, cidr="10.99.0.0/20"
    )
    external = admin.network.find_network(EXTERNAL) or admin.network.create_network(
        name=EXTERNAL,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="physnet1",
    )
    if not admin.network.find_subnet(EXTERNAL_SUBNET):
        admin.network.create_subnet(
            name=EXTERNAL_SUBNET,
            network_id=external.id,
            ip_version=4,
            cidr="172.24.0.0/22",
            is_dhcp_enabled=False,
        )
    if not demo.network.find_router(ROUTER):
        router = demo.network.create_router(
            name=ROUTER, external_gateway_info={"network_id": external.id}
        )
        demo.network.add_interface_to_router(router, subnet_id=subnet.id)


def quotas(admin: Connection) -> None:
    """Give demo room for many resources."""
    project = admin.identity.find_project("demo")
    admin.compute.update_quota_set(project, **QUOTAS["compute"])
    admin.network.update_quota(project.id, **QUOTAS["network"])
    admin.block_storage.update_quota_set(project, **QUOTAS["volume"])


def keypair(demo: Connection) -> Any:
    """Import a key for demo whose private half nobody has."""
    return demo.compute.find_keypair(KEYPAIR) or demo.compute.create_keypair(
        name=KEYPAIR, public_key=PUBLIC_KEY
    )
