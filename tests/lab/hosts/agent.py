"""The network agent of the hosts with real guests: tells Neutron what their switches have.

One process for all hosts, speaking the RPC of neutron-openvswitch-agent. It monitors each
host's Open vSwitch database: an interface with a port's id appears -> update_device_up, it
vanishes -> update_device_down. A host's agent is alive as long as its database answers. Run in
the services' virtualenv: ``LAB_TRANSPORT_URL=... agent.py FOLDER HOST=SOCKET...``. SIGHUP makes
it report at once; each report reads the host's file in FOLDER again.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

from tests.lab.agents import modes
from tests.lab.agents.rpc import Agents
from tests.lab.hosts import behaviour

LOG = logging.getLogger("l2-virt")


class Switch:
    """The interfaces of one host's switch that belong to Neutron's ports."""

    def __init__(self, host: str, socket: str, agents: SwitchAgents):
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


class SwitchAgents(Agents):
    """The network agents of the hosts that have a switch."""

    def __init__(self, folder: Path, sockets: dict[str, str]) -> None:
        super().__init__("l2-virt", folder)
        self.stopped = threading.Event()
        self.switches = {host: Switch(host, path, self) for host, path in sockets.items()}

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

    def report(self, host: str, start: bool = False) -> None:
        """Report the state of a host's agent."""
        what = modes.read(self.folder, host)
        if what["alive"]:
            address = f"10.77.0.{11 + list(self.switches).index(host)}"
            self.tell_state(host, address, behaviour.configurations(what), start)

    def report_all(self) -> None:
        """Report the agents whose switch answers."""
        for switch in self.switches.values():
            if switch.alive:
                self.report(switch.host)

    def run(self) -> None:
        """Follow the switches, and serve until told to stop."""
        for switch in self.switches.values():
            threading.Thread(target=switch.watch, daemon=True).start()
        super().run()
        self.stopped.set()
        for switch in self.switches.values():
            if switch.monitor:
                switch.monitor.terminate()


if __name__ == "__main__":
    SwitchAgents(Path(sys.argv[1]), dict(host.split("=", 1) for host in sys.argv[2:])).run()
