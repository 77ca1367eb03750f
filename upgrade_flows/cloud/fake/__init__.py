"""An in-memory cloud for tests, for what-if questions and for the examples in the manual."""

from upgrade_flows.cloud.fake.clock import FakeClock
from upgrade_flows.cloud.fake.cloud import FakeCloud, Snapshot
from upgrade_flows.cloud.fake.faults import Faults

__all__ = ["FakeClock", "FakeCloud", "Faults", "Snapshot"]
