"""From assessed hosts to a schedule: order, predictions, what is left over and why."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.unit.hosts_samples import (
    PLUGINS,
    action,
    assessment,
    inventory,
    plan_of,
    request,
    sample,
    scheduled,
    server,
)
from upgrade_flows.errors import PlanChanged, RequestError
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Aggregate, Flavor, ServerGroup
from upgrade_flows.model.plan import Gate, Plan, Prediction
from upgrade_flows.model.request import Rollout
from upgrade_flows.planning import hosts, planner
from upgrade_flows.planning.rolling import Begin, Fleet, Rules, Run
from upgrade_flows.planning.rolling.check import check


def ids(made):
    return [(one.id, one.subject, one.severity) for one in made.findings]


def subjects(made):
    return [one.subject for one in made.actions]


def sound(schedule):
    """Let the validator look at a schedule."""
    fleet = codec.from_plain(Fleet, schedule["fleet"])
    rules = codec.from_plain(Rules, schedule["rules"])
    return check(fleet, rules, hosts.roll_of(schedule)) == []


def test_the_actions_are_in_the_order_in_which_their_hosts_begin():
    found = inventory([server(f"s{n}", f"h{n % 2 + 1}") for n in range(4)])
    made = scheduled(found, rollout=Rollout(2, max_failures=1))
    roll = hosts.roll_of(made.schedule)
    assert tuple(subjects(made)) == roll.order
    assert sorted(roll.order) == ["h1", "h2", "h3"]
    (wave,) = made.waves
    assert (wave.name, wave.at_a_time, wave.gate, wave.canary) == ("hosts", 2, Gate(1), False)
    assert wave.actions == made.actions
    assert made.findings == ()
    assert sound(made.schedule)


def test_an_action_is_predicted_to_take_as_long_as_its_host_is_out_of_service():
    found = inventory([server("a", "h1"), server("b", "h1")])
    predicted = {one.subject: one.prediction for one in scheduled(found).actions}
    assert predicted == {
        "h1": Prediction(0.0, 960.0, "schedule"),  # both move at the same time
        "h2": Prediction(0.0, 900.0, "schedule"),
        "h3": Prediction(0.0, 900.0, "schedule"),
    }


def test_without_anything_to_do_there_is_no_schedule():
    assert hosts.schedule(request(), inventory(), Assessment(), PLUGINS) == hosts.Scheduled()


def test_a_wrong_limit_is_refused_also_when_there_is_nothing_to_do():
    with pytest.raises(RequestError, match="unknown limit"):
        hosts.schedule(request(limits={"x": 1}), inventory(), Assessment(), PLUGINS)


def test_a_run_goes_on_from_the_ground_that_was_planned_on():
    plan = Plan.from_json(sample().to_json())
    ground = hosts.ground_of(plan.schedule, PLUGINS)
    roll = hosts.roll_of(plan.schedule)
    assert ground.variant == roll.variant
    begun = [order.host for order in Run(ground).decide(0) if isinstance(order, Begin)]
    assert begun == [window.host for window in roll.windows if window.start == 0]


def test_a_plan_with_a_schedule_is_the_same_after_it_was_written_and_read():
    plan = sample()
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.computed_digest() == plan.digest
    assert sound(plan.schedule)


def test_an_edited_schedule_is_noticed():
    plain = json.loads(sample().to_json())
    plain["schedule"]["rules"]["limits"]["out_of_service"] = 9
    with pytest.raises(PlanChanged, match="was edited"):
        Plan.from_json(json.dumps(plain)).check_for(plain["cloud_id"])


def test_a_plan_from_before_there_were_schedules_keeps_its_digest():
    plan = dataclasses.replace(sample(), waves=(), schedule={}, findings=())
    plain = codec.to_plain(dataclasses.replace(plan, digest=""))
    del plain["schedule"]
    assert plan.computed_digest() == codec.digest(plain)


def test_a_host_that_cannot_be_emptied_is_refused_and_its_reason_names_instances_by_name():
    big = Flavor("b", "big", 6, 2048, 10)
    servers = [server("a", "h1", big), server("b", "h2", Flavor("m", "mid", 4, 1, 1))]
    found = inventory(servers, ("h1", "h2"), used={"h1": 6, "h2": 4})
    made = scheduled(found)
    assert subjects(made) == []
    assert made.waves == ()
    assert ids(made)[:3] == [
        ("UF-HP-001", "h1", "refused"),
        ("UF-HP-001", "h2", "refused"),
        ("UF-HP-005", "all hosts", "refused"),
    ]
    assert made.findings[2].message == (
        "none of the hosts can be emptied: 6 VCPU have to leave h1, and 4 are free on the other"
        " hosts of the plan"
    )


def test_hosts_that_can_be_upgraded_are_although_another_cannot():
    big = Flavor("b", "big", 7, 2048, 10)
    servers = [server("a", "h1", big), server("b", "h2"), server("c", "h3")]
    found = inventory(servers, used={"h1": 7, "h2": 2, "h3": 2}, vcpus=7)
    made = scheduled(found)
    assert sorted(subjects(made)) in (["h1", "h2", "h3"], ["h2", "h3"])
    assert sound(made.schedule)


def test_hosts_are_kept_as_the_last_where_leaving_them_out_would_cost_others():
    """h1's free room is what the others need, and nobody has room for what is on h1."""
    large = Flavor("l", "large", 6, 1, 1)
    servers = [server("a", "h1", large), server("b", "h2", Flavor("m", "mid", 4, 1, 1)),
               server("c", "h3", Flavor("m", "mid", 4, 1, 1))]  # fmt: skip
    found = inventory(servers, used={"h1": 6, "h2": 4, "h3": 4}, vcpus=5)
    found.rooms["h1"] = dataclasses.replace(found.rooms["h1"], capacity={
        "VCPU": 10, "MEMORY_MB": 65536, "DISK_GB": 1000})  # fmt: skip
    made = scheduled(found)
    assert subjects(made)[-1] == "h1"
    assert len(subjects(made)) == 3
    assert made.actions[-1].prediction == Prediction(0.0, 0.0, "unknown")
    assert ids(made) == [("UF-HP-002", "h1", "warning")]
    assert "it comes last, and as predicted it will not be upgraded" in made.findings[0].message


def test_a_group_that_has_nowhere_to_go_is_told():
    servers = [server(name, host) for name, host in (("a", "h1"), ("b", "h2"), ("c", "h3"))]
    group = ServerGroup("g", "apart", "anti-affinity", ("a", "b", "c"))
    made = scheduled(inventory(servers, groups=(group,)))
    (finding,) = [one for one in made.findings if one.id == "UF-HP-006"]
    assert finding.evidence == {"name": "apart"}
    assert "keeps 3 instances apart, and there are 3 hosts for them" in finding.message


def test_too_little_spare_room_is_told():
    found = inventory([server(f"s{n}", f"h{n % 3 + 1}") for n in range(9)])
    made = scheduled(found, limits={"spare": 0.5})
    (finding,) = [one for one in made.findings if one.id == "UF-HP-007"]
    assert finding.subject == "availability zone nova"
    assert finding.message.startswith("25% of VCPU is free before anything begins, and 50% shall")


def test_a_host_in_no_host_group_is_refused_and_instances_stay_in_theirs():
    servers = [server("a", "h1"), server("b", "h3")]
    names = ("h1", "h2", "h3", "h4", "h5")
    aggregates = (Aggregate("1", "left", ("h1", "h2")), Aggregate("2", "right", ("h3", "h4")))
    found = inventory(servers, names, aggregates=aggregates)
    made = scheduled(found, host_groups=["left", "right"])
    assert ids(made) == [("UF-HG-001", "h5", "refused")]
    assert sorted(subjects(made)) == ["h1", "h2", "h3", "h4"]
    moves = {one.instance: one.target for one in hosts.roll_of(made.schedule).moves}
    assert moves == {"a": "h2", "b": "h4"}
    assert hosts.ground_of(made.schedule, PLUGINS).fleet.hosts


def test_host_groups_must_be_names_or_metadata():
    with pytest.raises(RequestError, match="it must be a list of aggregates, 'metadata' or 'none'"):
        scheduled(inventory(), host_groups=7)


def test_host_groups_may_have_policies_of_their_own():
    said = {"upgrade_flows:host_group": "true"}
    aggregates = (
        Aggregate("1", "left", ("h1", "h2"), "", said | {"upgrade_flows:placement": "packing"}),
        Aggregate("2", "right", ("h3", "h4"), "", said),
    )
    found = inventory([server("a", "h1")], ("h1", "h2", "h3", "h4"), aggregates=aggregates)
    made = scheduled(found, host_groups="metadata", placement="striping")
    assert made.schedule["policies"] == {
        "h1": "packing", "h2": "packing", "h3": "striping", "h4": "striping",
    }  # fmt: skip
    ground = hosts.ground_of(made.schedule, PLUGINS)
    assert set(ground.cost) == {"h1", "h2", "h3", "h4"}


def test_a_policy_looks_at_hosts_as_they_are_and_others_are_there_as_one_that_stays():
    found = inventory([server("a", "h1")], used={"h1": 2, "h2": 6, "h3": 1})
    made = scheduled(found, "h1", unchanged=["h2", "h3"], placement="striping")
    assert made.schedule["policy"] == "striping"
    (move,) = hosts.roll_of(made.schedule).moves
    assert move.target == "h3"
    fleet = codec.from_plain(Fleet, made.schedule["fleet"])
    assert {one.id: one.demand["VCPU"] for one in fleet.instances} == {
        "a": 2, "others on h2": 6, "others on h3": 1,
    }  # fmt: skip
    assert {host.capacity["VCPU"] for host in fleet.hosts} == {8}


def test_a_policy_that_is_not_installed_is_refused():
    with pytest.raises(RequestError, match="no placement policy 'best'"):
        scheduled(inventory(), placement="best")


def test_what_a_policy_does_not_know_is_told_once():
    found = inventory([server("a", "h1")], facts={"h1": {"cpu_utilization": 0.1}})
    made = scheduled(found, placement="cpu_utilization_balance")
    (finding,) = [one for one in made.findings if one.id == "UF-HP-009"]
    assert "of h2 is not known (and so it is with 1 more hosts)" in finding.message


def test_a_plan_of_hosts_is_made_from_request_to_digest(monkeypatch):
    found, told = inventory([server("a", "h1")]), []

    class Module:
        rolls = True

        @staticmethod
        def look(request, inventory, plugins, tell):
            tell("3 of 3 hosts looked at")
            return dataclasses.replace(inventory, facts={"h1": {"kernel": "6.1"}})

        @staticmethod
        def assess(request, inventory, plugins):
            assert inventory.facts
            return assessment(inventory, "h1", "h2", unchanged=("h3",))

    monkeypatch.setattr(planner.capability, "get", lambda name: Module)
    plan = planner.make_plan(request("h1", "h2"), found, PLUGINS, tell=told.append)
    assert told == ["3 of 3 hosts looked at"]
    assert plan.unchanged == ("h3",)
    plan.check_for("cloud")
    assert hosts.roll_of(plan.schedule).order == tuple(one.subject for one in plan.actions)


def test_an_instance_that_is_stopped_pauses_as_long_as_its_host_is_away():
    found = inventory([server("a", "h1")])
    made = scheduled(found, how={"a": "poweroff"})
    assert hosts.roll_of(made.schedule).pauses == {"a": 900.0}


def test_canaries_come_first():
    found = inventory([server("a", "h1"), server("b", "h1")])
    made = scheduled(found, canary_hosts=["h1"], bake_s=300)
    windows = hosts.roll_of(made.schedule).windows
    assert windows[0].host == "h1"
    assert windows[1].start == windows[0].end + 300


def test_the_samples_are_what_they_are_said_to_be():
    found = inventory([server("a", "h1")])
    assert plan_of(found, scheduled(found)).action("h1").details["instances"]["a"]["how"] == "live"
    assert action(found, "h1").subject == "h1"
