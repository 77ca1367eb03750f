"""What we need of a cloud, in our words; no client library is known here.

Every method may raise ``errors.CloudError``.  Methods that change something return as soon as
the service has accepted the call (``cloud.wait`` waits for evidence).  Listings are paged by the
implementation: one call for each thousand items, none for each item.
"""

from upgrade_flows.cloud.api.cloud import (
    Clock,
    Cloud,
    Images,
    Network,
    Orchestration,
    Placement,
    Volumes,
)
from upgrade_flows.cloud.api.compute import Compute
from upgrade_flows.cloud.api.facts import (
    HostService,
    Hypervisor,
    InstanceAction,
    Memory,
    Migration,
    NewServer,
    PortBinding,
    Provider,
    Stock,
)
from upgrade_flows.model.inventory import Aggregate

__all__ = [
    "Aggregate",
    "Clock",
    "Cloud",
    "Compute",
    "HostService",
    "Hypervisor",
    "Images",
    "InstanceAction",
    "Memory",
    "Migration",
    "Network",
    "NewServer",
    "Orchestration",
    "Placement",
    "PortBinding",
    "Provider",
    "Stock",
    "Volumes",
]
