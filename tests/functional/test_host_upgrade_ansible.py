"""The same hosts by the operator's own playbook, through ansible-runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional import rolling
from tests.functional.instances import Wish, make
from tests.functional.rolling import FAKE, NEW_KERNEL, OLD_KERNEL, Rolling
from tests.lab import hosts, reset
from upgrade_flows.model.report import State

PLAYBOOKS = Path(__file__).resolve().parent / "playbooks"
OUT = 2


@pytest.fixture(scope="module")
def story(cloud, tmp_path_factory):
    reset.reset()
    hosts.old(*FAKE)
    runs = Rolling(cloud, tmp_path_factory.mktemp("journal"))
    make([Wish(f"played-{number}", f"fake{number}") for number in range(1, 5)])
    settings = {
        "playbook": str(PLAYBOOKS / "upgrade.yml"),
        "rollback_playbook": str(PLAYBOOKS / "rollback.yml"),
        "ssh_config": str(hosts.ssh_config()),
        "extra_vars": {"release": "2.0", "source": hosts.source("new")},
        "want": {"packages": {"lab-kernel": "2.0", "lab-agent": "2.0"}, "kernel": NEW_KERNEL},
    }
    plan = runs.plan(FAKE, out=OUT, plugin="ansible", settings=settings)
    run_id = runs.run(plan)
    seen = {
        "before": rolling.standing(),
        "software": {host: rolling.software(host) for host in FAKE},
        "unchanged": runs.plan(FAKE, plugin="ansible", settings=settings).unchanged,
    }
    yield {"runs": runs, "run": run_id, "plan": plan, **seen}
    runs.journal.close()
    hosts.old(*FAKE)


def test_every_host_is_brought_there_by_the_playbook_and_rebooted(story):
    records = story["runs"].journal.subjects(story["run"])
    found = {name: (record.state, record.error) for name, record in records.items()}
    assert found == dict.fromkeys(FAKE, (State.CHANGED, ""))
    for host in FAKE:
        assert story["software"][host]["kernel"] == NEW_KERNEL
        assert story["software"][host]["lab-agent"] == "2.0"
        assert story["software"][host]["configuration"] == "group = kvm; vhost_sock_dir = /new"


def test_no_instance_is_lost(story):
    names = {f"played-{number}" for number in range(1, 5)}
    assert {name: status for name, (_, status) in story["before"].items()} == dict.fromkeys(
        names, "ACTIVE"
    )


def test_never_more_hosts_are_out_of_service_than_allowed(story):
    assert 0 < story["runs"].out_at_most(story["run"]) <= OUT


def test_planned_again_there_is_nothing_to_do(story):
    assert sorted(story["unchanged"]) == sorted(FAKE)


def test_rolling_back_a_host_runs_the_other_playbook(story):
    story["runs"].engine().rollback(story["run"], ["fake6"])
    record = story["runs"].journal.subjects(story["run"])["fake6"]
    assert (record.state, record.error) == (State.UNDONE, "")
    assert rolling.software("fake6")["kernel"] == OLD_KERNEL
    assert rolling.says("fake6") == ("enabled", None)
