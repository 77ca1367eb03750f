"""The check of the imaginary backend."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows.checks import Check, NothingToLookAt, Sources
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

ONE_QUEUE = Rule(
    "UF-EX-001",
    "an agent offers a single queue",
    Severity.WARNING,
    "Instances that were booted with several queues lose them when they are plugged anew there.",
    "Set tap_queues in the configuration of the agent, and restart it.",
)


class TapQueues(Check):
    """Looks for agents that offer a single queue."""

    area = "example"
    title = "queues of the taps"
    rules = (ONE_QUEUE,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the agents, which other checks may look at, too."""
        agents = sources.once("agents", lambda: tuple(sources.cloud.network.agents()))
        ours = [agent for agent in agents if agent.agent_type == "Example L2 agent"]
        if not ours:
            raise NothingToLookAt("no host has an Example L2 agent")
        for agent in ours:
            queues = agent.configurations.get("tap_queues", 1)
            if queues == 1:
                yield ONE_QUEUE.found(
                    agent.host, f"the agent of {agent.host} offers a single queue", queues=queues
                )
