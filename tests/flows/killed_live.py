"""A live update that is killed at every instant."""

from __future__ import annotations

from tests.flows.live_scenes import (
    CASES,
    SERIAL,
    action_for,
    as_before,
    cloud_with,
    registry_for,
    renamed,
    serving,
)
from tests.flows.test_recreate_crash import SOON, Killed
from upgrade_flows.engine.operations import Engine
from upgrade_flows.model.plan import Gate, Plan, Wave
from upgrade_flows.model.request import Scope, UpgradeRequest


class KilledLive(Killed):
    """One instance that is updated live and then rolled back or committed."""

    settings = SERIAL

    def __init__(self, case, folder, engine=Engine):
        super().__init__(case, "ACTIVE", folder, engine)

    def original(self):
        cloud, self.server = cloud_with(self.case)
        cloud.durations.update(dict.fromkeys(cloud.durations, SOON))
        return cloud

    def untouched(self):
        return as_before(self.original().state(bindings=True))

    def plugins(self, cloud):
        return registry_for(cloud, CASES[self.case][2])

    def plan(self, cloud):
        action = action_for(self.case, cloud, self.server)
        request = UpgradeRequest("live_update", Scope(servers=(self.server,)))
        return Plan("plan-1", "2026-11-28T00:00:00", cloud.id, request, (
            Wave("all", (action,), 1, Gate()),
        )).sealed()  # fmt: skip

    def end(self, cloud, journal):
        """Return what an end is told by; and nothing serves but one, whatever has happened."""
        told = super().end(cloud, journal)
        if told["result"]:
            told["result"]["moved"] = None
        told["serving"] = len(serving(cloud))
        return by_mac(told)


def by_mac(told):
    """Return what was told with ports named by their MACs, and our own one by what it is for."""
    names = {}
    for port_id, port in told["cloud"]["ports"].items():
        if "/create-health-port:" in port["name"]:
            names |= {port_id: "health", port["mac_address"]: "health"}
            port["fixed_ips"] = []
        else:
            names[port_id] = port["mac_address"]
    return renamed(told, names)
