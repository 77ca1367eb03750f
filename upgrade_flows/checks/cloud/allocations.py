"""Placement against Nova: room that nobody uses, and servers that hold none."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows import errors
from upgrade_flows.checks.base import Check, Sources
from upgrade_flows.checks.cloud.reading import OPEN, concurrently, migrations, servers
from upgrade_flows.model.check import Rule
from upgrade_flows.model.inventory import Server
from upgrade_flows.model.report import Finding, Severity

#: the project in whose name upgrade-flows holds room
OURS = "upgrade-flows"

ORPHAN = Rule(
    "UF-CL-020",
    "room is held for something that does not exist",
    Severity.WARNING,
    "The scheduler takes the host for fuller than it is. While hosts are emptied one after the"
    " other that room is missed, and a host whose provider holds allocations cannot be deleted.",
    "nova-manage placement audit --verbose, then again with --delete",
)
MISSING = Rule(
    "UF-CL-021",
    "a server on a host holds no room there",
    Severity.ERROR,
    "The scheduler puts others where it is: the host is overcommitted, and nobody knows.",
    "nova-manage placement heal_allocations --instance SERVER",
)
ELSEWHERE = Rule(
    "UF-CL-022",
    "a server holds room on a host where it is not",
    Severity.WARNING,
    "It is left from a migration that failed. The room is missed there, and the next migration to"
    " that host may be refused.",
    "nova-manage placement audit --verbose, then again with --delete",
)


class Allocations(Check):
    """Compares who holds what in Placement with the servers and migrations of Nova."""

    area = "cloud"
    title = "allocations in Placement"
    rules = (ORPHAN, MISSING, ELSEWHERE)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Compare the listings, then look once more at each that seems wrong."""
        holdings = sources.cloud.placement.holdings()
        known = servers(sources)
        moving = {one.id for one in migrations(sources, OPEN)}
        moved = {one.server_id for one in migrations(sources, OPEN)}
        holders: set[str] = set()
        orphans: dict[str, list[str]] = {}
        elsewhere: list[tuple[str, str]] = []
        for host, consumers in holdings.items():
            for consumer in consumers:
                holders.add(consumer)
                server = known.get(consumer)
                if server is None:
                    if consumer not in moving:
                        orphans.setdefault(consumer, []).append(host)
                elif _settled(server, moved) and _strange(host, server):
                    elsewhere.append((consumer, host))
        missing = [
            server.id
            for server in known.values()
            if server.id not in holders
            and _settled(server, moved)
            and server.status not in ("BUILD", "ERROR", "UNKNOWN")
        ]
        yield from _orphans(sources, orphans)
        yield from _missing(sources, missing)
        yield from _elsewhere(sources, elsewhere)


def _settled(server: Server, moved: set[str]) -> bool:
    """Whether a server is on a host, and stays there for the time being."""
    return bool(server.host) and not server.task_state and server.id not in moved


def _strange(host: str, server: Server) -> bool:
    """Whether a provider is not of a server's host: providers bear the hypervisor's name."""
    return host not in (server.host, server.hypervisor_hostname)


def _orphans(sources: Sources, found: dict[str, list[str]]) -> Iterable[Finding]:
    cloud = sources.cloud

    def still(consumer: str) -> bool:
        holder = cloud.placement.holder(consumer)
        if holder is None or holder[0] == OURS:
            return False
        try:
            cloud.compute.server(consumer)
        except errors.NotFound:
            return True
        return False

    names = sorted(found)
    for consumer, gone in zip(names, concurrently(still, names), strict=True):
        if gone:
            hosts = sorted(found[consumer])
            yield ORPHAN.found(
                consumer,
                f"{consumer} is no server and no migration, and holds room on {', '.join(hosts)}",
                "nova-manage placement audit --verbose (again with --delete), or"
                f" openstack resource provider allocation delete {consumer}",
                hosts=hosts,
            )


def _missing(sources: Sources, found: list[str]) -> Iterable[Finding]:
    cloud = sources.cloud

    def still(server_id: str) -> bool:
        try:
            return bool(cloud.compute.server(server_id).host) and not cloud.placement.allocations(
                server_id
            )
        except errors.NotFound:
            return False

    known = servers(sources)
    for server_id, bare in zip(found, concurrently(still, found), strict=True):
        if bare:
            server = known[server_id]
            yield MISSING.found(
                server_id,
                f"{server.name} on {server.host} holds no room in Placement",
                f"nova-manage placement heal_allocations --instance {server_id}",
                name=server.name,
                host=server.host,
            )


def _elsewhere(sources: Sources, found: list[tuple[str, str]]) -> Iterable[Finding]:
    cloud = sources.cloud

    def still(pair: tuple[str, str]) -> bool:
        server_id, host = pair
        try:
            server = cloud.compute.server(server_id)
            again = cloud.placement.consumers(host)
        except errors.NotFound:
            return False
        return _strange(host, server) and not server.task_state and server_id in again

    known = servers(sources)
    for (server_id, host), left in zip(found, concurrently(still, found), strict=True):
        if left:
            server = known[server_id]
            yield ELSEWHERE.found(
                f"{server_id} {host}",
                f"{server.name} is on {server.host}, and holds room on {host}",
                name=server.name,
                host=server.host,
                holds_on=host,
            )
