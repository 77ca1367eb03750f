"""INACTIVE port bindings that migrations have left behind."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows import errors
from upgrade_flows.checks.base import Check, Sources
from upgrade_flows.checks.cloud.reading import (
    BROKEN,
    OPEN,
    concurrently,
    migrations,
    servers,
)
from upgrade_flows.cloud.api import PortBinding
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

LEFT = Rule(
    "UF-CL-030",
    "a port has an INACTIVE binding of no migration",
    Severity.WARNING,
    "A migration that failed has left it. The next one to that host is refused, because the port"
    " seems to be bound there already.",
    "Delete it: openstack has no command for it, the API has DELETE /v2.0/ports/PORT/bindings/HOST",
)


class Bindings(Check):
    """Looks at the ports of servers whose migrations have not ended well.

    Only these can have such bindings, and Neutron shows them port by port.
    """

    area = "cloud"
    title = "port bindings left by migrations"
    rules = (LEFT,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the bindings of the ports of these servers."""
        cloud, known = sources.cloud, servers(sources)
        moving = {one.server_id for one in migrations(sources, OPEN)}
        failed = {one.server_id for one in migrations(sources, BROKEN)}
        wanted = sorted((failed & set(known)) - moving)

        def look(server_id: str) -> list[Finding]:
            return [
                _finding(port.id, binding.host, server_id, known[server_id].name)
                for port in cloud.network.ports(device_id=server_id)
                for binding in _bindings(sources, port.id)
                if not binding.active
            ]

        found = [one for findings in concurrently(look, wanted) for one in findings]
        # what has begun to move meanwhile has them for a reason
        again = {one.server_id for status in OPEN for one in cloud.compute.migrations_in(status)}
        return [one for one in found if one.evidence["server"] not in again]


def _bindings(sources: Sources, port_id: str) -> list[PortBinding]:
    try:
        return list(sources.cloud.network.bindings(port_id))
    except errors.NotFound:
        return []


def _finding(port_id: str, host: str, server_id: str, name: str) -> Finding:
    return LEFT.found(
        f"{port_id} {host}",
        f"port {port_id} of {name} has an INACTIVE binding on {host}",
        f"DELETE /v2.0/ports/{port_id}/bindings/{host} of Neutron's API",
        server=server_id,
        host=host,
    )
