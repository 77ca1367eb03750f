"""How many hosts are out of service together, and who goes first, whoever carries the run out."""

from __future__ import annotations

import json

import pytest

from tests.flows.rolling_scenes import (
    SharedBoard,
    conduct,
    engine,
    failing_once,
    plan_for,
    plugins,
    software,
)
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.cloud.fake.shared_clock import SharedClock
from upgrade_flows.engine.conductor import Conductor
from upgrade_flows.engine.orders import Orders
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout
from upgrade_flows.steps.base import Settings

HOSTS = ("h1", "h2", "h3", "h4", "h5", "h6")


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    yield made
    made.close()


def cloud_with(zones=()):
    cloud = FakeCloud(hosts=HOSTS)
    cloud.world.clock = SharedClock()
    for name in HOSTS:
        cloud.add_server(f"on-{name}", host=name)
    for zone, *names in zones:
        cloud.add_aggregate(zone, *names, zone=zone)
        for name in names:
            for server in cloud.direct.compute.servers(host=name):
                cloud.change_server(server.id, availability_zone=zone)
    return cloud


class Watch:
    """Counts the hosts that carry our reason, at each call of whoever works on the cloud."""

    def __init__(self, cloud):
        self.cloud, self.most, self.order = cloud, 0, []
        self.begun, self.most_of = {}, {}
        cloud.faults.hook(self)

    def __call__(self, call, args, phase):
        fenced = call == "compute.set_host_enabled" and phase == "after" and not args[1]
        if fenced and args[0] not in self.begun:
            self.order.append(args[0])
            self.begun[args[0]] = self.cloud.clock.time()
        out = [record.host for record in list(self.cloud.world.hosts.values())
               if (record.host.disabled_reason or "").startswith("upgrade-flows")]  # fmt: skip
        self.most = max(self.most, len(out))
        for zone in {host.availability_zone for host in out}:
            number = sum(host.availability_zone == zone for host in out)
            self.most_of[zone] = max(self.most_of.get(zone, 0), number)


def out_by_events(journal, run_id):
    """Return the most hosts that were between their first event and their last at once."""
    out, most = set(), 0
    for event in journal.events(run_id):
        if event.step.startswith("fence-host:") and event.what == "finished":
            out.add(event.subject)
        elif event.step.startswith("open-host:") and event.what == "finished":
            out.discard(event.subject)
        most = max(most, len(out))
    return most


def states(journal, run_id):
    return {name: str(one.state) for name, one in journal.subjects(run_id).items()}


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_never_more_hosts_are_out_of_service_than_the_operator_allows(journal, at_a_time):
    cloud = cloud_with()
    watch, made = Watch(cloud), engine(journal, cloud)
    run_id = made.start(plan_for(cloud, *HOSTS, rollout=Rollout(at_a_time=at_a_time)))
    assert made.run(run_id) == "changed"
    assert (watch.most, out_by_events(journal, run_id)) == (at_a_time, at_a_time)
    assert set(software(cloud).values()) == {("new", "new")}


def test_one_after_the_other_they_go_in_the_order_of_the_schedule(journal):
    cloud = cloud_with()
    watch, made = Watch(cloud), engine(journal, cloud)
    plan = plan_for(cloud, *HOSTS)
    made.run(made.start(plan))
    assert watch.order == [action.subject for action in plan.actions]


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_budget_that_is_exceeded_lets_nothing_more_begin(journal, monkeypatch, allowed):
    cloud = cloud_with()
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(at_a_time=3, max_failures=allowed))
    first = plan.actions[0].subject
    failing_once(monkeypatch, f"verify-host:{first}")
    made = engine(journal, cloud)
    run_id = made.start(plan)
    assert made.run(run_id) == "parked"
    found = states(journal, run_id)
    assert found[first] == State.HELD
    assert (State.PENDING in found.values()) == (allowed == 0)


def test_a_held_host_keeps_its_place_in_the_window(journal, monkeypatch):
    cloud = cloud_with()
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(at_a_time=2, max_failures=1))
    failing_once(monkeypatch, f"reboot-host:{plan.actions[0].subject}")
    watch, made = Watch(cloud), engine(journal, cloud)
    run_id = made.start(plan)
    assert made.run(run_id) == "parked"
    assert watch.most == 2
    found = states(journal, run_id)
    assert sorted(found.values()) == ["changed"] * 5 + ["held"]


def test_with_a_window_of_one_a_held_host_stops_all_until_it_is_skipped(journal, monkeypatch):
    cloud = cloud_with()
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(max_failures=2))
    first = plan.actions[0].subject
    failing_once(monkeypatch, f"reboot-host:{first}")
    made = engine(journal, cloud)
    run_id = made.start(plan)
    made.run(run_id)
    assert sorted(states(journal, run_id).values()) == ["held"] + ["pending"] * 5
    made.skip(run_id, [first])
    assert made.resume(run_id) == "changed"
    assert sorted(states(journal, run_id).values()) == ["changed"] * 5 + ["skipped"]


def test_the_others_wait_until_the_canary_has_baked(journal):
    cloud = cloud_with()
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(canaries=1), bake_s=1800, canary_hosts=("h4",))
    watch, made = Watch(cloud), engine(journal, cloud)
    run_id = made.start(plan)
    assert made.run(run_id) == "changed"
    assert watch.order[0] == "h4"
    baked = watch.begun[watch.order[1]] - journal.subject(run_id, "h4").ended
    assert 1800 <= baked < 1810


def test_a_run_that_is_resumed_goes_on_waiting_for_the_same_bake(journal):
    cloud = cloud_with()
    plan = plan_for(cloud, "h1", "h2", rollout=Rollout(canaries=1), bake_s=900)
    watch, made = Watch(cloud), engine(journal, cloud)
    run_id = made.start(plan)
    canary = plan.actions[0].subject

    def park(call, args, phase):
        if call == "compute.set_host_enabled" and args[1] and phase == "after":
            made.park()

    cloud.faults.hook(park)
    assert made.run(run_id) == "parked"
    if journal.subject(run_id, canary).state != State.CHANGED:
        cloud.faults._hooks.remove(park)
        made.park()
    cloud.faults._hooks[:] = [watch]
    cloud.clock.sleep(500)
    assert engine(journal, cloud).resume(run_id) == "changed"
    begun = watch.begun[watch.order[1]]
    assert 900 <= begun - journal.subject(run_id, canary).ended < 910


def test_a_zone_has_its_own_limit(journal):
    cloud = cloud_with((("az1", "h1", "h2", "h3"), ("az2", "h4", "h5", "h6")))
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(at_a_time=4), limits={"out_per_az": 1})
    watch, made = Watch(cloud), engine(journal, cloud)
    assert made.run(made.start(plan)) == "changed"
    assert watch.most_of == {"az1": 1, "az2": 1}


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_conductors_share_one_window(journal, monkeypatch, at_a_time):
    cloud = cloud_with()
    watch = Watch(cloud)
    plan = plan_for(cloud, *HOSTS, rollout=Rollout(at_a_time=at_a_time))
    run_id = Orders(journal, cloud.id).start(plan, submitted=True)
    tools = Tools(cloud, plugins(cloud), Settings(reboot_s=300.0), journal.vault)

    def observe(_run_id, event):
        if not event.subject:
            for one in made:
                one.stop()

    made = [
        Conductor(journal, SharedBoard(owner, cloud.clock), tools, owner=owner,
                  observer=observe, jobs=1)
        for owner in ("one", "two", "three")
    ]  # fmt: skip
    conduct(made, cloud.clock, monkeypatch)
    assert set(states(journal, run_id).values()) == {"changed"}
    assert watch.most == at_a_time
    if at_a_time > 1:
        assert len({event.owner for event in journal.events(run_id) if event.owner}) > 1


def test_conductors_begin_nothing_of_a_run_that_was_withdrawn(journal):
    cloud = cloud_with()
    orders = Orders(journal, cloud.id)
    run_id = orders.start(plan_for(cloud, "h1", "h2"), submitted=True)
    assert journal.claims.decide(run_id).jobs != ()
    orders.rollback(run_id)
    assert journal.claims.decide(run_id).jobs == ()
    assert orders.conclude(run_id) == "undone"


def test_what_happened_is_on_record_for_whoever_takes_over(journal):
    cloud = cloud_with()
    made = engine(journal, cloud)
    run_id = made.start(plan_for(cloud, "h1", "h2", "h3"))
    made.run(run_id)
    told = [
        (event.what, json.loads(event.detail)["name"], json.loads(event.detail)["source"])
        for event in journal.events(run_id)
        if event.what in ("moving", "moved", "unmoved")
    ]
    assert told.count(("moved", "on-h1", "h1")) == 1
    assert all(("moving", name, source) in told for what, name, source in told if what == "moved")


def test_other_hosts_that_may_take_instances_are_those_of_the_same_host_group(tmp_path):
    cloud = FakeCloud(hosts=("a1", "a2", "b1", "b2"))
    for group in ("a", "b"):
        cloud.add_aggregate(
            group, f"{group}1", f"{group}2", metadata={"upgrade_flows:host_group": "true"}
        )
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    run_id = engine(journal, cloud).start(plan_for(cloud, "a1", "a2", "b1", "b2"))
    decision = journal.claims.decide(run_id, at=cloud.clock.time())
    (host,) = decision.briefs
    (other,) = {f"{host[0]}1", f"{host[0]}2"} - {host}
    assert decision.briefs[host]["hosts"] == [other]
    journal.close()
