"""Make an image of an instance, with the volumes that it boots from, that is proven to boot."""

from upgrade_flows.flows.capability import Tell
from upgrade_flows.flows.capture.assess import assess, moved
from upgrade_flows.flows.capture.flow import change, settle
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.steps.base import Plugins

__all__ = ["assess", "change", "look", "moved", "rolls", "settle"]

rolls = False


def look(request: UpgradeRequest, inventory: Inventory, plugins: Plugins, tell: Tell) -> Inventory:
    """Return the inventory as it is: all that is needed is in it."""
    return inventory
