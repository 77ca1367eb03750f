"""What neutron-openvswitch-agent and Neutron tell each other, for the lab's stand-ins.

Runs in the services' virtualenv.  An agent of the lab is a process for several hosts: a
subclass of ``Agents`` says what each host reports and which ports it has.
"""

from __future__ import annotations

import datetime
import logging
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import oslo_messaging
from oslo_config import cfg

from tests.lab.agents.wake import Wake

LOG = logging.getLogger(__name__)
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


class Agents:
    """The network agents of some hosts.

    :param folder: holds the file of each host that says how its agent behaves.
    """

    target = oslo_messaging.Target(version="1.5")

    def __init__(self, name: str, folder: Path) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        conf = cfg.CONF  # oslo.messaging registers the options of its metrics only there
        conf([], project="neutron")
        oslo_messaging.set_transport_defaults("neutron")
        transport = oslo_messaging.get_rpc_transport(conf, url=os.environ["LAB_TRANSPORT_URL"])
        self.folder = folder
        self.stopping = False
        self.wanted = Wake()
        self._plugin = _client(transport, "q-plugin")
        self._reports = _client(transport, "q-reports-plugin")
        server = f"{name}-{uuid.uuid4().hex[:8]}"
        self._servers = [
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

    def report_all(self) -> None:
        """Report the state of every host's agent."""
        raise NotImplementedError

    def tell(self, what: str, port_id: str, host: str) -> None:
        """Tell Neutron that a port is up or down at a host."""
        LOG.info("port %s is %s on %s", port_id, what, host)
        self._plugin.cast(
            CONTEXT,
            f"update_device_{what}",
            device=port_id,
            agent_id=f"ovs-agent-{host}",
            host=host,
        )

    def tell_state(
        self, host: str, tunneling_ip: str, configurations: dict[str, Any], start: bool
    ) -> None:
        """Tell Neutron the state of a host's agent; ``start`` if it has just started."""
        state = {
            "binary": "neutron-openvswitch-agent",
            "host": host,
            "topic": "N/A",
            "agent_type": "Open vSwitch agent",
            "uuid": str(uuid.uuid4()),
            "configurations": {
                "bridge_mappings": {"physnet1": "br-ex"},
                "tunnel_types": ["vxlan"],
                "tunneling_ip": tunneling_ip,
                "l2_population": False,
                **configurations,
            },
        }
        if start:
            state["start_flag"] = True
        now = datetime.datetime.now(datetime.UTC)
        self._reports.cast(
            CONTEXT,
            "report_state",
            agent_state={"agent_state": state},
            time=now.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        )

    def run(self) -> None:
        """Serve until told to stop; SIGHUP makes it report at once."""
        signal.signal(signal.SIGHUP, self.wanted.set)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        for server in self._servers:
            server.start()
        while not self.stopping:
            try:
                self.report_all()
            except Exception:
                LOG.exception("this report failed")
            self.wanted.wait(REPORT_SECONDS)
        for server in self._servers:
            server.stop()
            server.wait()

    def _stop(self, *_: object) -> None:
        self.stopping = True
        self.wanted.set()


def _client(transport: Any, topic: str) -> Any:
    target = oslo_messaging.Target(topic=topic, version="1.0")
    return oslo_messaging.get_rpc_client(transport, target)
