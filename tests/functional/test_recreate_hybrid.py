"""The other change of mode: hybrid plug, which comes and goes with the firewall driver."""

from __future__ import annotations

import pytest

from tests.expectations import unexpected
from tests.functional.instances import Wish, changes, make, truth
from tests.functional.runs import Runs
from tests.lab import agents
from upgrade_flows.cloud.collect import collect
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan

HOME, AWAY = "fake3", "fake4"


def modes(**wanted):
    for host, mode in wanted.items():
        agents.set_mode(host, mode, wait=False)
    agents.wait_reported(*wanted)


@pytest.mark.parametrize(("away", "strategy"), [("ovs", "cold-migrate"), ("ovs-hybrid", "shelve")])
def test_the_least_disruptive_way_is_planned_and_done(cloud, tmp_path, away, strategy):
    modes(**{HOME: "ovs-hybrid", AWAY: "ovs-hybrid"})
    name = f"hybrid-{strategy}"
    server = make([Wish(name, HOME, floating_ip=True)])[name]
    first = truth(server)
    modes(**{HOME: "ovs", AWAY: away})
    runs = Runs(cloud, tmp_path)
    scope = Scope(servers=(server,))
    request = UpgradeRequest("recreate", scope, Target(hosts=(AWAY,)))
    plan = make_plan(request, collect(cloud, scope), runs.plugins)
    (action,) = plan.actions

    run_id = runs.run(plan)

    assert action.strategy == strategy
    assert "not rebind: the devices that port" in action.because[0]
    assert runs.outcomes(run_id)[name].state is State.CHANGED
    second = truth(server)
    (port,) = second["ports"].values()
    assert port["binding:vif_details"]["ovs_hybrid_plug"] is False
    assert unexpected(changes(first, second), strategy, "changed", "openstack") == {}
