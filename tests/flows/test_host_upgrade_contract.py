"""What the upgrade of a host keeps, wherever it fails: nothing is lost, and it can be gone back."""

from __future__ import annotations

import pytest

from tests.flows.rolling_scenes import (
    STEPS,
    context,
    engine,
    failing_once,
    plan_for,
    software,
)
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.flows.host_upgrade.options import CHOICE
from upgrade_flows.model.report import State

OLD, NEW = "lab-1", "new"
BEFORE = STEPS[: STEPS.index("fence-host")]
FENCED = STEPS[STEPS.index("fence-host") : STEPS.index("open-host")]
AFTER = STEPS[STEPS.index("open-host") :]
STATES = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    yield made
    made.close()


def cloud_with(service=None):
    """Return a cloud whose h1 has instances of many states, one of which is to be stopped."""
    cloud = FakeCloud(hosts=("h1", "h2", "h3"))
    for status in STATES:
        cloud.add_server(status.lower(), host="h1", status=status)
    cloud.add_server("batch", host="h1", metadata={CHOICE: "poweroff"})
    cloud.add_server("other", host="h2")
    for name in cloud.world.hosts:
        cloud.world.hosts[name].installed = cloud.world.hosts[name].runs = OLD
    cloud.change_host("h1", **(service or {}))
    return cloud


class Case:
    """One run, whose first host is h1; what is left of it is told in words."""

    def __init__(self, journal, cloud, *hosts, **options):
        options.setdefault("canary_instance", {"flavor": "m1.small", "image": "debian"})
        options.setdefault("targets", ("h2", "h3"))
        self.journal, self.cloud = journal, cloud
        self.engine = engine(journal, cloud)
        self.id = self.engine.start(plan_for(cloud, *(hosts or ("h1",)), **options))

    def subject(self, name="h1"):
        return self.journal.subject(self.id, name)

    def instances(self):
        servers = self.cloud.direct.compute.servers()
        return {s.name: (s.status, s.locked, s.tags) for s in servers}

    def hosts(self):
        return {
            name: (record.host.enabled, record.host.disabled_reason, record.agent.alive)
            for name, record in self.cloud.world.hosts.items()
        }

    def end(self):
        return self.cloud.state(), software(self.cloud), self.subject().state


def undisturbed(tmp_path, cloud, *hosts, **options):
    journal = Journal.open(f"sqlite:///{tmp_path}/other.db")
    case = Case(journal, cloud, *hosts, **options)
    case.engine.run(case.id)
    journal.close()
    return case


def test_the_flow_is_closed():
    cloud = cloud_with()
    (action,) = plan_for(cloud, "h1", targets=("h2", "h3")).actions
    flow = capability.get("host_upgrade").change(context(cloud), action)
    assert flow.requires == frozenset()


def test_undisturbed_a_host_runs_what_was_wanted_and_is_in_service_as_before(journal):
    case = Case(journal, cloud_with())
    before = case.instances()
    assert case.engine.run(case.id) == "changed"
    assert software(case.cloud)["h1"] == (NEW, NEW)
    assert (case.instances(), case.hosts()["h1"]) == (before, (True, None, True))
    result = case.subject().result
    assert sorted(move["name"] for move in result["moves"]) == ["active", "paused", "shutoff"]
    assert [one["name"] for one in result["stayed"]] == ["suspended"]
    assert (len(result["stopped"]), result["rebooted"], result["leftovers"]) == (1, True, [])
    assert result["canary"].startswith("booted and removed: ACTIVE after ")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_works_and_then_fails_leaves_the_host_held_and_names_itself(
    journal, monkeypatch, step
):
    case = Case(journal, cloud_with())
    before = case.instances()
    failing_once(monkeypatch, f"{step}:h1")

    assert case.engine.run(case.id) == "parked"

    subject = case.subject()
    assert (subject.state, subject.error) == (
        State.HELD,
        f"{step}:h1: as was wanted of {step}:h1",
    )
    fenced = (False, f"upgrade-flows {case.id}: host upgrade", True)
    assert case.hosts()["h1"] == (fenced if step in FENCED else (True, None, True))
    now = case.instances()
    assert now.keys() == before.keys()
    assert "ERROR" not in {status for status, *_ in now.values()}
    del before["batch"], now["batch"]
    assert now == before


@pytest.mark.parametrize("step", STEPS)
def test_a_held_host_that_is_resumed_ends_as_if_nothing_had_happened(
    journal, monkeypatch, tmp_path, step
):
    wanted = undisturbed(tmp_path, cloud_with()).end()
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, f"{step}:h1")
    case.engine.run(case.id)

    assert case.engine.resume(case.id) == "changed"

    assert case.end() == wanted


@pytest.mark.parametrize("service", [{}, {"enabled": False, "disabled_reason": "bad fan"}])
@pytest.mark.parametrize("step", STEPS)
def test_a_held_host_that_is_rolled_back_is_as_it_was(journal, monkeypatch, step, service):
    case = Case(journal, cloud_with(service))
    hosts, instances = case.hosts(), case.instances()
    failing_once(monkeypatch, f"{step}:h1")
    case.engine.run(case.id)

    assert case.engine.rollback(case.id) == "undone"

    assert (case.subject().state, case.subject().residue) == (State.UNDONE, ())
    assert set(software(case.cloud).values()) == {(OLD, OLD)}
    assert (case.hosts(), case.instances()) == (hosts, instances)


@pytest.mark.parametrize("step", ["observe-host", "drain-host", "reboot-host", "bring-back"])
def test_a_held_host_that_is_skipped_stays_so_and_the_others_go_on(journal, monkeypatch, step):
    case = Case(journal, cloud_with(), "h1", "h2", "h3")
    failing_once(monkeypatch, f"{step}:h1")
    assert case.engine.run(case.id) == "parked"
    left = case.hosts()["h1"], software(case.cloud)["h1"]

    case.engine.skip(case.id, ["h1"])
    assert case.engine.resume(case.id) == "changed"

    states = {name: case.subject(name).state for name in ("h1", "h2", "h3")}
    assert states == {"h1": State.SKIPPED, "h2": State.CHANGED, "h3": State.CHANGED}
    assert (case.hosts()["h1"], software(case.cloud)["h1"]) == left


def test_a_host_that_was_skipped_can_be_rolled_back_later(journal, monkeypatch):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "verify-host:h1")
    case.engine.run(case.id)
    case.engine.skip(case.id, ["h1"])
    assert case.engine.rollback(case.id, ["h1"]) == "undone"
    assert (software(case.cloud)["h1"], case.hosts()["h1"]) == ((OLD, OLD), (True, None, True))


def test_a_host_that_has_not_begun_can_be_skipped(journal):
    case = Case(journal, cloud_with(), "h1", "h2")
    case.engine.skip(case.id, ["h1"])
    assert case.engine.resume(case.id) == "changed"
    assert software(case.cloud) == {"h1": (OLD, OLD), "h2": (NEW, NEW), "h3": (OLD, OLD)}


def test_a_finished_upgrade_can_be_taken_back(journal):
    case = Case(journal, cloud_with())
    hosts, instances = case.hosts(), case.instances()
    case.engine.run(case.id)
    assert case.engine.rollback(case.id) == "undone"
    assert (software(case.cloud)["h1"], case.hosts()) == ((OLD, OLD), hosts)
    assert case.instances() == instances
