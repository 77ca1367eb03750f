"""One instance that is to be updated live, with all that the rules look at."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from upgrade_flows.flows.demand import Demand, demand_of
from upgrade_flows.flows.live_update.options import Options
from upgrade_flows.flows.live_update.room import Ledger
from upgrade_flows.model.inventory import (
    Host,
    Image,
    Inventory,
    Server,
    ServerGroup,
    Volume,
)
from upgrade_flows.plugins.base import WorkloadPlugin
from upgrade_flows.plugins.vif import PortCase, in_guest_order, port_case
from upgrade_flows.steps.base import Plugins

#: how resource classes of PCI devices begin
DEVICES = ("CUSTOM_PCI_", "PCI_DEVICE", "SRIOV_NET_VF")


@dataclass(frozen=True)
class Case:
    """One instance in scope, with everything that the rules need to know about it.

    :param root: its root volume; None where its root disk is none, or cannot be told.
    :param data: the other volumes that it holds, in the order of their devices.
    :param image: what it was booted from, and ``new`` the image that is asked for; None where
        there is none.
    """

    inventory: Inventory
    plugins: Plugins
    options: Options
    workload: WorkloadPlugin
    ledger: Ledger
    server: Server
    host: Host | None
    ports: tuple[PortCase, ...]
    root: Volume | None
    data: tuple[Volume, ...]
    image: Image | None
    new: Image | None
    group: ServerGroup | None

    @functools.cached_property
    def demand(self) -> Demand:
        """What the surrogate asks of its host; devices too, where Placement has but one kind."""
        booted = self.new.properties if self.new else self.properties
        made = demand_of(self.inventory, self.server, self.ledger.classes, booted)
        kinds = device_classes(self.ledger.classes)
        if not self.devices or len(kinds) != 1:
            return made
        return dataclasses.replace(made, amounts={**made.amounts, kinds[0]: self.devices})

    @property
    def devices(self) -> int:
        """How many PCI devices its flavor passes through."""
        alias = self.server.flavor.extra_specs.get("pci_passthrough:alias", "")
        counts = [one.partition(":")[2].strip() for one in alias.split(",") if one.strip()]
        return sum(int(count) if count.isdecimal() else 1 for count in counts)

    @functools.cached_property
    def cut(self) -> str:
        """How the original is cut off: ``hot`` or ``cold``."""
        return "cold" if self.restart else self.workload.cut(self.options.settings, bool(self.data))

    @property
    def restart(self) -> bool:
        """Whether the surrogate is stopped, and boots again with all that moves to it."""
        return self.workload.reboots(self.options.settings)

    @property
    def done(self) -> bool:
        """Whether it runs from the new image already."""
        if self.new is None:
            return False
        made_of = self.root.image_properties.get("image_id") if self.root else None
        return self.new.id in (self.server.image_id, made_of)

    @property
    def properties(self) -> dict[str, Any]:
        """The image properties that it was booted with."""
        if self.root is not None:
            return self.root.image_properties
        return self.image.properties if self.image else {}

    @property
    def mapping(self) -> dict[str, Any] | None:
        """What the new image says that the root disk is made of, where that is a volume."""
        said = self.new.properties.get("block_device_mapping") if self.new else None
        try:
            devices = json.loads(said) if isinstance(said, str) else said or []
        except ValueError:
            return None
        return next((one for one in devices if one.get("boot_index") == 0), None)


def make(
    inventory: Inventory,
    plugins: Plugins,
    options: Options,
    workload: WorkloadPlugin,
    ledger: Ledger,
    server: Server,
    new: Image | None,
) -> Case:
    """Put a case together from the inventory."""
    host = inventory.host(server.host)
    agent = host.agent if host else None
    volumes = inventory.volumes_of(server)
    root = _root(server, volumes)
    return Case(
        inventory=inventory,
        plugins=plugins,
        options=options,
        workload=workload,
        ledger=ledger,
        server=server,
        host=host,
        ports=tuple(port_case(plugins, port, agent) for port in in_guest_order(inventory, server)),
        root=root,
        data=tuple(sorted((v for v in volumes if v is not root), key=lambda v: _place(server, v))),
        image=inventory.image(server.image_id) if server.image_id else None,
        new=new,
        group=inventory.group_of(server.id),
    )


def device_of(server: Server, volume: Volume) -> str:
    """Return the device by which a server has a volume, as Cinder knows it."""
    return next((one.device for one in volume.attachments if one.server_id == server.id), "")


def device_classes(classes: Iterable[str]) -> list[str]:
    """Return those of the resource classes by which Placement shows PCI devices."""
    return sorted(kind for kind in classes if kind.startswith(DEVICES))


def _place(server: Server, volume: Volume) -> tuple[int, str, str]:
    device = device_of(server, volume)
    return (len(device), device, volume.id)  # /dev/vdz comes before /dev/vdaa


def _root(server: Server, volumes: tuple[Volume, ...]) -> Volume | None:
    """Return the root volume; a listing does not say which one it is, but devices do."""
    if not server.volume_backed:
        return None
    if len(volumes) == 1:
        return volumes[0]
    named = [v for v in volumes if device_of(server, v) == server.root_device_name != ""]
    bootable = [v for v in volumes if v.bootable]
    return next((found[0] for found in (named, bootable) if len(found) == 1), None)
