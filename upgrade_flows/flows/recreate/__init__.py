"""Bring instances into the VIF mode that their host binds now, without losing who they are."""

from upgrade_flows.flows.capability import Tell
from upgrade_flows.flows.recreate.assess import assess
from upgrade_flows.flows.recreate.flow import change, settle
from upgrade_flows.flows.seen import moved
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.steps.base import Plugins

__all__ = ["assess", "change", "look", "moved", "rolls", "settle"]

rolls = False


def look(request: UpgradeRequest, inventory: Inventory, plugins: Plugins, tell: Tell) -> Inventory:
    """Return the inventory as it is: all that is needed is in it."""
    return inventory
