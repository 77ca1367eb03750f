"""What goes wrong with a host on its way, what is done about it, and what operators may do."""

from __future__ import annotations

import pytest

from tests.flows.rolling_scenes import engine, failing_once, plan_for, plugins, software
from tests.flows.test_host_upgrade_contract import NEW, OLD, Case, cloud_with
from upgrade_flows import errors
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State

BAD_FAN = {"enabled": False, "disabled_reason": "bad fan"}
CANARY = {"flavor": "m1.small", "image": "debian"}


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    yield made
    made.close()


def held(case, why):
    """Run a case, and make sure that its host is held for a reason."""
    assert case.engine.run(case.id) == "parked"
    subject = case.subject()
    assert (subject.state, why in subject.error) == (State.HELD, True), subject.error


def at(case, call, do, phase="before", subject=None):
    """Have something done once, at a call."""
    done = []

    def hook(name, args, when):
        if name == call and when == phase and (subject in (None, *args[:1])) and not done:
            done.append(True)
            do()

    case.cloud.faults.hook(hook)


def test_a_host_that_was_disabled_stays_so_with_the_very_reason_and_gets_no_canary(journal):
    case = Case(journal, cloud_with(BAD_FAN))
    assert case.engine.run(case.id) == "changed"
    assert case.hosts()["h1"] == (False, "bad fan", True)
    assert case.subject().result["canary"] == (
        "none: the host was disabled before, and is so again"
    )


def test_the_reason_that_somebody_gives_meanwhile_is_left_and_reported_when_taken_back(
    journal, monkeypatch
):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "verify-host:h1")
    case.engine.run(case.id)
    case.cloud.change_host("h1", **BAD_FAN)

    assert case.engine.rollback(case.id) == "residue"

    assert [(left.step, left.why) for left in case.subject().residue] == [
        (
            "fence-host:h1",
            "host h1 was enabled, and somebody has disabled it (bad fan) meanwhile: left so",
        )
    ]
    assert (case.hosts()["h1"], software(case.cloud)["h1"]) == (
        (False, "bad fan", True),
        (OLD, OLD),
    )


def test_a_host_that_somebody_disables_after_its_upgrade_keeps_that_when_taken_back(journal):
    case = Case(journal, cloud_with())
    case.engine.run(case.id)
    case.cloud.change_host("h1", **BAD_FAN)
    assert case.engine.rollback(case.id) == "residue"
    assert (case.hosts()["h1"], software(case.cloud)["h1"]) == (
        (False, "bad fan", True),
        (OLD, OLD),
    )


def test_a_host_is_not_given_back_over_somebody_elses_reason(journal, monkeypatch):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "verify-host:h1")
    case.engine.run(case.id)
    case.cloud.change_host("h1", **BAD_FAN)
    case.engine.resume(case.id)
    assert case.subject().error == (
        "open-host:h1: host h1 was enabled, and somebody has disabled it (bad fan) meanwhile:"
        " left so"
    )
    case.cloud.change_host("h1", enabled=True, disabled_reason=None)
    assert case.engine.resume(case.id) == "changed"


def test_a_host_whose_service_changed_before_it_was_fenced_is_not_fenced(journal, monkeypatch):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "look-at-host:h1")
    case.engine.run(case.id)
    case.cloud.change_host("h1", **BAD_FAN)
    case.engine.resume(case.id)
    assert case.subject().error == (
        "fence-host:h1: host h1 was enabled, and somebody has disabled it (bad fan) meanwhile:"
        " make it as it was, and resume the run; or roll it back, and plan anew"
    )
    assert case.hosts()["h1"] == (False, "bad fan", True)


def test_a_host_that_is_not_as_planned_when_its_turn_comes_is_refused_untouched(journal):
    case = Case(journal, cloud_with())
    case.cloud.change_host("h1", **BAD_FAN)
    assert case.engine.run(case.id) == "failed"
    assert (case.subject().state, case.hosts()["h1"]) == (State.REFUSED, (False, "bad fan", True))


def test_a_canary_that_does_not_boot_fences_the_host_and_is_removed_and_tried_anew(journal):
    case = Case(journal, cloud_with())
    before = case.instances()
    case.cloud.faults.break_result("compute.create", times=1)
    held(case, "prove-with-canary:h1: ")
    fenced = (False, f"upgrade-flows {case.id}: host upgrade", True)
    assert (case.hosts()["h1"], case.instances()) == (fenced, before)

    assert case.engine.resume(case.id) == "changed"
    assert (case.hosts()["h1"], case.instances()) == ((True, None, True), before)


def test_a_host_that_does_not_come_back_is_held_and_goes_on_once_it_is_up(journal):
    case = Case(journal, cloud_with())
    case.cloud.faults.stuck("host.reboot", times=1)
    held(case, "reboot-host:h1: host h1 did not come back within 300 s")
    record = case.cloud.world.hosts["h1"]
    for operation in [one for *_, one in case.cloud.world.operations if one.call == "host.reboot"]:
        case.cloud.world.operations.clear()
        operation.due = record.back = case.cloud.clock.time() + 1
        case.cloud.world.schedule(operation)
    assert case.engine.resume(case.id) == "changed"
    assert (software(case.cloud)["h1"], record.boots) == ((NEW, NEW), 1)


def test_an_instance_that_comes_after_the_drain_is_moved_before_the_host_is_rebooted(
    journal, monkeypatch
):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "drain-host:h1")
    case.engine.run(case.id)
    late = []
    at(
        case, "compute.stop", lambda: late.append(case.cloud.add_server("late", host="h1")),
        phase="after",
    )  # fmt: skip
    assert case.engine.resume(case.id) == "changed"
    server = case.cloud.direct.compute.server(late[0])
    assert (server.host, server.status) == ("h2", "ACTIVE")


def test_a_host_on_which_an_instance_was_started_meanwhile_is_not_rebooted(journal, monkeypatch):
    case = Case(journal, cloud_with())
    failing_once(monkeypatch, "install-release:h1")
    case.engine.run(case.id)
    late = case.cloud.add_server("late", host="h1")

    assert case.engine.resume(case.id) == "parked"

    assert case.subject().error == (
        f"reboot-host:h1: h1 is not rebooted: late ({late}) is ACTIVE and runs; move it away or"
        " stop it, and resume the run"
    )
    assert case.cloud.world.hosts["h1"].boots == 0
    case.cloud.direct.compute.delete(late)
    case.cloud.clock.sleep(10)
    assert case.engine.resume(case.id) == "changed"


def test_one_host_that_is_taken_back_does_not_keep_the_others_from_going_on(journal, monkeypatch):
    case = Case(journal, cloud_with(), "h1", "h2", "h3")
    failing_once(monkeypatch, "verify-host:h1")
    case.engine.run(case.id)
    case.engine.rollback(case.id, ["h1"])
    case.engine.resume(case.id)
    states = {name: case.subject(name).state for name in ("h1", "h2", "h3")}
    assert states == {"h1": State.UNDONE, "h2": State.CHANGED, "h3": State.CHANGED}


def test_instances_come_back_where_the_operator_wants_that(journal):
    cloud = cloud_with()
    shelved = cloud.add_server("shelved", host="h1", status="SHELVED")
    before = {s.id: s.host for s in cloud.direct.compute.servers()}
    case = Case(journal, cloud, bring_back=True)
    assert case.engine.run(case.id) == "changed"
    assert {s.id: s.host for s in cloud.direct.compute.servers()} == {**before, shelved: ""}
    returned = sorted((m["name"], m["target"]) for m in case.subject().result["returned"])
    assert returned == [("active", "h1"), ("paused", "h1"), ("shutoff", "h1")]


def test_a_run_that_is_parked_in_the_middle_of_a_drain_goes_on_later(journal):
    case = Case(journal, cloud_with(), limits={"migrations_per_host": 1})
    at(case, "compute.live_migrate", lambda: case.engine.park())
    assert case.engine.run(case.id) == "parked"
    assert case.subject().state == State.PARKED
    assert case.cloud.direct.compute.migrations_of_host("h1") == ()
    assert case.cloud.count("compute.live_migrate") == 1

    assert case.engine.resume(case.id) == "changed"
    moves = case.subject().result["moves"]
    assert sorted(move["name"] for move in moves) == ["active", "paused", "shutoff"]


def test_an_instance_that_another_run_has_begun_is_waited_for_and_named(journal, monkeypatch):
    case = Case(journal, cloud_with())
    held_by = {}

    def busy(lease, subject, keeper):
        held_by[subject] = True
        raise errors.SubjectBusy(f"{subject} is held in run run-2")

    monkeypatch.setattr(journal.claims, "hold", busy)
    held(case, "could not leave h1: ")
    assert len(held_by) == 3
    assert case.subject().error.count("is held in run run-2") == 3


def test_without_the_plugin_a_host_is_not_touched(journal):
    cloud = cloud_with()
    plan = plan_for(cloud, "h1", targets=("h2",))
    made = engine(journal, cloud)
    known = plugins(cloud)
    object.__setattr__(made._tools, "plugins", type(known)(known.network, known.storage, {}, {}))
    run_id = made.start(plan)
    assert made.run(run_id) == "parked"
    assert "there is no host plugin 'simulated'" in journal.subject(run_id, "h1").error
    assert cloud.world.hosts["h1"].host.enabled
