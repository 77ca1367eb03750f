"""The stand-in network agents of the fake hosts, and how tests change what they report."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.lab import processes, waiting
from tests.lab.agents import modes
from tests.lab.errors import LabError
from tests.lab.settings import Settings

if TYPE_CHECKING:
    from openstack.connection import Connection

PROCESS = "stub-l2"
DOWN_SECONDS = 30  # without a report for so long, Neutron takes an agent for dead


def set_mode(host: str, mode: str = "ovs", wait: bool = True, **behaviour: Any) -> None:
    """Change what the agent of a fake host reports; ``wait`` until Neutron knows.

    ``behaviour``: socket_dir, alive, bridge; what is left out goes back to its default.
    """
    settings = Settings.load()
    if mode not in modes.MODES:
        raise LabError(f"{mode} is no mode of an agent: {', '.join(modes.MODES)}")
    if host not in settings.fake_hosts:
        raise LabError(f"{host} is no fake host: {', '.join(settings.fake_hosts)}")
    _write(settings, host, {**modes.DEFAULTS, "mode": mode, **behaviour})
    processes.send_signal(PROCESS, signal.SIGHUP)
    if wait:
        wait_reported(host)


def reset(settings: Settings, only_missing: bool = False) -> None:
    """Set the agents of all fake hosts to plain Open vSwitch, without waiting."""
    for host in settings.fake_hosts:
        if not (only_missing and modes.path_of(settings.agents, host).exists()):
            _write(settings, host, modes.DEFAULTS)
    processes.send_signal(PROCESS, signal.SIGHUP)


def wait_reported(*hosts: str, cloud: Connection | None = None) -> None:
    """Wait until Neutron has of each host the agent that its file describes."""
    from tests.lab import api

    settings = Settings.load()
    cloud = cloud or api.connect()

    def known() -> bool:
        agents = {agent.host: agent for agent in cloud.network.agents()}
        return all(host in agents and _matches(settings, agents[host]) for host in hosts)

    seconds = 60 + DOWN_SECONDS
    waiting.until(f"Neutron has the agents of {', '.join(hosts)} as set", known, seconds)


def _matches(settings: Settings, agent: Any) -> bool:
    behaviour = modes.read(settings.agents, agent.host)
    if not behaviour["alive"] or not agent.is_alive:
        return agent.is_alive == behaviour["alive"]
    expected = modes.configurations(behaviour)
    return expected.items() <= agent.configuration.items()


def _write(settings: Settings, host: str, behaviour: dict) -> None:
    path = modes.path_of(settings.agents, host)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(behaviour, indent=2) + "\n")
    os.replace(new, path)
