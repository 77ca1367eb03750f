"""Emptying a host: each instance is taken up a ladder until it is somewhere else, or given up."""

from upgrade_flows.flows.host_upgrade.drain.loop import Drain
from upgrade_flows.flows.host_upgrade.drain.policy import Policy

__all__ = ["Drain", "Policy"]
