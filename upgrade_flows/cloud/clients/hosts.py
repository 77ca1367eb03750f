"""Nova's view of compute hosts: services, hypervisors and aggregates."""

from __future__ import annotations

import functools
import json
from typing import Any

from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter

from upgrade_flows import errors
from upgrade_flows.cloud.api import Aggregate, HostService, Hypervisor, Service
from upgrade_flows.cloud.clients import shapes
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, joined, pages, segment
from upgrade_flows.cloud.clients.nova import Nova
from upgrade_flows.model.inventory import Host

#: the last microversion in which a hypervisor shows its CPU
WITH_CPU = "2.87"


@translated("compute")
class Hosts(Nova):
    """Compute hosts."""

    def hosts(self) -> list[Host]:
        """Return the compute hosts."""
        return [shapes.host(item) for item in self._services()]

    def service(self, host: str) -> HostService:
        """Return the compute service of a host."""
        data = self._service(host)
        return HostService(
            host=data["host"],
            id=str(data["id"]),
            enabled=data.get("status") == "enabled",
            up=data.get("state") == "up",
            disabled_reason=data.get("disabled_reason") or None,
            forced_down=bool(data.get("forced_down")),
            availability_zone=data.get("zone") or "",
            updated=data.get("updated_at") or "",
        )

    def services(self) -> list[Service]:
        """Return all services of Nova."""
        return [shapes.service(item) for item in document(self._api, "/os-services")["services"]]

    def set_host_enabled(self, host: str, enabled: bool, reason: str | None = None) -> None:
        """Enable or disable the compute service of a host."""
        service_id = self._service(host)["id"]
        services = self._nova.services
        if enabled:
            services.enable(service_id)
        elif reason:
            services.disable_log_reason(service_id, reason)
        else:
            services.disable(service_id)

    def hypervisor(self, host: str) -> Hypervisor:
        """Return the hypervisor of a compute host; Nova asks the host itself for its uptime.

        Nova searches by a part of the hypervisor's own name, which as a rule begins like the
        host's; where it does not, all of them are read.
        """
        short = host.partition(".")[0]
        path = joined("/os-hypervisors/detail", hypervisor_hostname_pattern=short)
        try:
            found = document(self._with_cpu, path)["hypervisors"]
        except ksa.NotFound:
            found = []
        data = _of(host, found) or _of(host, self._hypervisors())
        if data is None:
            raise errors.NotFound(f"compute: compute host {host} has no hypervisor")
        path = f"/os-hypervisors/{segment(str(data['id']))}"
        uptime = document(self._api, path)["hypervisor"].get("uptime")
        return _hypervisor({**data, "uptime": uptime})

    def hypervisors(self) -> list[Hypervisor]:
        """Return the hypervisors of all compute hosts, without their uptimes."""
        return [_hypervisor(item) for item in self._hypervisors()]

    def aggregates(self) -> list[Aggregate]:
        """Return the host aggregates (their uuids: 2.41)."""
        return [
            Aggregate(
                id=str(item.get("uuid") or item["id"]),
                name=item.get("name") or "",
                hosts=tuple(item.get("hosts") or ()),
                availability_zone=item.get("availability_zone") or "",
                metadata=dict(item.get("metadata") or {}),
            )
            for item in document(self._api, "/os-aggregates")["aggregates"]
        ]

    @functools.cached_property
    def _with_cpu(self) -> Adapter:
        return self._connection.adapter("compute", default_microversion=WITH_CPU)

    def _hypervisors(self) -> list[dict[str, Any]]:
        return pages(self._with_cpu, "/os-hypervisors/detail", "hypervisors")

    def _service(self, host: str) -> dict[str, Any]:
        found = self._services(host)
        if not found:
            raise errors.NotFound(f"compute: there is no compute host {host}")
        return found[0]

    def _services(self, host: str | None = None) -> list[dict[str, Any]]:
        path = joined("/os-services", binary="nova-compute", host=host)
        return list(document(self._api, path)["services"])


def _of(host: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((item for item in found if item["service"]["host"] == host), None)


def _hypervisor(data: dict[str, Any]) -> Hypervisor:
    """Read a hypervisor; some drivers write what they know of the CPU as text."""
    cpu = data.get("cpu_info") or {}
    if isinstance(cpu, str):
        try:
            cpu = json.loads(cpu)
        except ValueError:
            cpu = {"model": cpu}
    return Hypervisor(
        host=data["service"]["host"],
        id=str(data["id"]),
        hostname=data.get("hypervisor_hostname") or "",
        kind=data.get("hypervisor_type") or "",
        version=int(data.get("hypervisor_version") or 0),
        cpu=dict(cpu),
        uptime=str(data.get("uptime") or "").strip(),
    )
