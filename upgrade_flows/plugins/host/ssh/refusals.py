"""Why an upgrade of a host by its package manager would fail."""

from __future__ import annotations

from typing import Any

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.host import kernels, scripts
from upgrade_flows.plugins.host.lines import LONGEST_FILE
from upgrade_flows.plugins.host.ssh.connection import Machine
from upgrade_flows.plugins.host.wanted import LATEST, Wanted, is_version

#: room, in KiB, that has to be free where packages and kernels are put
ROOM = 500 * 1024

REFUSE_S = 600.0


def refusals(machine: Machine, facts: dict[str, Any]) -> list[str]:
    """Ask a host what stands in the way; nothing is changed."""
    wanted, host = machine.settings.wanted, machine.host
    said = [
        f"{host}: {path} has {size} bytes; {LONGEST_FILE} are the most for a file of configuration"
        for path, size in facts.get("too_large", {}).items()
    ]
    manager = facts.get("manager", "")
    if wanted.touches_packages and not manager:
        return [*said, f"{host}: has neither apt-get nor dnf"]
    try:
        rows = _ask(machine, manager if wanted.touches_packages else "", facts)
    except HostUnreachable:
        raise
    except HostError as exc:
        return [*said, str(exc)]
    coming = {parts[0] for key, *parts in rows if key == "Inst"}
    going = {parts[0] for key, *parts in rows if key == "Remv"}
    for key, *parts in rows:
        said += _said(host, wanted, facts, key, parts)
    lost = sorted(name for name in going if name.partition(":")[0] not in wanted.remove)
    if lost:
        said.append(f"{host}: {', '.join(lost)} would be removed as well")
    return said + kernels.without_headers(host, wanted, facts, coming)


def _ask(machine: Machine, manager: str, facts: dict[str, Any]) -> list[list[str]]:
    wanted = machine.settings.wanted
    source, content = "", b""
    if manager and wanted.source and facts.get("source") != "in place":
        source, content = wanted.source.path(manager), wanted.source.content
    arguments = [manager, source]
    for name, version in wanted.packages.items():
        has = facts.get("packages", {}).get(name, "")
        if version == LATEST or (not version and not has):
            arguments.append(f"i={name}")
        elif version and not is_version(has, version, manager):
            arguments.append(f"i={name}={version}")
    arguments += [f"r={name}" for name in wanted.remove if name in facts.get("packages", {})]
    script = scripts.script("refuse", arguments, content)
    return scripts.lines(machine.host, machine.run("looking for refusals", script, REFUSE_S))


def _said(
    host: str, wanted: Wanted, facts: dict[str, Any], key: str, parts: list[str]
) -> list[str]:
    match key, parts:
        case "user", [number] if number != "0":
            return [f"{host}: the user of the login is not root; set sudo"]
        case "free", [folder, free] if wanted.touches_packages and free.isdigit():
            if int(free) < ROOM:
                return [f"{host}: {folder} has {int(free) // 1024} MiB free, 500 are needed"]
        case "source_fails", [why]:
            return [f"{host}: package source {_source(wanted)} cannot be read: {why.strip()}"]
        case "simulation_fails", [why]:
            return [
                f"{host}: the package manager refuses, by the package lists that the host has now:"
                f" {why.strip()}"
            ]
        case "unavailable", [spec, why]:
            return [f"{host}: no package source has {spec} {why}".rstrip()]
        case "held", [name] if name in wanted.packages or name in wanted.remove:
            if _differs(wanted, facts, name):
                return [f"{host}: package {name} is held: apt-mark unhold {name}"]
        case "interrupted", _:
            return [f"{host}: an installation was interrupted: dpkg --configure -a"]
    return []


def _source(wanted: Wanted) -> str:
    return wanted.source.name if wanted.source else ""


def _differs(wanted: Wanted, facts: dict[str, Any], name: str) -> bool:
    has = facts.get("packages", {}).get(name, "")
    version = wanted.packages.get(name, LATEST)
    if version == LATEST:
        return bool(facts.get("candidates", {}).get(name) != has)
    return not has or bool(version and not is_version(has, version, facts.get("manager", "")))
