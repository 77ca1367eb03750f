"""The fake Neutron: ports, their bindings, and the floating IPs that lead to them."""

from __future__ import annotations

import dataclasses
import ipaddress

from upgrade_flows import errors
from upgrade_flows.cloud.api import PortBinding, Subnet
from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.records import NetworkRecord
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Agent, FloatingIP, Port, Quota

#: the power states in which a guest's interface is there: running and paused
_PLUGGED = (1, 3)


class Network(Base):
    """Neutron."""

    def ports(
        self, device_id: str | None = None, mac_address: str | None = None
    ) -> tuple[Port, ...]:
        """Return ports of all projects, or those of a device, or those with a MAC address."""
        world = self._world
        ids = world.ports if device_id is None else world.ports_of.get(device_id, {})
        found = (world.ports[port_id] for port_id in ids)
        return tuple(
            shown(world, port)
            for port in found
            if mac_address is None or port.mac_address == mac_address
        )

    def port(self, port_id: str) -> Port:
        """Return one port."""
        return shown(self._world, self._world.port(port_id))

    def find_ports(self, name: str) -> tuple[Port, ...]:
        """Return the ports of a name."""
        return tuple(port for port in self.ports() if port.name == name)

    def create_port(self, like: Port) -> Port:
        """Create a free, unbound port; a MAC or an address that is taken is refused."""
        world = self._world
        network = world.networks.get(like.network_id)
        if network is None:
            raise errors.NotFound(f"Network {like.network_id} could not be found.")
        if not self.quota(like.project_id).room("ports", 1):
            raise errors.TooLarge("Quota exceeded for resources: ['port'].")
        peers = [port for port in world.ports.values() if port.network_id == network.id]
        if like.mac_address and any(port.mac_address == like.mac_address for port in peers):
            raise errors.Conflict(
                f"Unable to complete operation for network {network.id}. "
                f"The mac address {like.mac_address} is in use."
            )
        taken = {address[1] for port in peers for address in port.fixed_ips}
        for _, address in like.fixed_ips:
            if address in taken:
                raise errors.Conflict(
                    f"IP address {address} already allocated in subnet {network.subnet_id}"
                )
        made = dataclasses.replace(
            like,
            id=world.new_id("port"),
            mac_address=like.mac_address or _mac(world),
            fixed_ips=like.fixed_ips or ((network.subnet_id, _address(network, taken)),),
            status="DOWN",
            device_id="",
            device_owner="",
            trunk_id=None,
            binding_host="",
            vif_type="unbound",
            vif_details={},
            binding_profile={},
        )
        world.put_port(made)
        return self.port(made.id)

    def delete_port(self, port_id: str) -> None:
        """Delete a port; Neutron tells Nova, which unplugs it from its server."""
        world = self._world
        port = world.port(port_id)
        holder = world.instances.get(port.device_id)
        if holder is not None:
            holder.nics = [nic for nic in holder.nics if nic.port_id != port_id]
        world.vifs.pop(port_id, None)
        world.drop_port(port_id)

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
        return tuple(self._world.floating_ips[fip] for fip in self._world.fips_of.get(port_id, ()))

    def associate(
        self, floating_ip_id: str, port_id: str, fixed_address: str | None = None
    ) -> None:
        """Let a floating IP lead to a port; one address of a port has one floating IP at most."""
        world = self._world
        held = world.floating_ips.get(floating_ip_id)
        if held is None:
            raise errors.NotFound(f"Floating IP {floating_ip_id} could not be found")
        addresses = [pair[1] for pair in world.port(port_id).fixed_ips]
        wanted = fixed_address or next(
            (one for one in addresses if ipaddress.ip_address(one).version == 4), ""
        )
        if wanted not in addresses:
            raise errors.Conflict(f"Port {port_id} does not have fixed ip {wanted}")
        if any(
            other.fixed_address == wanted and other.id != held.id
            for other in self.floating_ips(port_id)
        ):
            raise errors.Conflict(
                f"Cannot associate floating IP {held.address} with port {port_id} using fixed "
                f"IP {wanted}, as that fixed IP already has a floating IP"
            )
        world.fips_of[held.port_id or ""].pop(held.id, None)
        world.fips_of[port_id][held.id] = None
        world.floating_ips[held.id] = dataclasses.replace(
            held, port_id=port_id, fixed_address=wanted
        )

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project: ``ports``."""
        limit = self._world.limits.get(project_id, {}).get("ports", -1)
        return Quota({"ports": limit}, {"ports": self._world.port_usage.get(project_id, 0)})

    def agents(self) -> tuple[Agent, ...]:
        """Return all agents."""
        return tuple(record.agent for record in self._world.hosts.values())

    def networks(self) -> tuple[str, ...]:
        """Return the ids of all networks."""
        return tuple(self._world.networks)

    def subnet(self, subnet_id: str) -> Subnet:
        """Return one subnet: each network has one of 65,536 addresses."""
        for network in self._world.networks.values():
            if network.subnet_id == subnet_id:
                prefix = f"10.{network.number}.0"
                return Subnet(id=subnet_id, cidr=f"{prefix}.0/16", gateway=f"{prefix}.1")
        raise errors.NotFound(f"Subnet {subnet_id} could not be found.")

    def _change(self, port_id: str, **fields: str) -> None:
        port = self._world.port(port_id)
        self._world.put_port(dataclasses.replace(port, **fields))  # type: ignore[arg-type]


def shown(world: World, port: Port) -> Port:
    """Return a port with its status: ACTIVE where its bound host has its server's guest."""
    instance = world.instances.get(port.device_id)
    active = (
        instance is not None
        and instance.server.power_state in _PLUGGED
        and port.binding_host == instance.server.host
        and binding.bound(port)
        and any(nic.port_id == port.id for nic in instance.nics)
    )
    return dataclasses.replace(
        port, status="ACTIVE" if active else "DOWN", vif_details=dict(port.vif_details)
    )


def _mac(world: World) -> str:
    world.counter += 1
    number = f"{world.counter % (1 << 24):06x}"
    return f"fa:16:3e:{number[:2]}:{number[2:4]}:{number[4:]}"


def _address(network: NetworkRecord, taken: set[str]) -> str:
    while True:
        network.taken += 1
        found = network.taken + 9
        address = f"10.{network.number}.{found // 256}.{found % 256}"
        if address not in taken:
            return address
