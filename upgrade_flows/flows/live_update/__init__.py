"""Give instances a new image, kernel or package level while they serve: a surrogate takes over."""

from upgrade_flows.flows.live_update.assess import assess, moved
from upgrade_flows.flows.live_update.flow import change, settle
from upgrade_flows.flows.live_update.looking import look

__all__ = ["assess", "change", "look", "moved", "places", "rolls", "settle"]

rolls = False
#: it chooses hosts for new instances: planning has to know their traits, and all quotas
places = True
