"""Putting the hosts of a fake cloud together."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows.cloud.api import Aggregate, Certificate, Endpoint, Service
from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.records import HostRecord
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.model.inventory import Agent, Host


class HostBuilder:
    """What is said about hosts before anything runs."""

    world: World

    def add_host(
        self,
        name: str,
        mode: str = "ovs",
        vcpus: int = 64,
        memory_mb: int = 262_144,
        disk_gb: int = 4_000,
        zone: str = "nova",
        bridge: str = "br-int",
        socket_dir: str = "/var/run/openvswitch",
    ) -> None:
        """Add a compute host with its L2 agent and its room in Placement."""
        self.world.hosts[name] = HostRecord(
            host=Host(name=name, service_id=self.world.new_id("service"), availability_zone=zone),
            agent=Agent(
                id=self.world.new_id("agent"),
                agent_type="Open vSwitch agent",
                host=name,
                configurations=binding.configurations(mode, bridge, socket_dir),
            ),
            capacity={"VCPU": vcpus, "MEMORY_MB": memory_mb, "DISK_GB": disk_gb},
            booted=self.world.clock.time(),
        )

    def set_mode(
        self,
        host: str,
        mode: str,
        bridge: str = "br-int",
        socket_dir: str = "/var/run/openvswitch",
    ) -> None:
        """Change what a host's agent reports; ports keep their binding until bound anew."""
        reported = binding.configurations(mode, bridge, socket_dir)
        self.change_agent(host, configurations=reported)

    def change_agent(self, host: str, **fields: Any) -> None:
        """Change fields of a host's agent (``alive``...)."""
        record = self.world.host(host)
        record.agent = dataclasses.replace(record.agent, **fields)

    def change_host(self, name: str, **fields: Any) -> None:
        """Change fields of a compute host (``up``, ``enabled``, ``disabled_reason``...)."""
        record = self.world.host(name)
        record.host = dataclasses.replace(record.host, **fields)

    def set_capacity(self, name: str, **capacity: int) -> None:
        """Change what a host has (``VCPU``, ``MEMORY_MB``, ``DISK_GB``)."""
        self.world.host(name).capacity.update(capacity)

    def change_hypervisor(
        self,
        name: str,
        version: int | None = None,
        cpu: dict[str, Any] | None = None,
        traits: tuple[str, ...] | None = None,
    ) -> None:
        """Change what a host runs: QEMU's version (8002003 is 8.2.3), its CPU, its traits."""
        record = self.world.host(name)
        if version is not None:
            record.hypervisor_version = version
        if cpu is not None:
            record.cpu = dict(cpu)
        if traits is not None:
            record.traits = tuple(traits)

    def add_service(
        self, binary: str, host: str, up: bool = True, enabled: bool = True, **more: Any
    ) -> None:
        """Add a service of Nova, or of Cinder, that runs on a controller."""
        of = self.world.volume_services if binary.startswith("cinder-") else self.world.services
        of.append(Service(binary, host, up=up, enabled=enabled, **more))

    def add_allocation(
        self, consumer: str, host: str, resources: dict[str, int], project: str = "p1"
    ) -> None:
        """Let a consumer that is no server of ours hold room on a host."""
        self.world.allocate(consumer, host, resources)
        self.world.holders[consumer] = (project, "u1")

    def add_endpoint(self, service: str, url: str, expires: float | None = None) -> None:
        """Add a public endpoint; with an expiry, in epoch seconds, it shows a certificate."""
        self.world.endpoints.append(Endpoint(service, "public", url))
        if expires is not None:
            self.world.certificates[url] = Certificate(f"CN={service}", "CN=CA", expires)

    def add_aggregate(
        self, name: str, *hosts: str, zone: str = "", metadata: dict[str, str] | None = None
    ) -> str:
        """Add a host aggregate and return its id; with a zone, its hosts are in that zone."""
        shown = {**({"availability_zone": zone} if zone else {}), **(metadata or {})}
        made = Aggregate(self.world.named_id(f"aggregate-{name}"), name, hosts, zone, shown)
        self.world.aggregates[made.id] = made
        for host in hosts:
            record = self.world.host(host)
            if zone:
                record.host = dataclasses.replace(record.host, availability_zone=zone)
        return made.id
