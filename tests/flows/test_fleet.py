"""A fleet: one instance is captured, and the others are updated live from its image."""

from __future__ import annotations

import pytest

from tests.flows.live_scenes import registry_for, serving
from tests.flows.scenes import PLUGINS
from upgrade_flows import errors
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning import planner
from upgrade_flows.reports import build
from upgrade_flows.steps.base import Settings

MANY = 10


def fleet(volume_backed):
    """Return a cloud with as many instances, each with a data volume, that serve; and their ids."""
    cloud = FakeCloud(hosts=("h1", "h2", "h3"))
    ids = [
        cloud.add_server(f"web-{n}", host=f"h{n % 3 + 1}", boot_volume=volume_backed,
                         data_volumes=1, delete_on_termination=True)
        for n in range(MANY)
    ]  # fmt: skip
    for server in ids:
        cloud.guests[server] = {"serves": True}
    return cloud, ids


def run(cloud, journal, request):
    """Plan a request, carry it out, and return the report of the run."""
    plugins = registry_for(cloud, "hot") if request.capability == "live_update" else PLUGINS
    plan = planner.make_plan(request, collect(cloud, request.scope), plugins)
    assert [one for one in plan.findings if one.severity == "refused"] == []
    engine = Engine(journal, cloud, plugins, Settings(calls_at_a_time=1))
    run_id = engine.start(plan)
    engine.run(run_id)
    return engine, build.build(journal, run_id)


def captured(cloud, journal, server):
    request = UpgradeRequest("capture", Scope(servers=(server,)), Target(options={"name": "gold"}))
    engine, report = run(cloud, journal, request)
    assert engine.commit(report.run_id) == "settled"
    return report.outcomes[0].result["image"]


def rolled(cloud, journal, servers, **rollout):
    options = {"image": "gold", "workload": "simulated", "probes": [{"ssh": "true"}]}
    scope, pace = Scope(servers=tuple(servers)), Rollout(**rollout)
    return run(cloud, journal, UpgradeRequest("live_update", scope, Target(options=options), pace))


@pytest.fixture
def journal(tmp_path):
    opened = Journal.open(f"sqlite:///{tmp_path}/journal.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("volume_backed", [False, True])
def test_the_rest_of_a_fleet_is_updated_from_one_image_and_keeps_its_data_volumes(
    journal, monkeypatch, volume_backed
):
    cloud, (first, *rest) = fleet(volume_backed)
    data = {
        server: [v.volume_id for v in cloud.direct.compute.attachments(server) if v.boot_index != 0]
        for server in rest
    }
    image = captured(cloud, journal, first)
    monkeypatch.setattr("upgrade_flows.steps.guest_probes.await_ready", lambda *_, **__: None)

    engine, report = rolled(cloud, journal, rest, canaries=1, at_a_time=3)

    assert {outcome.state for outcome in report.outcomes} == {State.CHANGED}
    assert len(serving(cloud)) == MANY
    engine.commit(report.run_id)
    for outcome in report.outcomes:
        new = outcome.result["server_id"]
        held = {v.boot_index: v.volume_id for v in cloud.direct.compute.attachments(new)}
        assert [held[None]] == data[outcome.subject]
        if volume_backed:
            root = cloud.direct.volumes.volume(held[0])
            assert root.name.endswith(f"/create-boot-volume:{outcome.subject}")
        else:
            assert cloud.direct.compute.server(new).image_id == image["id"]
    assert len(cloud.direct.compute.servers()) == MANY


@pytest.mark.parametrize(("allowed", "state", "begun"), [(1, "failed", 9), (0, "halted", 4)])
def test_one_that_fails_serves_from_its_original_and_the_budget_halts_or_not(
    journal, monkeypatch, allowed, state, begun
):
    cloud, (first, *rest) = fleet(False)
    captured(cloud, journal, first)
    victim = rest[3]

    def answer(clock, probes, addresses, *, what, **more):
        if "web-4" in what:
            raise errors.TimedOut(f"{what} does not answer")

    monkeypatch.setattr("upgrade_flows.steps.guest_probes.await_ready", answer)

    _, report = rolled(cloud, journal, rest, max_failures=allowed)

    states = {outcome.subject: outcome.state for outcome in report.outcomes}
    assert report.state == state
    assert states.pop(victim) == State.FAILED
    assert list(states.values()).count(State.CHANGED) == begun - 1
    assert len(serving(cloud)) == MANY
    assert victim in serving(cloud)
