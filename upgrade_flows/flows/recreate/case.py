"""One instance with all that the rules look at, and the room that earlier instances left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.inventory import (
    Host,
    Image,
    Inventory,
    Room,
    Server,
    ServerGroup,
    Volume,
)
from upgrade_flows.plugins.vif import PortCase, in_guest_order, port_case
from upgrade_flows.steps.base import Plugins


@dataclass
class Budget:
    """What earlier actions of the same plan will have taken, until they are committed."""

    inventory: Inventory
    taken: dict[str, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )

    def fits(self, host: str, resources: dict[str, int]) -> bool:
        """Whether a host has room for ``resources`` beside what is used and taken."""
        room = self.inventory.rooms.get(host, Room())
        taken = self.taken[host]
        return room.fits({kind: amount + taken[kind] for kind, amount in resources.items()})

    def take(self, host: str, resources: dict[str, int]) -> None:
        """Take room at a host."""
        for kind, amount in resources.items():
            self.taken[host][kind] += amount


@dataclass(frozen=True)
class Case:
    """One instance in scope, with everything that the rules need to know about it."""

    inventory: Inventory
    plugins: Plugins
    budget: Budget
    server: Server
    host: Host | None
    ports: tuple[PortCase, ...]
    volumes: tuple[Volume, ...]
    image: Image | None
    group: ServerGroup | None
    storage: str | None
    asked_hosts: tuple[str, ...] = ()

    @property
    def resources(self) -> dict[str, int]:
        """What the instance takes at its host, per Placement resource class."""
        return self.server.resources

    @property
    def flavor_id(self) -> str | None:
        """The id of the flavor that the instance was booted with, or None if it has changed."""
        flavor = self.inventory.flavor_of(self.server)
        return None if flavor is None else flavor.id

    @property
    def needs_change(self) -> bool:
        """Whether any port is not in the mode that its host would bind now."""
        return any(port.differs for port in self.ports)


def make(
    inventory: Inventory,
    plugins: Any,
    budget: Budget,
    server: Server,
    asked_hosts: tuple[str, ...] = (),
) -> Case:
    """Put a case together from the inventory."""
    host = inventory.host(server.host)
    agent = host.agent if host else None
    volumes = inventory.volumes_of(server)
    image = inventory.image(server.image_id) if server.image_id else None
    return Case(
        inventory=inventory,
        plugins=plugins,
        budget=budget,
        server=server,
        host=host,
        ports=tuple(port_case(plugins, port, agent) for port in in_guest_order(inventory, server)),
        volumes=volumes,
        image=image,
        group=inventory.group_of(server.id),
        storage=plugins.storage_of(server, volumes, image),
        asked_hosts=asked_hosts,
    )
