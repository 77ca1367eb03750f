"""Bring compute hosts to another kernel, or anything else that needs an empty host, and back."""

from upgrade_flows.flows.host_upgrade.assess import assess, look, moved
from upgrade_flows.flows.host_upgrade.flow import change, settle

#: its subjects are hosts, whose order and targets are planned
rolls = True
#: a change that fails is left where it is: undoing it is an operator's decision
stays = True

__all__ = ["assess", "change", "look", "moved", "rolls", "settle", "stays"]
