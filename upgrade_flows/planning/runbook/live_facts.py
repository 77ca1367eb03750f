"""What the commands of a live update's runbook are filled in with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from upgrade_flows.model.plan import Action
from upgrade_flows.planning.runbook.step import plain

#: the id of the new instance, which the human notes
NEW = '"$NEW"'


class Facts:
    """What the commands are filled in with, quoted for a shell; what lacks is left to the shell."""

    def __init__(self, action: Action) -> None:
        self._details = action.details
        self.server = shlex.quote(action.subject)
        self.name = shlex.quote(action.name or action.subject)
        self.surrogate = shlex.quote(f"{action.name or action.subject}-surrogate")
        self.way_back = shlex.quote(f"before-{action.subject}")
        self.boot_disk = shlex.quote(f"boot-{action.subject}")
        self.health = shlex.quote(f"health-{action.subject}")
        self.host = self.value("target_host", "TARGET_HOST")
        self.project = self.value("project_id", "PROJECT")
        self.flavor = self.value("flavor_id", "FLAVOR")
        self.network = self.value("health_network", "NETWORK")
        self.image = shlex.quote(str(self._details["image"])) if self._details.get("image") else ""
        self.root: Mapping[str, Any] = self._details.get("root") or {}
        self.update = bool(self._details.get("update")) and not self.image
        self.cold = self._details.get("cut") == "cold"
        self.restart = bool(self._details.get("restart"))
        self.volumes = [shlex.quote(str(one)) for one in self._details.get("volumes", ())]
        self.ports: Sequence[Mapping[str, Any]] = tuple(self._details.get("ports", ()))
        self.moves: Sequence[Mapping[str, Any]] = tuple(self._details.get("moves", ()))
        self.group = str(self._details.get("group") or "")
        self.key = str(self._details.get("key_name") or "")
        self.grace_s = float(self._details.get("grace_s", 0))
        workload = self._details.get("workload") or {}
        self.plugin = plain(str(workload.get("plugin") or "stateless"))
        self._settings: Mapping[str, Any] = workload.get("settings") or {}

    def value(self, key: str, otherwise: str) -> str:
        """Return a detail as a word of a shell."""
        found = self._details.get(key)
        return shlex.quote(str(found)) if found else f'"${otherwise}"'

    def told(self, where: str, otherwise: str) -> str:
        """Return as a comment of a shell what is done in a guest, by the plugin's settings."""
        said = plain(json.dumps(self._settings, sort_keys=True)) if self._settings else otherwise
        return f"# in the {where}: {said}"

    def probes(self, key: str) -> str:
        """Return what must answer (``ready`` or ``probes``), in words; empty for nothing."""
        return "; ".join(plain(said(probe)) for probe in self._details.get(key, ()))


def said(probe: Mapping[str, Any]) -> str:
    """Return a probe in words."""
    if "tcp" in probe:
        return f"port {probe['tcp']} takes connections"
    if "http" in probe:
        expect = f", and says {probe['expect']}" if probe.get("expect") else ""
        return f"http at port {probe.get('port', 80)}{probe['http']} answers{expect}"
    if "ssh" in probe:
        return f"by ssh, this succeeds: {probe['ssh']}"
    if "console" in probe:
        return f"the console shows {probe['console']}"
    return "cloud-init has done its work"
