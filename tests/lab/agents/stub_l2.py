"""Stand in for neutron-openvswitch-agent on hosts without a data plane.

One process speaks Neutron's agent RPC for all the hosts given: it reports an "Open vSwitch
agent" on each, so that the unmodified ML2 openvswitch driver binds ports there, and it marks
bound ports up as the real agent does after plugging, which ends in Nova's vif-plugged event.
It runs in the services' virtualenv: ``LAB_TRANSPORT_URL=... stub_l2.py FOLDER HOST...``.
SIGHUP makes it report at once; each report reads the host's file in FOLDER again.
"""

from __future__ import annotations

import datetime
import logging
import os
import signal
import sys
import uuid
from pathlib import Path

import oslo_messaging
from oslo_config import cfg

from tests.lab.agents import modes
from tests.lab.agents.wake import Wake

LOG = logging.getLogger("stub-l2")
REPORT_SECONDS = 10
VIF_TYPES = {"ovs", "vhostuser"}
CONTEXT = {
    "is_admin": True,
    "roles": ["admin"],
    "user_id": None,
    "project_id": None,
    "tenant_id": None,
    "tenant": None,
    "user": None,
}


class StubAgents:
    """The network agents of some hosts."""

    target = oslo_messaging.Target(version="1.5")

    def __init__(self, transport: oslo_messaging.RPCTransport, folder: Path, hosts: list[str]):
        self.folder = folder
        self.hosts = sorted(hosts)
        self.stopped = False
        self.wanted = Wake()
        self.reported: dict[str, dict] = {}
        self.plugin = _client(transport, "q-plugin")
        self.reports = _client(transport, "q-reports-plugin")
        server = f"stub-l2-{uuid.uuid4().hex[:8]}"
        self.servers = [
            oslo_messaging.get_rpc_server(
                transport,
                oslo_messaging.Target(
                    topic=f"q-agent-notifier-{topic}", version="1.5", server=server
                ),
                [self],
                executor="threading",
            )
            for topic in ("port-update", "binding-activate")
        ]

    # What Neutron tells its agents

    def port_update(self, context, port, **kwargs):
        """A port changed: it is up where it is bound, and where it is migrating to."""
        profile = port.get("binding:profile") or {}
        self._mark_up(port["id"], profile.get("migrating_to"))
        if port.get("binding:vif_type") in VIF_TYPES:
            self._mark_up(port["id"], port.get("binding:host_id"))

    def binding_activate(self, context, port_id, host, **kwargs):
        """A live migration arrived: the port is up at its new host."""
        self._mark_up(port_id, host)

    # What agents tell Neutron

    def _mark_up(self, port_id: str, host: str | None) -> None:
        if host not in self.hosts or not modes.read(self.folder, host)["alive"]:
            return
        LOG.info("port %s is up on %s", port_id, host)
        self.plugin.cast(
            CONTEXT, "update_device_up", device=port_id, agent_id=f"ovs-agent-{host}", host=host
        )

    def report(self) -> None:
        """Report the state of every host's agent; one whose data plane changed has restarted."""
        now = datetime.datetime.now(datetime.UTC)
        for number, host in enumerate(self.hosts, start=1):
            behaviour = modes.read(self.folder, host)
            if not behaviour["alive"]:
                self.reported.pop(host, None)
                continue
            state = {
                "binary": "neutron-openvswitch-agent",
                "host": host,
                "topic": "N/A",
                "agent_type": "Open vSwitch agent",
                "uuid": str(uuid.uuid4()),
                "configurations": {
                    "bridge_mappings": {"physnet1": "br-ex"},
                    "tunnel_types": ["vxlan"],
                    "tunneling_ip": f"127.99.0.{number}",
                    "l2_population": False,
                    **modes.configurations(behaviour),
                },
            }
            if self.reported.get(host) != behaviour:
                state["start_flag"] = True
                self.reported[host] = behaviour
            self.reports.cast(
                CONTEXT,
                "report_state",
                agent_state={"agent_state": state},
                time=now.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            )

    def run(self) -> None:
        """Serve until told to stop."""
        for server in self.servers:
            server.start()
        while not self.stopped:
            try:
                self.report()
            except Exception:
                LOG.exception("this report failed")
            self.wanted.wait(REPORT_SECONDS)
        for server in self.servers:
            server.stop()
            server.wait()

    def stop(self, *_) -> None:
        """End run()."""
        self.stopped = True
        self.wanted.set()


def _client(transport, topic: str) -> oslo_messaging.RPCClient:
    return oslo_messaging.get_rpc_client(
        transport, oslo_messaging.Target(topic=topic, version="1.0")
    )


def main() -> None:
    """Run the agents of the hosts on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder, *hosts = sys.argv[1:]
    conf = cfg.CONF  # oslo.messaging registers the options of its metrics only there
    conf([], project="neutron")
    oslo_messaging.set_transport_defaults("neutron")
    transport = oslo_messaging.get_rpc_transport(conf, url=os.environ["LAB_TRANSPORT_URL"])
    agents = StubAgents(transport, Path(folder), hosts)
    signal.signal(signal.SIGHUP, agents.wanted.set)
    signal.signal(signal.SIGTERM, agents.stop)
    signal.signal(signal.SIGINT, agents.stop)
    agents.run()


if __name__ == "__main__":
    main()
