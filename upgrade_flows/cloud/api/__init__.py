"""What we need of a cloud, in our words; no client library is known here.

Every method may raise ``errors.CloudError``.  Methods that change something return as soon as
the service has accepted the call (``cloud.wait`` waits for evidence).  Listings are paged by the
implementation: one call for each thousand items, none for each item.
"""

from upgrade_flows.cloud.api.cloud import (
    Clock,
    Cloud,
    Network,
    Orchestration,
    Placement,
)
from upgrade_flows.cloud.api.compute import Compute
from upgrade_flows.cloud.api.condition import Certificate, Endpoint, Service
from upgrade_flows.cloud.api.facts import (
    Credentials,
    HostService,
    Hypervisor,
    InstanceAction,
    Memory,
    Migration,
    NewServer,
    NewVolume,
    PortBinding,
    Provider,
    Stock,
    Subnet,
)
from upgrade_flows.cloud.api.storage import Images, Volumes
from upgrade_flows.model.inventory import Aggregate

__all__ = [
    "Aggregate",
    "Certificate",
    "Clock",
    "Cloud",
    "Compute",
    "Credentials",
    "Endpoint",
    "HostService",
    "Hypervisor",
    "Images",
    "InstanceAction",
    "Memory",
    "Migration",
    "Network",
    "NewServer",
    "NewVolume",
    "Orchestration",
    "Placement",
    "PortBinding",
    "Provider",
    "Service",
    "Stock",
    "Subnet",
    "Volumes",
]
