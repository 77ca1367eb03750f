"""Neutron."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from keystoneauth1.adapter import Adapter

from upgrade_flows import errors
from upgrade_flows.cloud.api import PortBinding, Subnet
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, pages, segment
from upgrade_flows.cloud.clients.session import Connection
from upgrade_flows.model.inventory import Agent, FloatingIP, Port, Quota


@translated("network")
class Network:
    """``api.Network`` over Neutron's API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _api(self) -> Adapter:
        root = self._connection.root("network", "/v2.0")
        return self._connection.adapter("network", endpoint_override=f"{root}/v2.0")

    def ports(self, device_id: str | None = None, mac_address: str | None = None) -> list[Port]:
        """Return ports of all projects, filtered by Neutron."""
        query: dict[str, Any] = {"device_id": device_id, "mac_address": mac_address}
        return [_port(item) for item in pages(self._api, "/ports", "ports", **query)]

    def port(self, port_id: str) -> Port:
        """Return one port."""
        return _port(document(self._api, f"/ports/{segment(port_id)}")["port"])

    def find_ports(self, name: str) -> tuple[Port, ...]:
        """Return the ports of a name, in all projects."""
        return tuple(_port(item) for item in pages(self._api, "/ports", "ports", name=name))

    def create_port(self, like: Port) -> Port:
        """Create a free port; its tags are set by a second call."""
        answer = self._api.post("/ports", json={"port": _new_port(like)})
        made = _port(answer.json()["port"])
        if not like.tags:
            return made
        self._api.put(f"/ports/{segment(made.id)}/tags", json={"tags": list(like.tags)})
        return dataclasses.replace(made, tags=like.tags)

    def delete_port(self, port_id: str) -> None:
        """Delete a port."""
        self._api.delete(f"/ports/{segment(port_id)}")

    def bind(self, port_id: str, host: str) -> Port:
        """Bind a port to a host; its binding profile is left as it is."""
        return _port(self._update(port_id, {"binding:host_id": host}).json()["port"])

    def unbind(self, port_id: str) -> None:
        """Take a port's binding away."""
        self._update(port_id, {"binding:host_id": ""})

    def set_owner(self, port_id: str, device_id: str, device_owner: str) -> None:
        """Say which device holds a port; empty strings set it free."""
        self._update(port_id, {"device_id": device_id, "device_owner": device_owner})

    def set_dns_name(self, port_id: str, dns_name: str) -> None:
        """Set the DNS name of a port."""
        self._update(port_id, {"dns_name": dns_name})

    def bindings(self, port_id: str) -> tuple[PortBinding, ...]:
        """Return the bindings of a port, the ACTIVE one first."""
        found = document(self._api, f"/ports/{segment(port_id)}/bindings")["bindings"]
        bindings = [_binding(item) for item in found if item.get("host")]
        return tuple(sorted(bindings, key=lambda one: (not one.active, one.host)))

    def delete_binding(self, port_id: str, host: str) -> None:
        """Delete a port's INACTIVE binding on a host; the status is looked at before."""
        found = [one for one in self.bindings(port_id) if one.host == host]
        if not found:
            raise errors.NotFound(f"network: port {port_id} has no binding on {host}")
        if found[0].active:
            raise errors.Conflict(f"network: the binding of port {port_id} on {host} is ACTIVE")
        self._api.delete(f"/ports/{segment(port_id)}/bindings/{segment(host)}")

    def floating_ips(self, port_id: str | None = None) -> list[FloatingIP]:
        """Return floating IPs of all projects, or those of one port."""
        return [
            FloatingIP(
                id=item["id"],
                address=item["floating_ip_address"],
                port_id=item.get("port_id") or None,
                fixed_address=item.get("fixed_ip_address") or None,
            )
            for item in pages(self._api, "/floatingips", "floatingips", port_id=port_id)
        ]

    def associate(
        self, floating_ip_id: str, port_id: str, fixed_address: str | None = None
    ) -> None:
        """Let a floating IP lead to a port."""
        change = {"port_id": port_id, "fixed_ip_address": fixed_address}
        body = {"floatingip": {name: value for name, value in change.items() if value}}
        self._api.put(f"/floatingips/{segment(floating_ip_id)}", json=body)

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project; what is reserved counts as used."""
        found = document(self._api, f"/quotas/{segment(project_id)}/details")["quota"]["port"]
        return Quota(
            limits={"ports": int(found["limit"])},
            used={"ports": int(found.get("used") or 0) + int(found.get("reserved") or 0)},
        )

    def agents(self) -> list[Agent]:
        """Return all agents."""
        return [
            Agent(
                id=item["id"],
                agent_type=item["agent_type"],
                host=item.get("host") or "",
                alive=bool(item.get("alive")),
                configurations=dict(item.get("configurations") or {}),
            )
            for item in pages(self._api, "/agents", "agents")
        ]

    def networks(self) -> list[str]:
        """Return the ids of all networks."""
        found = pages(self._api, "/networks", "networks", fields="id")
        return [str(item["id"]) for item in found]

    def subnet(self, subnet_id: str) -> Subnet:
        """Return one subnet."""
        found = document(self._api, f"/subnets/{segment(subnet_id)}")["subnet"]
        return Subnet(found["id"], found["cidr"], found.get("gateway_ip") or "")

    def _update(self, port_id: str, change: dict[str, Any]) -> Any:
        return self._api.put(f"/ports/{segment(port_id)}", json={"port": change})


def _binding(data: dict[str, Any]) -> PortBinding:
    return PortBinding(
        host=data["host"],
        active=data.get("status") == "ACTIVE",
        vif_type=data.get("vif_type") or "",
        vif_details=dict(data.get("vif_details") or {}),
        vnic_type=data.get("vnic_type") or "normal",
        profile=dict(data.get("profile") or {}),
    )


def _new_port(like: Port) -> dict[str, Any]:
    """Return what is sent to make a port: nothing of an extension that it does not use."""
    body: dict[str, Any] = {
        "network_id": like.network_id,
        "name": like.name,
        "description": like.description,
        "admin_state_up": like.admin_state_up,
        "security_groups": list(like.security_groups),
    }
    optional = {
        "project_id": like.project_id,
        "mac_address": like.mac_address,
        "fixed_ips": [
            {"subnet_id": subnet, "ip_address": address} for subnet, address in like.fixed_ips
        ],
        "allowed_address_pairs": list(like.allowed_address_pairs),
        "qos_policy_id": like.qos_policy_id,
        "dns_name": like.dns_name,
        "extra_dhcp_opts": list(like.extra_dhcp_opts),
        "binding:vnic_type": like.vnic_type if like.vnic_type != "normal" else "",
    }
    body.update({name: value for name, value in optional.items() if value})
    if not like.port_security_enabled:
        body["port_security_enabled"] = False
    return body


def _port(data: dict[str, Any]) -> Port:
    """Read a port; what belongs to an extension that is off has its default."""
    secure = data.get("port_security_enabled")
    return Port(
        id=data["id"],
        network_id=data["network_id"],
        mac_address=data["mac_address"],
        project_id=data.get("project_id") or data.get("tenant_id") or "",
        name=data.get("name") or "",
        description=data.get("description") or "",
        status=data.get("status") or "DOWN",
        admin_state_up=bool(data.get("admin_state_up", True)),
        device_id=data.get("device_id") or "",
        device_owner=data.get("device_owner") or "",
        fixed_ips=tuple(
            (ip.get("subnet_id") or "", ip["ip_address"]) for ip in data.get("fixed_ips") or []
        ),
        security_groups=tuple(data.get("security_groups") or ()),
        allowed_address_pairs=tuple(data.get("allowed_address_pairs") or ()),
        port_security_enabled=True if secure is None else bool(secure),
        qos_policy_id=data.get("qos_policy_id") or None,
        dns_name=data.get("dns_name") or "",
        extra_dhcp_opts=tuple(data.get("extra_dhcp_opts") or ()),
        tags=tuple(data.get("tags") or ()),
        trunk_id=(data.get("trunk_details") or {}).get("trunk_id"),
        binding_host=data.get("binding:host_id") or "",
        vnic_type=data.get("binding:vnic_type") or "normal",
        vif_type=data.get("binding:vif_type") or "unbound",
        vif_details=dict(data.get("binding:vif_details") or {}),
        binding_profile=dict(data.get("binding:profile") or {}),
    )
