"""What the agents of the hosts with real guests report, and how to change it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.lab import processes, waiting
from tests.lab.agents import modes
from tests.lab.errors import LabError
from tests.lab.hosts import layout
from tests.lab.settings import Settings

PROCESS = "l2-virt"
MODES = ("ovs", "dpdkvhostuser", "dpdkvhostuserclient")
DEFAULTS = {**modes.DEFAULTS, "socket_dir": layout.SOCKET_DIR}


def configurations(behaviour: dict) -> dict:
    """Return the part of the agent's report that Neutron binds ports by.

    The switch runs in user space ("netdev") in every mode: a port is a tap where the agent
    offers nothing better, which is what "ovs" means here.
    """
    result = modes.configurations(behaviour)
    return {**result, "datapath_type": "netdev"}


def set_mode(name: str, mode: str, wait: bool = True, **changes: object) -> None:
    """Change what the agent of a host reports; ``wait`` until Neutron knows."""
    if mode not in MODES:
        raise LabError(f"{mode} is no mode of a host: {', '.join(MODES)}")
    settings = Settings.load()
    layout.host(name, settings)
    _write(modes.path_of(settings.agents, name), {**DEFAULTS, "mode": mode, **changes})
    processes.send_signal(PROCESS, signal.SIGHUP)
    if wait:
        waiting.until(f"Neutron has the agent of {name} as set", lambda: reported(name), 60)


def write_missing(settings: Settings) -> None:
    """Have the agents of hosts that nothing was said about report plain Open vSwitch."""
    for name in settings.virt_hosts:
        path = modes.path_of(settings.agents, name)
        if not path.exists():
            _write(path, DEFAULTS)


def reported(name: str) -> bool:
    """Return whether Neutron has the agent of a host as its file describes it."""
    from tests.lab import api

    behaviour = modes.read(Settings.load().agents, name)
    expected = configurations(behaviour)
    found = api.shared().network.agents(host=name, agent_type="Open vSwitch agent")
    return any(
        agent.is_alive and expected.items() <= agent.configuration.items() for agent in found
    )


def _write(path: Path, behaviour: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(behaviour, indent=2) + "\n")
    os.replace(new, path)
