"""Make facts, as plain JSON, of what the script ``look`` said."""

from __future__ import annotations

import base64
import re
from typing import Any

from upgrade_flows.errors import HostError
from upgrade_flows.plugins.host import lines, scripts
from upgrade_flows.plugins.host.wanted import LATEST, Wanted

PROGRAMS = {
    "qemu-system-x86_64": "qemu",
    "qemu-system-aarch64": "qemu",
    "libvirtd": "libvirt",
    "virtqemud": "libvirt",
    "ovs-vswitchd": "openvswitch",
}


def question(wanted: Wanted) -> str:
    """Return the script that says what is to be known of a host."""
    arguments = [f"m={wanted.manager}"]
    for name, version in wanted.packages.items():
        arguments.append(f"{'c' if version == LATEST else 'p'}={name}")
    arguments += [f"p={name}" for name in wanted.remove]
    arguments += [f"f={path}" for path in wanted.paths()]
    if wanted.source:
        arguments += [f"f={wanted.source.path(manager)}" for manager in wanted.managers()]
    return scripts.script("look", arguments)


def answer(host: str, said: str, wanted: Wanted) -> dict[str, Any]:
    """Return the facts of a host.

    :raises HostError: it did not say which boot this is.
    """
    facts: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    memory: dict[str, int] = {}
    for key, *parts in scripts.lines(host, said):
        if key == "file":
            files[parts[0]] = base64.b64decode(parts[1])
        elif key == "memory":
            memory[parts[0].rstrip(":")] = _number(parts[1])
        else:
            _take(facts, key, parts)
    if not facts.get("boot_id"):
        raise HostError(f"{host}: does not say which boot this is (boot_id)")
    share = _memory_utilization(memory)
    if share is not None:
        facts["memory_utilization"] = share
    if "kernels" in facts:
        facts["kernels"].sort(key=_natural)
        facts["newest_kernel"] = facts["kernels"][-1]
    if wanted.lines:
        facts["lines"] = [
            {"path": line.path, "line": line.line, "now": lines.found(files.get(line.path), line)}
            for line in wanted.lines
        ]
    manager = facts.get("manager")
    if wanted.source and manager:
        now = files.get(wanted.source.path(manager))
        same = now is not None and now.strip() == wanted.source.content.strip()
        facts["source"] = "in place" if same else "absent" if now is None else "differs"
    return facts


def _take(facts: dict[str, Any], key: str, parts: list[str]) -> None:
    match key, parts:
        case (("manager" | "boot_id" | "kernel"), [value]):
            facts[key] = value
        case "os", [value]:
            facts["os"] = value.strip("\"'")
        case "uptime", [value]:
            facts["uptime_s"] = float(value.split()[0])
        case (("kernels" | "headers"), [release]):
            facts.setdefault(key, []).append(release)
        case "package", [name, version]:
            facts.setdefault("packages", {})[name] = version
        case "candidate", [name, version] if version:
            facts.setdefault("candidates", {})[name] = version
        case "no_way_back", [name, version]:
            facts.setdefault("no_way_back", {})[name] = version
        case "large", [path, size]:
            facts.setdefault("too_large", {})[path] = int(size)
        case "dkms", [line]:
            _module(facts.setdefault("modules", {}), line)
        case (("hugepages" | "vfs"), [name, number]):
            facts.setdefault(key, {})[name] = _number(number)
        case "synchronized", [value] if value in ("yes", "no"):
            facts["time_synchronized"] = facts.get("time_synchronized") or value == "yes"
        case "leap", [value] if value:
            normal = value != "Not synchronised"
            facts["time_synchronized"] = facts.get("time_synchronized") or normal
        case "version", [program, said]:
            found = re.search(r"\d+(\.\d+)+", said)
            if found:
                facts.setdefault("versions", {})[PROGRAMS[program]] = found[0]
        case "reboot_required", _:
            facts["reboot_required"] = True
        case "processor", [before, after]:
            share = _processor_utilization(before, after)
            if share is not None:
                facts["cpu_utilization"] = share


def _module(modules: dict[str, list[str]], line: str) -> None:
    """Note what a line of ``dkms status`` says: ``zfs/2.1.11, 6.1.0-18-amd64, x86_64: installed``.

    Older versions of DKMS put a comma between the module and its version.
    """
    names, _, state = line.partition(":")
    name, *rest = [part.strip() for part in re.split(r"[,/]", names)]
    built = modules.setdefault(name, [])
    if len(rest) >= 3 and state.strip().startswith(("installed", "built")):
        built.append(rest[-2])


def _processor_utilization(before: str, after: str) -> float | None:
    one, two = ([int(number) for number in said.split()[:8]] for said in (before, after))
    spent = [late - early for early, late in zip(one, two, strict=False)]
    if len(spent) < 5 or sum(spent) <= 0:
        return None
    return round(min(1.0, max(0.0, 1 - (spent[3] + spent[4]) / sum(spent))), 3)


def _memory_utilization(memory: dict[str, int]) -> float | None:
    """Return the share of memory in use; huge pages that nobody uses count as free."""
    if not memory.get("MemTotal") or "MemAvailable" not in memory:
        return None
    free = memory["MemAvailable"]
    free += memory.get("HugePages_Free", 0) * memory.get("Hugepagesize", 0)
    return round(min(1.0, max(0.0, 1 - free / memory["MemTotal"])), 3)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _natural(release: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", release)
    ]
