"""The small ones of the fake services: Glance, Placement and Heat."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Provider, Stock
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.model.inventory import Image, Room

#: the trait by which Nova keeps Placement from offering a disabled host
DISABLED = "COMPUTE_STATUS_DISABLED"


class Images(Base):
    """Glance."""

    def images(self) -> tuple[Image, ...]:
        """Return all images that we may see."""
        return tuple(self._world.images.values())

    def image(self, image_id: str) -> Image:
        """Return one image."""
        return self._world.image(image_id)

    def find(self, name: str) -> tuple[Image, ...]:
        """Return the images of a name."""
        return tuple(image for image in self._world.images.values() if image.name == name)

    def create(self, name: str, properties: dict[str, Any], project_id: str = "") -> Image:
        """Create an image of no bytes."""
        world = self._world
        image = Image(
            id=world.new_id("image"),
            name=name,
            status="active",
            size=0,
            owner=project_id or world.own_project_id,
            disk_format="raw",
            properties=dict(properties),
        )
        world.images[image.id] = image
        return image

    def set_properties(self, image_id: str, properties: dict[str, str]) -> None:
        """Set properties of an image; its name is one of them."""
        image = self._world.image(image_id)
        others = {key: value for key, value in properties.items() if key != "name"}
        self._world.images[image_id] = dataclasses.replace(
            image,
            name=properties.get("name", image.name),
            properties={**image.properties, **others},
        )

    def delete(self, image_id: str) -> None:
        """Delete an image; a protected one is refused."""
        image = self._world.image(image_id)
        if image.properties.get("protected"):
            raise errors.Forbidden(f"Image {image_id} is protected and cannot be deleted.")
        del self._world.images[image_id]


class Placement(Base):
    """Placement."""

    def rooms(self) -> dict[str, Room]:
        """Return what each compute host has and what is taken, by host name."""
        return {
            name: Room(dict(record.capacity), dict(record.used))
            for name, record in self._world.hosts.items()
        }

    def providers(self, host: str) -> tuple[Provider, ...]:
        """Return the resource provider of a host; a disabled host has a trait that says so."""
        world = self._world
        record = world.hosts.get(host)
        if record is None:
            raise errors.NotFound(f"there is no resource provider {host}")
        disabled = () if record.host.enabled else (DISABLED,)
        mine = Provider(
            id=world.named_id(f"provider-{host}"),
            name=host,
            stocks={kind: Stock(total) for kind, total in record.capacity.items()},
            traits=tuple(sorted({*record.traits, *disabled})),
            aggregates=tuple(
                sorted(item.id for item in world.aggregates.values() if host in item.hosts)
            ),
        )
        return (mine,)

    def consumers(self, host: str) -> dict[str, dict[str, int]]:
        """Return who holds what on a host: servers, migrations of servers, and holds."""
        self.providers(host)
        held = self._world.allocations.items()
        return {consumer: dict(on[host]) for consumer, on in held if host in on}

    def holdings(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return who holds what on every host."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for consumer, on in self._world.allocations.items():
            for host, kinds in on.items():
                found.setdefault(host, {})[consumer] = dict(kinds)
        return found

    def allocations(self, consumer: str) -> dict[str, dict[str, int]]:
        """Return what a consumer holds, by the id of the resource provider."""
        world = self._world
        held = world.allocations.get(consumer, {})
        return {world.named_id(f"provider-{host}"): dict(one) for host, one in held.items()}

    def hold(
        self, consumer: str, host: str, resources: dict[str, int], project_id: str, user_id: str
    ) -> None:
        """Take room on a host for a new consumer, also on a disabled one."""
        world = self._world
        self.providers(host)
        if consumer in world.allocations:
            raise errors.Conflict(f"consumer generation conflict - {consumer} exists already")
        wanted = {kind: amount for kind, amount in resources.items() if amount}
        record = world.hosts[host]
        if not Room(record.capacity, record.used).fits(wanted):
            raise errors.Conflict(
                f"Unable to allocate inventory: {wanted} would exceed the capacity of {host}"
            )
        if wanted:
            world.allocate(consumer, host, wanted)
            world.holders[consumer] = (project_id, user_id)

    def release(self, consumer: str) -> None:
        """Give back all that a consumer holds."""
        self._world.free(consumer)

    def holder(self, consumer: str) -> tuple[str, str] | None:
        """Return project and user of a consumer; a migration's are its server's."""
        world = self._world
        if consumer not in world.allocations:
            return None
        if consumer in world.holders:
            return world.holders[consumer]
        moved = {item.id: item.server_id for item in world.open_migrations()}
        server = world.instances[moved.get(consumer, consumer)].server
        return server.project_id, server.user_id


class Orchestration(Base):
    """Heat and its like."""

    def managed_servers(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return who manages a server, by server id, in these projects."""
        return {
            server_id: manager
            for server_id, manager in self._world.managed.items()
            if self._world.instances[server_id].server.project_id in project_ids
        }
