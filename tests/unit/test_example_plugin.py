"""The example plugin of the manual installs, and takes part, without any change of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "doc" / "examples" / "example-plugin"

SCRIPT = """
import json
from upgrade_flows.model.inventory import Agent, Flavor, Image, Port, Server
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.vif import port_case

plugins = registry.load()
port = Port("p", "n", "fa:16:3e:00:00:01", vif_type="tap", vif_details={"queues": 1})
agent = Agent("a", "Example L2 agent", "h1", configurations={"tap_queues": 4})
case = port_case(plugins, port, agent)
image = Image("i", "i", "active", properties={"example_array": "true"})
small = Server("s", "s", "ACTIVE", image_id="i", flavor=Flavor("f", "f", 1, 1, 10))
big = Server("s", "s", "ACTIVE", image_id="i", flavor=Flavor("f", "f", 1, 1, 600))
print(json.dumps({
    "network": list(plugins.network),
    "storage": list(plugins.storage),
    "port": [case.bound, case.wanted, case.differs, case.plugin],
    "disk": plugins.storage_of(small, (), image),
    "refusals": [plugins.storage["array"].refusal(server, ()) for server in (small, big)],
}))
"""

CONTRACT = """
import pytest
from taskflow import engines
from tests.flows.scenes import Sabotage, sabotage
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.plugins import registry
from upgrade_flows.steps.base import Context

plugins = registry.load()
for victim in ("snapshot-server", "check-snapshot"):
    cloud = FakeCloud()
    server = cloud.add_server("web", host="h1", status="SHUTOFF")
    before = cloud.state()
    flow = plugins.storage["array"].carry(Context("run-1", cloud, plugins), server)
    assert flow.requires == frozenset()
    with pytest.raises(Sabotage):
        engines.run(sabotage(flow, f"{victim}:{server}"))
    assert cloud.state() == before, victim
"""


CHECK = """
import json
from types import SimpleNamespace
from upgrade_flows.checks import Sources, gate
from upgrade_flows.model.inventory import Agent

def looked(*agents):
    network = SimpleNamespace(agents=lambda: agents)
    report = gate(Sources(SimpleNamespace(network=network)), ["example"])
    return [report.exit_code, [one.subject for one in report.findings]]

one = Agent("a", "Example L2 agent", "h1", configurations={"tap_queues": 1})
four = Agent("b", "Example L2 agent", "h2", configurations={"tap_queues": 4})
print(json.dumps([looked(one, four), looked(four), looked()]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the plugin into a folder, and return an environment that has it."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(SOURCE, folder / "source")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    options = ["--no-deps", "--target", folder / "target"]
    subprocess.run([*command, *options, source], check=True, timeout=120)
    root = str(SOURCE.parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "target"), root])}


def python(script, environment):
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_plugins_take_part_and_go_before_the_librarys_own(installed):
    found = json.loads(python(SCRIPT, installed))
    assert found == {
        "network": ["tap", "ovs", "ovs-dpdk"],
        "storage": ["array", "rbd", "local", "volume"],
        "port": ["tap (queues=1)", "tap (queues=4)", True, "tap"],
        "disk": "array",
        "refusals": [None, "the array takes no snapshot of 600 GiB"],
    }


def test_the_installed_check_finds_what_it_is_for_and_nothing_else(installed):
    assert json.loads(python(CHECK, installed)) == [[1, ["h1"]], [0, []], [255, []]]


def test_a_failure_anywhere_in_the_plugins_flow_leaves_the_cloud_as_it_was(installed):
    python(CONTRACT, installed)


def test_without_the_plugin_nobody_knows_its_ports():
    root = str(SOURCE.parents[2])
    script = SCRIPT.replace('plugins.storage["array"].refusal(server, ())', "None")
    found = json.loads(python(script, {**os.environ, "PYTHONPATH": root}))
    assert found["port"] == ["tap", "tap", False, None]
