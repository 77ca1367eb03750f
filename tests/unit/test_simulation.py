"""A rolling upgrade is played through as its plan says, and as it goes when things go wrong."""

import dataclasses
import json
import logging
import subprocess
import sys

import pytest

from tests.flows.rolling_scenes import plan_of, request_for
from tests.unit.cli_samples import PLAN, FakeWiring, cli
from upgrade_flows import library
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.errors import PlanChanged, RequestError
from upgrade_flows.model.request import Rollout
from upgrade_flows.planning.hosts import ground_of, roll_of
from upgrade_flows.simulation import WhatIf
from upgrade_flows.simulation import scene as scenes


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def cloud_of(hosts=6, each=3):
    cloud = FakeCloud([f"h{number}" for number in range(hosts)])
    flavor = cloud.add_flavor("medium", 2, 4096, 20)
    for number in range(hosts):
        for other in range(each):
            cloud.add_server(f"vm-{number}-{other}", f"h{number}", flavor=flavor)
    return cloud


def planned(cloud=None, at_a_time=2, max_failures=0, **options):
    cloud = cloud or cloud_of()
    request = request_for(*cloud.world.hosts, rollout=Rollout(at_a_time, max_failures), **options)
    return plan_of(cloud, request)


@pytest.fixture(scope="module")
def plan():
    return planned()


def played(plan, **faults):
    return library.simulate(plan, WhatIf(**faults))


def test_without_faults_all_goes_as_predicted(plan):
    found = played(plan)
    assert (found.complete, found.state, found.held, found.pending) == (True, "changed", {}, ())
    assert found.simulated_s == pytest.approx(found.predicted_s, rel=0.03)
    assert found.bound_s <= found.simulated_s
    roll = roll_of(plan.schedule)
    assert (found.moves, found.failed_moves) == (roll.moved.total(), 0)
    assert (found.unmoved, found.exceeded) == ((), ())
    most = {peak.what: peak.most for peak in found.peaks}
    assert most["hosts out of service"] == 2
    assert 1 <= most["migrations of one host"] <= 2


def test_the_report_of_the_run_has_simulated_times(plan):
    found = played(plan)
    report = found.report
    assert report.ended - report.started == found.simulated_s
    assert {outcome.state for outcome in report.outcomes} == {"changed"}
    assert max(outcome.ended for outcome in report.outcomes) == report.ended


def test_the_same_seed_brings_the_same_and_another_one_something_else():
    plan = planned(cloud_of(8, 4), at_a_time=3, max_failures=8)
    faults = {"migrations_fail": 0.2, "migrations_stuck": 0.05, "hosts_fail": 0.2}
    one, again, other = (played(plan, seed=seed, **faults) for seed in (1, 1, 2))
    assert one == again
    assert dataclasses.replace(one, what_if=other.what_if) != other


def test_another_process_gets_the_same(plan, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    code = (
        "import sys; from upgrade_flows.cli.main import main;"
        "sys.exit(main(['simulate', sys.argv[1], '--migrations-fail', '0.3', '--seed', '5',"
        " '-f', 'json']))"
    )
    command = [sys.executable, "-c", code, str(path)]
    made = [
        subprocess.run(command, env={"PYTHONHASHSEED": seed, "XDG_STATE_HOME": str(tmp_path)},
                       capture_output=True, text=True, check=True, timeout=60).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert made[0] == made[1]
    assert json.loads(made[0])["failed_moves"] > 0


def test_migrations_that_fail_are_tried_again_elsewhere(plan):
    found = played(plan, migrations_fail=0.1, seed=1)
    assert found.complete
    assert found.failed_moves > 0
    assert found.exceeded == ()
    assert found.simulated_s > found.predicted_s


def test_too_many_hosts_that_do_not_come_back_stop_it():
    found = played(planned(max_failures=1), hosts_fail=1.0)
    assert not found.complete
    assert len(found.held) == 2
    assert all("did not come back" in why for why in found.held.values())
    assert len(found.pending) == found.hosts - 2
    assert "2 failed" in found.halted


def test_a_host_that_is_held_holds_its_place_and_the_others_go_on():
    found = played(planned(max_failures=6), hosts_fail=0.2, seed=0)
    assert set(found.held) == {"h4"}
    assert found.upgraded + len(found.held) == found.hosts
    assert found.halted == ""
    assert {peak.what: peak.most for peak in found.peaks}["hosts out of service"] == 2


@pytest.mark.parametrize(
    ("options", "complete"), [({}, False), ({"may_pause": True}, True), ({"may_cold": True}, True)]
)
def test_migrations_that_never_converge_end_as_the_options_allow(options, complete):
    found = played(planned(**options), migrations_stuck=1.0)
    assert found.complete is complete
    assert bool(found.unmoved) is not complete
    if not complete:
        assert found.unmoved[0].host in found.held
        assert "cancelled" in found.unmoved[0].why


def test_what_takes_longer_takes_longer(plan):
    found = played(plan, slower=2.0)
    assert found.complete
    assert found.simulated_s == pytest.approx(2 * found.predicted_s, rel=0.03)


def test_deadlines_of_the_flows_hold_in_a_simulation(plan):
    found = played(plan, slower=10.0)
    assert not found.complete
    assert any("3 attempts" in why or "come back" in why for why in found.held.values())


def test_instances_of_all_kinds_end_as_their_plan_says():
    cloud = cloud_of(4, 1)
    stays = cloud.add_server("asleep", "h0", status="SUSPENDED")
    stopped = cloud.add_server("kept", "h0", metadata={"upgrade_flows:maintenance": "poweroff"})
    off = cloud.add_server("off", "h1", status="SHUTOFF")
    cold = cloud.add_server("restarted", "h1", metadata={"upgrade_flows:maintenance": "cold"})
    cloud.add_server("paused", "h2", status="PAUSED")
    cloud.add_server("shelved", "h2", status="SHELVED")
    group = cloud.add_group("anti-affinity")
    for host in ("h0", "h2"):
        cloud.add_server(f"apart-{host}", host, group=group)
    found = played(planned(cloud, at_a_time=1, max_failures=1))
    assert found.held == {}
    assert found.complete
    assert found.exceeded == ()
    outcomes = {outcome.subject: outcome.result for outcome in found.report.outcomes}
    assert [one["instance"] for one in outcomes["h0"]["stayed"]] == [stays]
    assert outcomes["h0"]["stopped"] == [stopped]
    hows = {move["instance"]: move["how"] for one in outcomes.values() for move in one["moves"]}
    assert (hows[off], hows[cold]) == ("cold", "cold")


def test_hosts_that_are_never_rebooted_do_not_fail_to_come_back():
    found = played(planned(reboot="never"), hosts_fail=1.0)
    assert found.complete
    assert {outcome.result["rebooted"] for outcome in found.report.outcomes} == {False}
    assert found.simulated_s == pytest.approx(found.predicted_s, rel=0.03)


def test_canaries_are_waited_for():
    rollout = Rollout(2, 0, canaries=1)
    cloud = cloud_of()
    made = plan_of(cloud, request_for(*cloud.world.hosts, rollout=rollout, bake_s=3600))
    found = played(made)
    assert found.complete
    assert found.exceeded == ()
    assert found.simulated_s == pytest.approx(found.predicted_s, rel=0.03)


def test_the_cloud_of_a_simulation_holds_what_the_plan_says(plan):
    ground = ground_of(plan.schedule, library.plugins())
    cloud = scenes.build(plan, ground)
    fleet = ground.fleet
    assert set(cloud.world.instances) == {one.id for one in fleet.instances}
    for host in fleet.hosts:
        used = cloud.world.hosts[host.name].used
        here = [one.demand for one in fleet.instances if one.host == host.name]
        assert used["VCPU"] == sum(demand["VCPU"] for demand in here)
        assert cloud.world.hosts[host.name].capacity == host.capacity
    assert scenes.plan_for(cloud, plan).cloud_id == cloud.id


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"migrations_fail": 1.5}, "migrations-fail is 1.5; it must be from 0 to 1"),
        ({"hosts_fail": -0.1}, "hosts-fail is -0.1"),
        ({"migrations_stuck": float("nan")}, "migrations-stuck is nan"),
        ({"slower": 0.0}, "slower is 0; it must be above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(plan, faults, said):
    with pytest.raises(RequestError, match=said):
        played(plan, **faults)


def test_a_plan_without_a_schedule_or_one_that_was_edited_is_refused(plan):
    with pytest.raises(RequestError, match="only rolling upgrades of hosts can be simulated"):
        played(PLAN)
    with pytest.raises(PlanChanged, match="was edited"):
        played(dataclasses.replace(plan, unchanged=("h9",)))


class Wiring(FakeWiring):
    plugins = library.plugins()


def test_the_command_shows_what_came_of_it_and_writes_the_report(plan, tmp_path):
    path, page = tmp_path / "plan.json", tmp_path / "what-if.html"
    path.write_text(plan.to_json())
    code, out, _ = cli("simulate", str(path), "--report", str(page), wiring=Wiring())
    assert code == 0
    assert out.startswith("All of 6 hosts are upgraded after ")
    assert "Seed: " in out
    assert "hosts out of service" in out
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_the_command_answers_also_if_hosts_fail_and_logs_nothing_of_it(plan, tmp_path, caplog):
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    options = ("--hosts-fail", "1", "--seed", "3", "-f", "json")
    code, out, _ = cli("simulate", str(path), *options, wiring=Wiring())
    found = json.loads(out)
    assert (code, found["complete"], found["what_if"]["seed"]) == (0, False, 3)
    assert found["held"]
    assert [record for record in caplog.records if record.name.startswith("upgrade_flows")] == []


@pytest.mark.parametrize("options", [("--slower", "0"), ("--hosts-fail", "2")])
def test_the_command_refuses_bad_numbers(plan, tmp_path, options):
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    code, _, err = cli("simulate", str(path), *options, wiring=Wiring())
    assert (code, "must be" in err) == (2, True)


def test_the_command_refuses_a_plan_of_instances(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(PLAN.to_json())
    code, _, err = cli("simulate", str(path), wiring=Wiring())
    assert (code, "has no schedule" in err) == (2, True)
