"""The API calls of a plan and of a run do not grow with the instances beside its own."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.flows.scenes import CASES, PLUGINS, cloud_with, plan_for
from upgrade_flows.cloud.collect import collect
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.request import Scope
from upgrade_flows.planning.planner import verify
from upgrade_flows.steps.base import Settings


def crowded(case, others):
    """Return the case's cloud with other instances, half of them on the same host."""
    cloud, server = cloud_with(case)
    for number in range(others):
        cloud.add_server(
            f"other-{number}",
            host=("h1", "h3")[number % 2],
            project=f"project-{number}",
            user=f"user-{number}",
            nics=2,
            data_volumes=1,
        )
    return cloud, server


def calls_of(cloud, work):
    """Return how often each call was made."""
    cloud.calls.clear()
    work()
    return Counter(name for name, _ in cloud.calls)


def test_collecting_for_one_instance_takes_as_many_calls_in_a_crowd():
    alone, server = crowded("rebind", 0)
    crowd, same = crowded("rebind", 60)
    few = calls_of(alone, lambda: collect(alone, Scope(servers=(server,))))
    many = calls_of(crowd, lambda: collect(crowd, Scope(servers=(same,))))
    assert few == many
    assert set(few.values()) == {1}
    assert crowd.count("compute.servers") == 1


@pytest.mark.parametrize("case", CASES)
def test_planning_verifying_and_running_take_as_many_calls_in_a_crowd(case, tmp_path):
    counted = []
    for others in (0, 60):
        cloud, server = crowded(case, others)
        cloud.durations.update(dict.fromkeys(cloud.durations, 0.04))
        journal = Journal.open(f"sqlite:///{tmp_path}/{others}.db")
        engine = Engine(
            journal,
            cloud,
            PLUGINS,
            Settings(),
            verify=lambda action, cloud=cloud: verify(cloud, PLUGINS, action),
        )

        def work(cloud=cloud, server=server, engine=engine):
            run = engine.start(plan_for(case, cloud, server))
            assert engine.run(run) == "changed"
            assert engine.commit(run) == "settled"

        counted.append(calls_of(cloud, work))
        journal.close()
    assert counted[0] == counted[1]
