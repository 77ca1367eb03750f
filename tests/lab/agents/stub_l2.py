"""Stand in for neutron-openvswitch-agent on hosts without a data plane.

One process speaks Neutron's agent RPC for all the hosts given: it reports an "Open vSwitch
agent" on each, so that the unmodified ML2 openvswitch driver binds ports there, and it marks
bound ports up as the real agent does after plugging, which ends in Nova's vif-plugged event.
It runs in the services' virtualenv: ``LAB_TRANSPORT_URL=... stub_l2.py FOLDER HOST...``.
SIGHUP makes it report at once; each report reads the host's file in FOLDER again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lab.agents import modes
from tests.lab.agents.rpc import Agents

VIF_TYPES = {"ovs", "vhostuser"}


class StubAgents(Agents):
    """The network agents of hosts on which a bound port is up at once."""

    def __init__(self, folder: Path, hosts: list[str]) -> None:
        super().__init__("stub-l2", folder)
        self.hosts = sorted(hosts)
        self.reported: dict[str, dict] = {}

    def port_update(self, context, port, **kwargs):
        """A port changed: it is up where it is bound, and where it is migrating to."""
        profile = port.get("binding:profile") or {}
        self._mark_up(port["id"], profile.get("migrating_to"))
        if port.get("binding:vif_type") in VIF_TYPES:
            self._mark_up(port["id"], port.get("binding:host_id"))

    def binding_activate(self, context, port_id, host, **kwargs):
        """A live migration arrived: the port is up at its new host."""
        self._mark_up(port_id, host)

    def _mark_up(self, port_id: str, host: str | None) -> None:
        if host in self.hosts and modes.read(self.folder, host)["alive"]:
            self.tell("up", port_id, host)

    def report_all(self) -> None:
        """Report every agent that is alive; one whose data plane changed has restarted."""
        for number, host in enumerate(self.hosts, start=1):
            behaviour = modes.read(self.folder, host)
            if not behaviour["alive"]:
                self.reported.pop(host, None)
                continue
            start = self.reported.get(host) != behaviour
            self.reported[host] = behaviour
            self.tell_state(host, f"127.99.0.{number}", modes.configurations(behaviour), start)


if __name__ == "__main__":
    StubAgents(Path(sys.argv[1]), sys.argv[2:]).run()
