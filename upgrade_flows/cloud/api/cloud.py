"""What we need of the other services, and of a cloud as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from upgrade_flows.cloud.api.compute import Compute
from upgrade_flows.cloud.api.condition import Certificate, Endpoint
from upgrade_flows.cloud.api.facts import Credentials, PortBinding, Provider, Subnet
from upgrade_flows.cloud.api.storage import Images, Volumes
from upgrade_flows.model.inventory import (
    Agent,
    FloatingIP,
    Port,
    Quota,
    Room,
)


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def time(self) -> float:
        """Return epoch seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Network(Protocol):
    """Neutron."""

    def ports(self, device_id: str | None = None, mac_address: str | None = None) -> Iterable[Port]:
        """Return ports of all projects, or those of a device, or those with a MAC address."""

    def port(self, port_id: str) -> Port:
        """Return one port."""

    def find_ports(self, name: str) -> tuple[Port, ...]:
        """Return the ports of a name, in all projects."""

    def create_port(self, like: Port) -> Port:
        """Create a free, unbound port that is what ``like`` is, and return it as it was made.

        Its network, project, name, description, admin state, MAC and fixed addresses (chosen by
        Neutron where ``like`` has none), security groups (none where it has none), allowed
        address pairs, port security, QoS policy, DNS name, DHCP options, VNIC type and tags.

        :raises Conflict: the MAC or a fixed address is taken.
        :raises TooLarge: the project may have no more ports.
        """

    def delete_port(self, port_id: str) -> None:
        """Delete a port, also one that a server holds; its floating IPs lead nowhere then."""

    def bind(self, port_id: str, host: str) -> Port:
        """Bind an unbound port to a host, and return it as it is then.

        Neutron works the VIF type and details out anew; a port that is bound to that host
        already stays as it is.
        """

    def unbind(self, port_id: str) -> None:
        """Take a port's binding away."""

    def set_owner(self, port_id: str, device_id: str, device_owner: str) -> None:
        """Say which device holds a port; empty strings set it free."""

    def set_dns_name(self, port_id: str, dns_name: str) -> None:
        """Set the DNS name of a port (Nova clears it when it unbinds a port)."""

    def bindings(self, port_id: str) -> tuple[PortBinding, ...]:
        """Return the bindings of a port, the ACTIVE one first; none if it is unbound.

        :raises NotFound: there is no such port, or Neutron has no ``binding-extended``.
        """

    def delete_binding(self, port_id: str, host: str) -> None:
        """Delete a port's INACTIVE binding on a host.

        :raises NotFound: the port has no binding there.
        :raises Conflict: that one is ACTIVE: a server is plugged by it.
        """

    def floating_ips(self, port_id: str | None = None) -> Iterable[FloatingIP]:
        """Return floating IPs of all projects, or those of one port."""

    def associate(
        self, floating_ip_id: str, port_id: str, fixed_address: str | None = None
    ) -> None:
        """Let a floating IP lead to a port, wherever it led before.

        :param fixed_address: which of the port's addresses; without it, its first IPv4 one.
        """

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage: ``ports``."""

    def agents(self) -> Iterable[Agent]:
        """Return all agents."""

    def networks(self) -> Iterable[str]:
        """Return the ids of all networks."""

    def subnet(self, subnet_id: str) -> Subnet:
        """Return one subnet."""


class Placement(Protocol):
    """Placement."""

    def rooms(self) -> dict[str, Room]:
        """Return what each compute host has and what is taken, by host name."""

    def providers(self, host: str) -> tuple[Provider, ...]:
        """Return the resource provider of a compute host and its parts, the host's first.

        A provider is found by its name, which is the hypervisor's hostname.

        :raises NotFound: Placement knows no provider of that name.
        """

    def consumers(self, host: str) -> dict[str, dict[str, int]]:
        """Return who holds what on a compute host and its parts, by consumer's id.

        A consumer is a server, or a migration: while a server moves, its uuid holds the
        destination and the uuid of the migration record the source.

        :raises NotFound: Placement knows no provider of that name.
        """

    def holdings(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return who holds what on every compute host and its parts, by host and consumer.

        One call for each resource provider; see ``consumers``.
        """

    def allocations(self, consumer: str) -> dict[str, dict[str, int]]:
        """Return what a consumer holds, by the id of the resource provider; may be nothing."""

    def hold(
        self, consumer: str, host: str, resources: dict[str, int], project_id: str, user_id: str
    ) -> None:
        """Take room on a compute host for a new consumer, whose id is any UUID that is not used.

        The host may be disabled; the room is gone for the scheduler until it is released.

        :raises Conflict: there is not so much room, or the consumer holds something already.
        :raises NotFound: Placement knows no provider of that name.
        """

    def release(self, consumer: str) -> None:
        """Give back all that a consumer holds; it may be nothing."""

    def holder(self, consumer: str) -> tuple[str, str] | None:
        """Return project and user of a consumer; None if it holds nothing."""


class Orchestration(Protocol):
    """Heat and its like."""

    def managed_servers(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return who manages a server, by server id, for managed servers of these projects.

        Empty where the cloud has no such service.
        """


class Cloud(Protocol):
    """One cloud, seen by one set of credentials."""

    @property
    def id(self) -> str:
        """What tells this cloud from others: its Keystone's URL and the region."""

    @property
    def clock(self) -> Clock:
        """The clock that waits go by."""

    @property
    def compute(self) -> Compute: ...

    @property
    def network(self) -> Network: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def images(self) -> Images: ...

    @property
    def placement(self) -> Placement: ...

    @property
    def orchestration(self) -> Orchestration: ...

    def check_credentials(self) -> None:
        """Authenticate, and make sure that we may do an administrator's work.

        :raises Unauthorized: the credentials are refused.
        :raises Forbidden: they are not an administrator's.
        """

    def credentials(self) -> Credentials:
        """Return how long our credentials let us in; authenticates if that was not done."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what the catalogue has for our region, of every interface."""

    def certificate(self, url: str) -> Certificate:
        """Return what the server of an ``https`` address shows; whether it is trusted is open.

        :raises Unavailable: it does not answer, or speaks no TLS.
        """

    def projects_without_us(self, project_ids: set[str]) -> set[str]:
        """Return the projects in which we cannot get a token (needed to re-create there)."""
