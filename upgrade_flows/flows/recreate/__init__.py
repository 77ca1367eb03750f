"""Bring instances into the VIF mode that their host binds now, without losing who they are."""

from upgrade_flows.flows.recreate.assess import assess, moved
from upgrade_flows.flows.recreate.flow import change, settle

__all__ = ["assess", "change", "moved", "settle"]
