"""The other fake services: Neutron, Cinder, Glance, Placement and Heat."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from upgrade_flows import errors
from upgrade_flows.cloud.api import PortBinding, Provider, Stock
from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Agent, FloatingIP, Image, Port, Room, Volume

#: the trait by which Nova keeps Placement from offering a disabled host
DISABLED = "COMPUTE_STATUS_DISABLED"


class Network(Base):
    """Neutron."""

    def ports(self, device_id: str | None = None) -> tuple[Port, ...]:
        """Return ports of all projects."""
        world = self._world
        ids = world.ports if device_id is None else world.ports_of.get(device_id, {})
        return tuple(shown(world, world.ports[port_id]) for port_id in ids)

    def port(self, port_id: str) -> Port:
        """Return one port."""
        return shown(self._world, self._world.port(port_id))

    def bind(self, port_id: str, host: str) -> Port:
        """Bind a port to a host, by what the host's agent reports now."""
        binding.bind(self._world, port_id, host)
        return self.port(port_id)

    def unbind(self, port_id: str) -> None:
        """Take a port's binding away."""
        binding.unbind(self._world, port_id)

    def set_owner(self, port_id: str, device_id: str, device_owner: str) -> None:
        """Say which device holds a port; nobody tells Nova."""
        self._change(port_id, device_id=device_id, device_owner=device_owner)

    def set_dns_name(self, port_id: str, dns_name: str) -> None:
        """Set the DNS name of a port."""
        self._change(port_id, dns_name=dns_name)

    def bindings(self, port_id: str) -> tuple[PortBinding, ...]:
        """Return the bindings of a port, the ACTIVE one first; none if it is unbound."""
        return binding.listed(self._world, port_id)

    def delete_binding(self, port_id: str, host: str) -> None:
        """Delete a port's INACTIVE binding on a host."""
        found = [one for one in self.bindings(port_id) if one.host == host]
        if not found:
            raise errors.NotFound(f"Binding for port {port_id} on host {host} not found.")
        if found[0].active:
            raise errors.Conflict(f"the binding of port {port_id} on {host} is ACTIVE")
        binding.forget(self._world, port_id, host)

    def floating_ips(self, port_id: str | None = None) -> tuple[FloatingIP, ...]:
        """Return floating IPs of all projects, or those of one port."""
        if port_id is None:
            return tuple(self._world.floating_ips.values())
        return tuple(self._world.floating_ips[fip] for fip in self._world.fips_of[port_id])

    def agents(self) -> tuple[Agent, ...]:
        """Return all agents."""
        return tuple(record.agent for record in self._world.hosts.values())

    def networks(self) -> tuple[str, ...]:
        """Return the ids of all networks."""
        return tuple(self._world.networks)

    def _change(self, port_id: str, **fields: str) -> None:
        port = self._world.port(port_id)
        self._world.put_port(dataclasses.replace(port, **fields))  # type: ignore[arg-type]


def shown(world: World, port: Port) -> Port:
    """Return a port with its status: ACTIVE where its bound host runs its server."""
    instance = world.instances.get(port.device_id)
    active = (
        instance is not None
        and instance.server.power_state == 1
        and port.binding_host == instance.server.host
        and binding.bound(port)
        and any(nic.port_id == port.id for nic in instance.nics)
    )
    return dataclasses.replace(
        port, status="ACTIVE" if active else "DOWN", vif_details=dict(port.vif_details)
    )


class Volumes(Base):
    """Cinder."""

    def volumes(self) -> tuple[Volume, ...]:
        """Return volumes of all projects."""
        return tuple(self._world.volumes.values())

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""
        return self._world.volume(volume_id)


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
        """Return who holds what on a host: servers, and migrations of servers."""
        self.providers(host)
        held = self._world.allocations.items()
        return {consumer: dict(on[host]) for consumer, on in held if host in on}

    def allocations(self, consumer: str) -> dict[str, dict[str, int]]:
        """Return what a consumer holds, by the id of the resource provider."""
        world = self._world
        held = world.allocations.get(consumer, {})
        return {world.named_id(f"provider-{host}"): dict(one) for host, one in held.items()}


class Orchestration(Base):
    """Heat and its like."""

    def managed_servers(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return who manages a server, by server id, in these projects."""
        return {
            server_id: manager
            for server_id, manager in self._world.managed.items()
            if self._world.instances[server_id].server.project_id in project_ids
        }
