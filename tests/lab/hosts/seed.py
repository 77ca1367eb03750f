"""What guests on the hosts with libvirt need: networks that the prober is in, flavor and image."""

from __future__ import annotations

from tests.lab import api
from tests.lab.guest import image

NETWORKS = {"guest-net": "10.88.0", "guest-net2": "10.89.0"}
MTU = 1450
FLAVOR = {"name": "probe", "ram": 128, "vcpus": 1, "disk": 1}
IMAGE = "probe"


def basics() -> None:
    """Create what is missing; an image made of other inputs than the cached one is replaced."""
    cloud = api.shared()
    for name, prefix in NETWORKS.items():
        network = cloud.network.find_network(name) or cloud.network.create_network(
            name=name, mtu=MTU, is_shared=True
        )
        if not cloud.network.find_subnet(name):
            cloud.network.create_subnet(
                name=name,
                network_id=network.id,
                ip_version=4,
                cidr=f"{prefix}.0/24",
                gateway_ip=f"{prefix}.1",
                is_dhcp_enabled=False,
                allocation_pools=[{"start": f"{prefix}.10", "end": f"{prefix}.250"}],
            )
    if not cloud.compute.find_flavor(FLAVOR["name"]):
        cloud.compute.create_flavor(**FLAVOR)
    _image(cloud)


def _image(cloud: api.Connection) -> None:
    path = image.build()
    key = image.key_of(path)
    for known in list(cloud.image.images(name=IMAGE, visibility="public")):
        if known.properties.get("lab_key") == key and known.status == "active":
            return
        cloud.image.delete_image(known.id)
    with path.open("rb") as data:
        cloud.image.create_image(
            name=IMAGE,
            data=data,
            disk_format="qcow2",
            container_format="bare",
            visibility="public",
            validate_checksum=False,
            lab_key=key,
            **image.PROPERTIES,
        )
