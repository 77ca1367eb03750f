"""What of an instance must not move between plan and run, as digests that can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Agent, Port, Server
from upgrade_flows.model.plan import Action
from upgrade_flows.plugins.vif import port_case


def seen(server: Server, ports: Iterable[Port], wanted: dict[str, str]) -> dict[str, str]:
    """Return short digests of what must not move between plan and run, by what it is."""
    plain = codec.to_plain(server)
    parts: dict[str, Any] = {
        key: plain[key]
        for key in (
            "name", "status", "task_state", "host", "image_id", "locked", "availability_zone",
            "project_id", "user_id", "key_name", "metadata", "tags", "volumes",
        )
    }  # fmt: skip
    parts["flavor"] = {**plain["flavor"], "id": ""}
    # a listing names neither devices nor boot indexes
    parts["volumes"] = sorted(
        (v["volume_id"], v["delete_on_termination"]) for v in plain["volumes"]
    )
    for port in ports:
        bound = codec.to_plain(port)
        parts[f"port {port.id}"] = {**bound, "status": ""}
    for port_id, mode in wanted.items():
        parts[f"mode that the host offers port {port_id}"] = mode
    return {name: codec.digest(part)[:16] for name, part in parts.items()}


def moved(cloud: Cloud, plugins: Any, action: Action) -> str | None:
    """Return what of an instance is no longer as it was planned, or None."""
    try:
        server = cloud.compute.server(action.subject)
    except errors.NotFound:
        return "the instance does not exist any more"
    ports = list(cloud.network.ports(device_id=action.subject))
    agent = _agent_of(cloud, server.host)
    wanted = {port.id: port_case(plugins, port, agent).wanted for port in ports}
    now, then = seen(server, ports, wanted), action.details["seen"]
    names = sorted(name for name in set(now) | set(then) if now.get(name) != then.get(name))
    return f"changed since it was planned: {', '.join(names)}" if names else None


def _agent_of(cloud: Cloud, host: str) -> Agent | None:
    agents = [a for a in cloud.network.agents() if a.host == host and "vSwitch" in a.agent_type]
    return agents[0] if agents else None
