"""Ports that are plain taps; their mode is the number of queues that the host gives them."""

from __future__ import annotations

from upgrade_flows.model.inventory import Agent, Port
from upgrade_flows.plugins.base import NetworkPlugin, VifMode


class TapNetwork(NetworkPlugin):
    """Ports whose VIF type is ``tap``."""

    def claims(self, port: Port, agent: Agent | None) -> bool:
        return port.vif_type == "tap"

    def bound_mode(self, port: Port) -> VifMode:
        return _mode(port.vif_details.get("queues", 1))

    def wanted_mode(self, port: Port, agent: Agent) -> VifMode:
        return _mode(agent.configurations.get("tap_queues", 1))

    def rebind_refusal(self, port: Port, wanted: VifMode) -> str | None:
        return None  # a tap is made anew at every start, by the name of its port

    def live_migration_refusal(self, port: Port, wanted: VifMode) -> str | None:
        now = self.bound_mode(port)
        if now == wanted:
            return None
        return f"port {port.id} is plugged as {now}, the destination plugs it as {wanted}"


def _mode(queues: object) -> VifMode:
    return VifMode("tap", (("queues", str(queues)),))
