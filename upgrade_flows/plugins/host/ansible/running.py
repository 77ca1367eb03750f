"""Run playbooks by ansible-runner, each for one host, and say what came of it."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrade_flows.errors import HostError, HostUnreachable, PluginError
from upgrade_flows.plugins.host.ansible.settings import AnsibleSettings

INSTALL = "pip install 'upgrade-flows[ansible]'"

#: nobody is there to be asked, and no host key is taken unseen
SSH = "-C -o ControlMaster=auto -o ControlPersist=60s -o BatchMode=yes -o StrictHostKeyChecking=yes"

SCRIPT = """
- hosts: all
  gather_facts: false
  tasks:
    - name: reach
      ansible.builtin.command: {{argv: ["true"]}}
      changed_when: false
    - name: script
      ansible.builtin.command: {{argv: [sh, -s], stdin: !unsafe {script}}}
      changed_when: false
"""


class LostHost(HostUnreachable):
    """A host that was reached first, and then no more."""


@dataclass
class Told:
    """What Ansible said of one host: how its tasks ended, and facts set for the whole run."""

    host: str
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreachable: str = ""
    failed: str = ""
    other: str = ""
    processed: bool = False
    changed: int = 0
    set_stats: dict[str, Any] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> bool:
        """Take an event; nothing of it is written to a file."""
        data = event.get("event_data", {})
        kind, result = event.get("event", ""), data.get("res")
        result = result if isinstance(result, dict) else {}
        if kind == "playbook_on_stats":
            self.processed = self.host in data.get("processed", {})
            self.changed = int(data.get("changed", {}).get(self.host, 0))
            for values in (data.get("artifact_data") or {}, data.get("custom") or {}):
                self.set_stats.update(values)
        elif kind in ("verbose", "error") and "ERROR" in event.get("stdout", ""):
            self.other = (self.other + "\n" + _plain(event["stdout"])).strip()
        elif data.get("host") != self.host:
            return False
        elif kind == "runner_on_ok":
            self.said[data.get("task", "")] = result
        elif kind == "runner_on_unreachable":
            self.unreachable = _message(result)
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            self.failed = f"task {data.get('task', '')!r}: {_message(result)}"
        return False


def run_script(settings: AnsibleSettings, host: str, what: str, script: str) -> Told:
    """Run a shell script on a host; what it said is in ``said["script"]``."""
    with tempfile.TemporaryDirectory(prefix="upgrade-flows-") as folder:
        path = Path(folder) / "script.yaml"
        path.write_text(SCRIPT.format(script=json.dumps(script)))
        return run_playbook(settings, host, what, str(path), {}, tags=False)


def run_playbook(
    settings: AnsibleSettings,
    host: str,
    what: str,
    playbook: str,
    more: Mapping[str, Any],
    *,
    tags: bool = True,
    arguments: str = "",
) -> Told:
    """Run a playbook for one host, with more variables.

    :raises HostUnreachable: Ansible does not reach it.
    :raises HostError: a task failed, or the playbook does not know the host.
    :raises PluginError: Ansible is not installed.
    """
    runner, search = _ansible()
    name = settings.limit_by.replace("{host}", host)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise HostError(f"{host}: {name!r} cannot be the name of a host in an inventory")
    told = Told(name)
    with tempfile.TemporaryDirectory(prefix="upgrade-flows-") as folder:
        os.chmod(folder, 0o700)
        done = runner.run(
            private_data_dir=folder,
            project_dir=str(Path(playbook).parent),
            playbook=playbook,
            inventory=settings.inventory or {"all": {"hosts": {name: {}}}},
            limit=name,
            tags=",".join(settings.tags) if tags and settings.tags else None,
            cmdline=arguments or None,
            extravars={**settings.extra_vars, **more, **_connection(settings)},
            envvars={"PATH": search, "ANSIBLE_HOST_KEY_CHECKING": "True"},
            timeout=max(1, int(settings.command_s)),
            quiet=True,
            suppress_ansible_output=True,
            event_handler=told.take,
            cancel_callback=lambda: False,  # otherwise signals would be taken from us
        )
    if done.status == "timeout":
        raise HostError(f"{host}: {what} did not end within {settings.command_s:g} s")
    if told.unreachable:
        kind = LostHost if told.said else HostUnreachable
        raise kind(f"{host}: Ansible does not reach {name}: {told.unreachable}")
    if told.failed or done.rc != 0:
        why = told.failed or told.other[-1000:] or f"ansible-playbook ended with {done.rc}"
        raise HostError(f"{host}: {what} failed: {why}")
    if not told.processed and not arguments:
        raise HostError(f"{host}: {what} has no play for {name}: nothing was done")
    return told


def _ansible() -> tuple[Any, str]:
    """Return ansible-runner and the path on which it finds Ansible."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        runner: Any = importlib.import_module("ansible_runner")
    except ImportError as exc:
        raise PluginError(f"the host plugin ansible needs ansible-runner: {INSTALL}") from exc
    if shutil.which("ansible-playbook", path=search) is None:
        raise PluginError(f"the host plugin ansible needs ansible-playbook: {INSTALL}")
    return runner, search


def _connection(settings: AnsibleSettings) -> dict[str, Any]:
    """Return variables that no inventory can override: host keys are verified."""
    options = SSH
    if settings.ssh_config:
        options += f" -F {shlex.quote(settings.ssh_config)}"
    return {"ansible_ssh_args": options, "ansible_host_key_checking": True}


def _message(result: dict[str, Any]) -> str:
    if result.get("_ansible_no_log") or "censored" in result:
        return "its output is hidden (no_log)"
    said = [str(result[key]).strip() for key in ("msg", "stderr") if result.get(key)]
    if not said and isinstance(result.get("results"), list):
        failed = [item for item in result["results"] if isinstance(item, dict)]
        said = [_message(item) for item in failed if item.get("failed")][-1:]
    return _plain("; ".join(dict.fromkeys(said)))[-1000:]


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
