"""Reads a cloud into an ``Inventory``, in calls that grow with pages and hosts, not instances."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.model.inventory import Agent, Host, Inventory, Quota, Server
from upgrade_flows.model.request import Scope

LOG = logging.getLogger(__name__)
WORKERS = 8
_L2 = ("open vswitch", "ovs", "ovn", "linux bridge", "macvtap", "nic switch", "l2")
_PREFERRED = ("open vswitch", "ovs", "ovn")

Progress = Callable[[str], None]


def collect(
    cloud: Cloud,
    scope: Scope,
    progress: Progress | None = None,
    traits: bool = False,
    all_quotas: bool = False,
) -> Inventory:
    """Read everything that planning looks at.

    Servers, ports and volumes of the whole cloud are listed, for groups, capacity and ports
    need them; quotas and keypairs only of the projects and users of the servers in scope.

    :param progress: is told what has been read, a line at a time, from one thread.
    :param traits: read the traits of every host as well, if a flavor in use asks for one.
    :param all_quotas: read the quotas of disks and ports as well, not of instances only.
    :raises CloudError: a listing failed; without Heat, or quotas of disks and ports, one simply
        knows less.
    :raises RequestError: the scope names what does not exist.
    """
    tell = progress or (lambda _: None)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="collect") as pool:
        listed = _all(pool, _listings(cloud), tell)
        hosts = _with_agents(listed.pop("hosts"), listed.pop("agents"))
        inventory = Inventory(
            cloud_id=cloud.id,
            taken_at=_moment(cloud.clock.time()),
            hosts=hosts,
            **listed,
        )
        chosen = select(inventory, scope)
        projects = sorted({server.project_id for server in chosen if server.project_id})
        users = sorted({server.owner_id for server in chosen if server.owner_id})
        quotas = pool.map(lambda project: _quota(cloud, project, all_quotas), projects)
        keypairs = pool.map(cloud.compute.keypairs, users)
        closed = cloud.projects_without_us(set(projects))
        managed = _managed(cloud, set(projects) - closed)
        of_hosts = _traits(pool, cloud, inventory, tell) if traits else {}
        tell(f"quotas of {len(projects)} projects, keypairs of {len(users)} users")
        return dataclasses.replace(
            inventory,
            quotas=dict(zip(projects, quotas, strict=True)),
            keypairs=dict(zip(users, keypairs, strict=True)),
            managed=managed,
            closed_projects=tuple(sorted(closed)),
            traits=of_hosts,
        )


def select(inventory: Inventory, scope: Scope) -> tuple[Server, ...]:
    """Return the servers that a scope means, in the inventory's order.

    :raises RequestError: a server, host or project that it names is unknown, or a name is that
        of several servers.
    """
    scope.check()
    named = _named(inventory, scope.servers)
    unknown = sorted(set(scope.hosts) - {host.name for host in inventory.hosts})
    if unknown:
        raise errors.RequestError(f"unknown compute hosts: {', '.join(unknown)}")
    return tuple(
        server
        for server in inventory.servers
        if (not scope.servers or server.id in named)
        and (not scope.hosts or server.host in scope.hosts)
        and (not scope.projects or server.project_id in scope.projects)
    )


def _named(inventory: Inventory, wanted: tuple[str, ...]) -> set[str]:
    """Return the ids of servers that are given by id or name; all complaints at once."""
    if not wanted:
        return set()
    ids = {server.id for server in inventory.servers}
    by_name: dict[str, list[str]] = {}
    for server in inventory.servers:
        by_name.setdefault(server.name, []).append(server.id)
    found: set[str] = set()
    complaints: list[str] = []
    unknown = [name for name in wanted if name not in ids and name not in by_name]
    if unknown:
        complaints.append(f"unknown servers: {', '.join(unknown)}")
    for name in wanted:
        if name in ids:
            found.add(name)
        elif len(by_name.get(name, ())) > 1:
            complaints.append(f"several servers are called {name}: {', '.join(by_name[name])}")
        else:
            found.update(by_name.get(name, ()))
    if complaints:
        raise errors.RequestError("; ".join(complaints))
    return found


def _listings(cloud: Cloud) -> dict[str, Callable[[], Any]]:
    """Return what to read, by field of the inventory; the slowest first."""

    def listing(call: Callable[[], Iterable[Any]]) -> Callable[[], tuple[Any, ...]]:
        return lambda: tuple(call())

    return {
        "servers": listing(cloud.compute.servers),
        "ports": listing(cloud.network.ports),
        "volumes": listing(cloud.volumes.volumes),
        "rooms": cloud.placement.rooms,
        "images": listing(cloud.images.images),
        "flavors": listing(cloud.compute.flavors),
        "networks": listing(cloud.network.networks),
        "hosts": listing(cloud.compute.hosts),
        "agents": listing(cloud.network.agents),
        "aggregates": listing(cloud.compute.aggregates),
        "groups": listing(cloud.compute.groups),
        "floating_ips": listing(cloud.network.floating_ips),
    }


def _traits(
    pool: ThreadPoolExecutor, cloud: Cloud, inventory: Inventory, tell: Progress
) -> dict[str, tuple[str, ...]]:
    """Return the traits of each host and its parts; several calls for each host."""
    keys = (key for server in inventory.servers for key in server.flavor.extra_specs)
    if not any(key.startswith("trait") for key in keys):
        return {}
    names = [host.name for host in inventory.hosts if host.name in inventory.rooms]
    found = pool.map(cloud.placement.providers, names)
    tell(f"traits of {len(names)} hosts")
    return {
        name: tuple(sorted({trait for provider in providers for trait in provider.traits}))
        for name, providers in zip(names, found, strict=True)
    }


def _quota(cloud: Cloud, project: str, whole: bool) -> Quota:
    """Return the quota of a project, with disks and ports if it is to be whole."""
    found = [cloud.compute.quota(project)]
    for ask in (cloud.volumes.quota, cloud.network.quota) if whole else ():
        try:
            found.append(ask(project))
        except errors.CloudError as exc:
            LOG.warning("the quota of project %s is not known whole: %s", project, exc)
    return Quota(
        {kind: most for one in found for kind, most in one.limits.items()},
        {kind: used for one in found for kind, used in one.used.items()},
    )


def _managed(cloud: Cloud, projects: set[str]) -> dict[str, str]:
    try:
        return cloud.orchestration.managed_servers(projects)
    except errors.CloudError as exc:
        LOG.warning("who manages which server is not known: %s", exc)
        return {}


def _all(
    pool: ThreadPoolExecutor, calls: dict[str, Callable[[], Any]], tell: Progress
) -> dict[str, Any]:
    """Make all calls at once; the first failure cancels those that have not begun."""
    futures: dict[str, Future[Any]] = {name: pool.submit(call) for name, call in calls.items()}
    _, pending = wait(futures.values(), return_when=FIRST_EXCEPTION)
    for future in pending:
        future.cancel()
    failed = [f for f in futures.values() if f.done() and not f.cancelled() and f.exception()]
    if failed:
        failed[0].result()
    results = {name: future.result() for name, future in futures.items()}
    for name, result in results.items():
        tell(f"{len(result)} {name.replace('_', ' ')}")
    return results


def _with_agents(hosts: tuple[Host, ...], agents: tuple[Agent, ...]) -> tuple[Host, ...]:
    """Join each host with its L2 agent; Open vSwitch and OVN go before others."""
    best: dict[str, Agent] = {}
    for agent in sorted(agents, key=lambda a: (a.host, not _is(a, _PREFERRED), not a.alive, a.id)):
        if _is(agent, _L2):
            best.setdefault(agent.host, agent)
    return tuple(dataclasses.replace(host, agent=best.get(host.name)) for host in hosts)


def _is(agent: Agent, kinds: tuple[str, ...]) -> bool:
    kind = agent.agent_type.lower()
    return any(word in kind for word in kinds) and "metadata" not in kind


def _moment(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
