"""What the manual and the systemd unit say of the service is so."""

import configparser
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.service_fakes import Conductor
from tests.unit.test_docs import SOURCE, blocks
from tests.unit.test_service_settings import handlers  # noqa: F401
from upgrade_flows.engine.boards import address
from upgrade_flows.engine.records import Event
from upgrade_flows.service import notifications, settings
from upgrade_flows.service.metrics import Metrics
from upgrade_flows.steps.base import Settings as StepSettings
from upgrade_flows.steps.vault import Vault

UNIT = Path(__file__).parents[2] / "etc" / "systemd" / "upgrade-flows-conductor.service"
PAGE = (SOURCE / "operator" / "conductor.rst").read_text()


def test_the_example_of_the_configuration_is_understood(tmp_path):
    (text,) = blocks(PAGE, ".. code-block:: ini")
    path = tmp_path / "upgrade-flows.conf"
    path.write_text(text)
    conf = settings.read([f"--config-file={path}"])
    found = settings.load(conf)
    assert (found.cloud, found.jobs, found.ttl_s) == ("prod", 10, 30.0)
    assert found.health == ("127.0.0.1", 9899)
    board = address.parse(found.board)
    assert board.conf["ssl"] is True
    assert board.conf["ssl_ca_certs"] == "/etc/ssl/certs/board-ca.pem"
    pytest.importorskip("oslo_messaging")
    notifications.connect(conf, found.bus)


def test_every_metric_is_in_the_manual_and_no_other():
    metrics = Metrics("one", "1.0")
    metrics.watch(Conductor().status)
    text = generate_latest(metrics.registry).decode()
    ours = set()
    for family in text_string_to_metric_families(text):
        if family.name.startswith("upgrade_flows_") and not family.name.endswith("_created"):
            labels = {key for sample in family.samples for key in sample.labels} - {"le"}
            name = {"counter": "_total", "info": "_info"}.get(family.type, "")
            name = family.name.removesuffix(name) + name
            ours.add(name if "version" in labels else name + "".join(f"{{{k}}}" for k in labels))
    documented = re.findall(r"^   \* - ``(upgrade_flows_\w+(?:\{\w+\})?)``$", PAGE, re.M)
    assert set(documented) == ours
    assert len(documented) == len(ours) == 11


def test_the_example_of_a_notification_has_its_fields_in_their_order():
    (text,) = blocks(PAGE, ".. code-block:: json")
    example, sent = json.loads(text), []
    with notifications.Notifications(lambda *m: sent.append(m), lambda result: None) as told:
        event = Event(
            example["time"], example["subject"], "", "failed", example["detail"], example["owner"]
        )
        told.observe(example["run_id"], event)
    assert sent == [("error", "subject.failed", example)]
    assert list(sent[0][2]) == list(example)


def test_the_command_for_a_key_makes_one(tmp_path):
    (line,) = re.findall(r"# (python3 -c .*) > journal\.key$", PAGE, re.M)
    command = [sys.executable, *shlex.split(line)[1:]]
    made = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    (tmp_path / "key").write_bytes(made)
    vault = Vault.at(tmp_path / "key")
    assert vault.open(vault.seal("secret")) == "secret"


def unit():
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(UNIT)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_unit_starts_the_command_with_options_that_it_has():
    command, *arguments = unit()["Service"]["ExecStart"].split()
    assert command == "/opt/upgrade-flows/bin/upgrade-flows-conductor"
    assert arguments == ["--config-file", "/etc/upgrade-flows/upgrade-flows.conf"]


def test_the_unit_knows_the_exit_codes():
    service = unit()["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["SuccessExitStatus"] == "130 143"


def test_a_stop_has_the_time_that_the_longest_step_may_take():
    longest = max(vars(StepSettings()).values())
    assert int(unit()["Service"]["TimeoutStopSec"]) >= longest + 300


def test_the_unit_is_hardened():
    service = unit()["Service"]
    assert service["User"] == "upgrade-flows"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["UMask"] == "0077"
