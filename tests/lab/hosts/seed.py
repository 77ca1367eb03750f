"""What guests on the hosts with libvirt need: networks that the prober is in, flavors, images."""

from __future__ import annotations

from tests.lab import api
from tests.lab.guest import image, live, probe
from tests.lab.guest.recipe import Recipe
from tests.lab.hosts import access
from tests.lab.settings import Settings

NETWORKS = {"guest-net": "10.88.0", "guest-net2": "10.89.0"}
MTU = 1450
FLAVOR = {"name": "probe", "ram": 128, "vcpus": 1, "disk": 1}
LIVE_FLAVOR = {"name": "live", "ram": 512, "vcpus": 1, "disk": 1}
IMAGE = probe.RECIPE.name
RECIPES = (probe.RECIPE, live.OLD, live.NEW)
KEYPAIR = "guest-key"  # demo's; its private half is access.guest_key()


def basics() -> None:
    """Create what is missing; an image made of other inputs than the cached one is replaced."""
    settings = Settings.load()
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
    for flavor in (FLAVOR, LIVE_FLAVOR):
        if not cloud.compute.find_flavor(flavor["name"]):
            cloud.compute.create_flavor(**flavor)
    for recipe in RECIPES:
        _image(cloud, recipe, settings)
    _keypair(settings)


def _keypair(settings: Settings) -> None:
    """Give demo the key that opens guests."""
    compute = api.shared("lab-demo").compute
    public = access.guest_key(settings).with_suffix(".pub").read_text()
    known = compute.find_keypair(KEYPAIR)
    if known and known.public_key.split()[:2] != public.split()[:2]:
        compute.delete_keypair(known)
        known = None
    if not known:
        compute.create_keypair(name=KEYPAIR, public_key=public)


def _image(cloud: api.Connection, recipe: Recipe, settings: Settings) -> None:
    path = image.build(recipe, settings)
    key = image.key_of(path)
    for known in list(cloud.image.images(name=recipe.name, visibility="public")):
        if known.properties.get("lab_key") == key and known.status == "active":
            return
        cloud.image.delete_image(known.id)
    with path.open("rb") as data:
        cloud.image.create_image(
            name=recipe.name,
            data=data,
            disk_format="qcow2",
            container_format="bare",
            visibility="public",
            validate_checksum=False,
            lab_key=key,
            **dict(recipe.properties),
        )
