"""The network agent of the hosts with real guests: tells Neutron what their switches have.

One process for all hosts, speaking the RPC of neutron-openvswitch-agent. It monitors each
host's Open vSwitch database: an interface with a port's id appears -> update_device_up, it
vanishes -> update_device_down. A host's agent is alive as long as its database answers. Run in
the services' virtualenv: ``LAB_TRANSPORT_URL=... agent.py FOLDER HOST=SOCKET...``. SIGHUP makes
it report at once; each report reads the host's file in FOLDER again.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import oslo_messaging
from oslo_config import cfg

from tests.lab.agents import modes
from tests.lab.agents.wake import Wake
from tests.lab.hosts import behaviour

LOG = logging.getLogger("l2-virt")
REPORT_SECONDS = 10
CONTEXT = {
    "is_admin": True,
    "roles": ["admin"],
    "user_id": None,
    "project_id": None,
    "tenant_id": None,
    "tenant": None,
    "user": None,
}


class Switch:
    """The interfaces of one host's switch that belong to Neutron's ports."""

    def __init__(self, host: str, socket: str, agents: Agents):
        self.host = host
        self.socket = socket
        self.agents = agents
        self.ports: dict[str, str] = {}  # row of the database: port
        self.alive = False
        self.monitor: subprocess.Popen[str] | None = None

    def has(self, port_id: str) -> bool:
        """Return whether the port is plugged here."""
        return port_id in list(self.ports.values())

    def watch(self) -> None:
        """Follow the database, for ever; it may go and come back."""
        columns = ["Open_vSwitch", "Interface", "external_ids", "--format=json"]
        while not self.agents.stopped.is_set():
            self.monitor = subprocess.Popen(
                ["ovsdb-client", "monitor", f"unix:{self.socket}", *columns],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self.monitor.stdout
            for line in self.monitor.stdout:
                if not self.alive:
                    LOG.info("%s: the switch is there", self.host)
                    self.alive = True
                    self.agents.report(self.host, start=True)
                for row, action, external_ids in (row[:3] for row in json.loads(line)["data"]):
                    self._changed(row, action, external_ids)
            self.monitor.wait()
            if self.alive:
                LOG.info("%s: the switch is gone", self.host)
            self.alive = False
            self.ports.clear()
            self.agents.stopped.wait(0.3)

    def _changed(self, row: str, action: str, external_ids: object) -> None:
        if action == "delete":
            port = self.ports.pop(row, None)
            if port and not self.has(port):
                self.agents.tell("down", port, self.host)
        elif action in ("initial", "insert", "new"):
            ids = dict(external_ids[1]) if isinstance(external_ids, list) else {}
            port = ids.get("iface-id")
            if port and self.ports.get(row) != port:
                self.ports[row] = port
                self.agents.tell("up", port, self.host)


class Agents:
    """The network agents of all hosts."""

    target = oslo_messaging.Target(version="1.5")

    def __init__(
        self, transport: oslo_messaging.RPCTransport, folder: Path, sockets: dict[str, str]
    ):
        self.folder = folder
        self.stopped = threading.Event()
        self.stopping = False
        self.wanted = Wake()
        self.switches = {host: Switch(host, path, self) for host, path in sockets.items()}
        self.plugin = _client(transport, "q-plugin")
        self.reports = _client(transport, "q-reports-plugin")
        server = f"l2-virt-{uuid.uuid4().hex[:8]}"
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

    def port_update(self, context, port, **kwargs):
        """A port changed, perhaps its binding: it is up if it is plugged already."""
        self._up_if_plugged(port["id"], port.get("binding:host_id"))

    def binding_activate(self, context, port_id, host, **kwargs):
        """A live migration arrived: the port is up at its new host."""
        self._up_if_plugged(port_id, host)

    def _up_if_plugged(self, port_id: str, host: str | None) -> None:
        switch = self.switches.get(host or "")
        if switch and switch.has(port_id):
            self.tell("up", port_id, switch.host)

    def tell(self, what: str, port_id: str, host: str) -> None:
        """Tell Neutron that a port is up or down at a host."""
        LOG.info("port %s is %s on %s", port_id, what, host)
        self.plugin.cast(
            CONTEXT,
            f"update_device_{what}",
            device=port_id,
            agent_id=f"ovs-agent-{host}",
            host=host,
        )

    def report(self, host: str, start: bool = False) -> None:
        """Report the state of a host's agent."""
        what = modes.read(self.folder, host)
        if not what["alive"]:
            return
        state = {
            "binary": "neutron-openvswitch-agent",
            "host": host,
            "topic": "N/A",
            "agent_type": "Open vSwitch agent",
            "uuid": str(uuid.uuid4()),
            "configurations": {
                "bridge_mappings": {"physnet1": "br-ex"},
                "tunnel_types": ["vxlan"],
                "tunneling_ip": f"10.77.0.{11 + list(self.switches).index(host)}",
                "l2_population": False,
                **behaviour.configurations(what),
            },
        }
        if start:
            state["start_flag"] = True
        now = datetime.datetime.now(datetime.UTC)
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
        for switch in self.switches.values():
            threading.Thread(target=switch.watch, daemon=True).start()
        while not self.stopping:
            self.wanted.wait(REPORT_SECONDS)
            for switch in self.switches.values():
                try:
                    if switch.alive:
                        self.report(switch.host)
                except Exception:
                    LOG.exception("this report failed")
        self.stopped.set()
        for switch in self.switches.values():
            if switch.monitor:
                switch.monitor.terminate()
        for server in self.servers:
            server.stop()
            server.wait()

    def stop(self, *_) -> None:
        """End run()."""
        self.stopping = True
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
    agents = Agents(transport, Path(folder), dict(host.split("=", 1) for host in hosts))
    signal.signal(signal.SIGHUP, agents.wanted.set)
    signal.signal(signal.SIGTERM, agents.stop)
    signal.signal(signal.SIGINT, agents.stop)
    agents.run()


if __name__ == "__main__":
    main()
