"""Services and agents that are down: they are not upgraded, and hold versions back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upgrade_flows.checks.base import Check, Sources, each
from upgrade_flows.cloud.api import Service
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

COMPUTE = Rule(
    "UF-CL-001",
    "a nova-compute is down, though it is enabled",
    Severity.ERROR,
    "Its instances can be neither migrated nor stopped, and it is not upgraded with the others; its"
    " record keeps upgrade_levels=auto at its version.",
    "Start it, or look at its log on the host.",
)
CONTROL = Rule(
    "UF-CL-002",
    "a service of Nova or Cinder is down, though it is enabled",
    Severity.ERROR,
    "Whoever is left does its work; during a rolling upgrade of the control plane that may be"
    " nobody. If the host is gone, its record holds the versions back for good.",
    "Start it, or delete its record if the host is gone.",
)
AGENT = Rule(
    "UF-CL-003",
    "an agent of Neutron is not alive",
    Severity.ERROR,
    "Ports cannot be bound on its host, so nothing can be migrated or started there.",
    "Start it, or delete it if the host is gone: openstack network agent delete AGENT",
)
STALE = Rule(
    "UF-CL-004",
    "a service is disabled and down",
    Severity.WARNING,
    "It may be a host in repair, or the record of one that does not exist any more: that one keeps"
    " upgrade_levels=auto at its version, and migrations of its release from being removed.",
    "If the host is gone, delete its record: openstack compute service delete ID",
)


class Services(Check):
    """Looks at the services of Nova and Cinder."""

    area = "cloud"
    title = "services of Nova and Cinder"
    rules = (COMPUTE, CONTROL, STALE)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read both listings; one that fails does not hide the other."""
        cloud = sources.cloud
        return each(
            (cloud.compute.services, cloud.volumes.services),
            lambda read: [one for service in read() for one in look(service)],
        )


def look(service: Service) -> Iterable[Finding]:
    """Return what is wrong with one service."""
    if service.up:
        return
    subject = f"{service.binary} {service.host}"
    forced = ", forced down" if service.forced_down else ""
    since = f"; it was last heard of at {service.updated}" if service.updated else ""
    said: dict[str, Any] = {
        "updated": service.updated,
        "zone": service.zone,
        "forced_down": service.forced_down,
    }
    if not service.enabled:
        reason = service.disabled_reason or "without a reason"
        message = f"{subject} is disabled ({reason}) and down{forced}{since}"
        yield STALE.found(subject, message, _deletion(service), **said)
        return
    rule = COMPUTE if service.binary == "nova-compute" else CONTROL
    yield rule.found(subject, f"{subject} is enabled and down{forced}{since}", **said)


def _deletion(service: Service) -> str:
    if service.binary.startswith("cinder-"):
        remove = f"cinder-manage service remove {service.binary} {service.host}"
    else:
        remove = (
            f"openstack compute service list --host {service.host}, then"
            " openstack compute service delete ID"
        )
    return f"If the host is gone: {remove}"


class Agents(Check):
    """Looks at the agents of Neutron."""

    area = "cloud"
    title = "agents of Neutron"
    rules = (AGENT,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the agents."""
        for agent in sources.cloud.network.agents():
            if not agent.alive:
                yield AGENT.found(
                    f"{agent.agent_type} {agent.host}",
                    f"the {agent.agent_type} of {agent.host} is not alive",
                    f"Start it, or if the host is gone: openstack network agent delete {agent.id}",
                    agent=agent.id,
                )
