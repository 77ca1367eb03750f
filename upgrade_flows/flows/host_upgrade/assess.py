"""From an inventory to one action per host that needs something, and why others are left out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.flows.host_upgrade.rules import How, treat
from upgrade_flows.flows.host_upgrade.ways import Ways
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Host, Inventory, Server
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.plugins.base import HostPlugin

NAME = "host_upgrade"
WORKERS = 16

#: seconds for which a nova-compute that is not heard of may be so for a passing reason
PATIENCE_S = 120.0

#: seconds that a live migration takes besides its memory, and for each GiB of it; what a cold
#: one takes; and the guest's pause in either, where nothing was measured
LIVE_S, LIVE_S_PER_GIB, LIVE_PAUSE_S = 10, 8.0, 0.5
COLD_S, COLD_S_PER_GIB = 30, 10.0


def look(
    request: UpgradeRequest, inventory: Inventory, plugins: Any, tell: Callable[[str], None]
) -> Inventory:
    """Ask the hosts in scope what they run, and whether their upgrade would go through.

    A host that does not answer is in trouble; that is for ``assess`` to say.
    """
    options = Options.read(request.target.options)
    plugin = _plugin(plugins, options)
    plugin.check(options.settings)
    names = [host.name for host in _hosts(request, inventory)]
    facts: dict[str, dict[str, Any]] = {}
    troubles: dict[str, tuple[str, ...]] = {}

    def ask(name: str) -> None:
        try:
            seen = plugin.look(name, options.settings)
            facts[name] = seen
            if plugin.missing(options.settings, seen):
                troubles[name] = tuple(plugin.refusals(name, options.settings, seen))
        except errors.HostError as exc:
            troubles[name] = (str(exc),)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="look") as pool:
        for done, _ in enumerate(pool.map(ask, names), start=1):
            if done == len(names) or done % 100 == 0:
                tell(f"{done} of {len(names)} hosts looked at")
    return replace(inventory, facts=facts, troubles={k: v for k, v in troubles.items() if v})


def assess(request: UpgradeRequest, inventory: Inventory, plugins: Any) -> Assessment:
    """Work out one action for each host in scope that is not yet as it should be.

    :raises RequestError: an option is wrong, or a host does not exist.
    """
    options = Options.read(request.target.options)
    plugin = _plugin(plugins, options)
    plugin.check(options.settings)
    if options.placement and options.placement not in plugins.placement:
        known = ", ".join(sorted(plugins.placement))
        raise errors.RequestError(
            f"there is no placement policy {options.placement!r} (known: {known})"
        )
    actions: list[Action] = []
    findings: list[Finding] = []
    unchanged: list[str] = []
    hosts = _hosts(request, inventory)
    ways = Ways(inventory, plugins, hosts)
    for host in hosts:
        facts = inventory.facts.get(host.name)
        refused = _refusals(host, inventory)
        missing = [] if facts is None else plugin.missing(options.settings, facts)
        if facts is not None and not missing and options.reboot != "always":
            unchanged.append(host.name)
            continue
        instances = {s.id: (s, treat(s, options, ways.obstacles(s))) for s in _on(inventory, host)}
        refused += [
            _refused(
                "UF-HU-010", host.name,
                f"{server.name} ({server.id}) is in the way: {said.why}", said.remedy,
            )
            for server, said in instances.values()
            if said.how is How.REFUSE
        ]  # fmt: skip
        if refused:
            findings.extend(refused)
            continue
        findings += _remarks(host, instances)
        found = {key: ways.obstacles(server).live for key, (server, _) in instances.items()}
        obstacles = {key: why for key, why in found.items() if why}
        actions.append(_action(request, options, host, facts or {}, missing, instances, obstacles))
    return Assessment(tuple(actions), tuple(findings), tuple(unchanged))


def moved(cloud: Cloud, plugins: Any, action: Action) -> str | None:
    """Return what of a host is no longer as it was planned, or None.

    Instances may come and go; what counts is whether the host is in service as it was.
    """
    try:
        service = cloud.compute.service(action.subject)
    except errors.NotFound:
        return "the compute host does not exist any more"
    now = {"enabled": service.enabled, "reason": service.disabled_reason}
    then = {key: action.details["service"][key] for key in now}
    if now != then:
        return f"its service was {_said(then)} when it was planned, and is {_said(now)} now"
    if not _heard_of(cloud, action.subject):
        return "its nova-compute is down"
    return None


def _heard_of(cloud: Cloud, host: str) -> bool:
    """Whether a nova-compute is up, or is within a while: a message bus may have restarted."""
    try:
        wait.until(
            cloud.clock,
            f"nova-compute of {host} to be up",
            lambda: cloud.compute.service(host),
            lambda service: service.up,
            deadline_s=PATIENCE_S,
            first_s=1.0,
            most_s=5.0,
        )
    except errors.TimedOut:
        return False
    return True


def _hosts(request: UpgradeRequest, inventory: Inventory) -> list[Host]:
    """Return the hosts that are meant, each named: nothing else is ever touched.

    :raises RequestError: one does not exist, or none is named.
    """
    scope = request.scope
    if scope.servers or scope.projects:
        raise errors.RequestError("an upgrade of hosts is about hosts: name no servers or projects")
    if scope.everything:
        return sorted(inventory.hosts, key=lambda host: host.name)
    missing = sorted(name for name in set(scope.hosts) if inventory.host(name) is None)
    if missing:
        raise errors.RequestError(f"unknown compute hosts: {', '.join(missing)}")
    found = [inventory.host(name) for name in dict.fromkeys(scope.hosts)]
    return [host for host in found if host is not None]


def _plugin(plugins: Any, options: Options) -> HostPlugin:
    if options.plugin not in plugins.host:
        known = ", ".join(sorted(plugins.host)) or "none"
        raise errors.RequestError(f"there is no host plugin {options.plugin!r} (known: {known})")
    plugin: HostPlugin = plugins.host[options.plugin]
    return plugin


def _on(inventory: Inventory, host: Host) -> tuple[Server, ...]:
    return tuple(s for s in inventory.servers_on(host.name) if s.status != "SHELVED_OFFLOADED")


def _refusals(host: Host, inventory: Inventory) -> list[Finding]:
    found = [
        _refused("UF-HU-002", host.name, why, "see to it on the host, and plan anew")
        for why in inventory.troubles.get(host.name, ())
    ]
    if not host.up:
        remedy = f"start nova-compute on {host.name}, or leave the host out"
        found.append(_refused("UF-HU-001", host.name, "its nova-compute is down", remedy))
    if host.name not in inventory.facts and not found:
        found.append(_refused("UF-HU-002", host.name, "nothing is known of it", "plan anew"))
    return found


def _remarks(host: Host, instances: dict[str, tuple[Server, Any]]) -> list[Finding]:
    """Return what an operator should know of a host that is upgraded."""
    found = []
    if not host.enabled:
        said = f"it is disabled ({host.disabled_reason or 'no reason'}), and will be again"
        found.append(Finding("UF-HU-020", host.name, Severity.INFO, said))
    for server, treatment in instances.values():
        name = f"{server.name} ({server.id})"
        if treatment.how is How.POWEROFF:
            said = f"{name} is stopped while the host is out of service: {treatment.why}"
            found.append(Finding("UF-HU-021", host.name, Severity.WARNING, said))
        elif treatment.how is How.STAY:
            said = f"{name} stays: {treatment.why}"
            found.append(Finding("UF-HU-022", host.name, Severity.INFO, said))
        elif treatment.how is How.COLD and server.status == "ACTIVE":
            said = f"{name} is restarted on another host: {treatment.why or 'as is the rule'}"
            found.append(Finding("UF-HU-023", host.name, Severity.WARNING, said))
    return found


def _action(
    request: UpgradeRequest,
    options: Options,
    host: Host,
    facts: dict[str, Any],
    missing: list[str],
    instances: dict[str, tuple[Server, Any]],
    obstacles: dict[str, str],
) -> Action:
    service = {
        "enabled": host.enabled, "reason": host.disabled_reason, "az": host.availability_zone,
    }  # fmt: skip
    return Action(
        capability=NAME,
        subject=host.name,
        name=host.name,
        strategy="drain",
        because=tuple(missing),
        details={
            "host": host.name,
            "plugin": options.plugin,
            "settings": options.settings,
            "missing": missing,
            "service": service,
            "options": _carried_out(request, options),
            "instances": {
                key: _plain(server, said, options) for key, (server, said) in instances.items()
            },
            "obstacles": obstacles,
            "kernel": facts.get("kernel", ""),
        },
        digest=codec.digest(service),
    )


def _carried_out(request: UpgradeRequest, options: Options) -> dict[str, Any]:
    """Return the options for one host: its share of the migrations that there may be in all."""
    plain: dict[str, Any] = codec.to_plain(request.target.options)
    each, total = options.migrations_per_host, options.migrations_total
    share = max(1, min(each, total // request.rollout.at_a_time))
    return {**plain, "limits": {**plain.get("limits", {}), "migrations_per_host": share}}


def _plain(server: Server, said: Any, options: Options) -> dict[str, Any]:
    """Return what becomes of an instance, how long its move takes, and how long it pauses."""
    gib = server.flavor.memory_mb / 1024
    disk = server.resources["DISK_GB"]
    running = server.status == "ACTIVE"
    cold_s = COLD_S + COLD_S_PER_GIB * disk
    move_s, pause_s = {
        How.LIVE: (LIVE_S + LIVE_S_PER_GIB * gib, LIVE_PAUSE_S if running else 0.0),
        How.WAIT: (LIVE_S + LIVE_S_PER_GIB * gib, LIVE_PAUSE_S),
        How.COLD: (cold_s, cold_s if running else 0.0),
    }.get(said.how, (0.0, 0.0))
    stated = options.timings.get("move_s")
    return {
        "name": server.name,
        "how": str(said.how),
        "why": said.why,
        "move_s": max(1, round(stated if stated and move_s else move_s)),
        "pause_s": round(pause_s, 1),
    }


def _said(service: dict[str, Any]) -> str:
    if service["enabled"]:
        return "enabled"
    return f"disabled ({service['reason'] or 'no reason'})"


def _refused(number: str, host: str, message: str, remedy: str) -> Finding:
    return Finding(number, host, Severity.REFUSED, message, remedy)
