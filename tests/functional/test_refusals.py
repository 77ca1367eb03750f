"""What is refused on the real cloud, with the reason, before anything is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.functional.instances import Wish, changes, make, truth
from tests.lab import agents, api, seed
from upgrade_flows import errors
from upgrade_flows.cloud import clients
from upgrade_flows.cloud.collect import collect
from upgrade_flows.model.request import Scope, Target, UpgradeRequest
from upgrade_flows.planning.planner import make_plan, verify
from upgrade_flows.plugins import registry

HOST = "fake4"
WISH = Wish("refuse-me", HOST)
PLUGINS = registry.load()


@pytest.fixture(scope="module")
def server(lab):
    agents.set_mode(HOST, "dpdkvhostuser")
    made = make([WISH])[WISH.name]
    agents.set_mode(HOST, "dpdkvhostuserclient")
    return made


def plan(cloud, server, strategy="auto"):
    scope = Scope(servers=(server,))
    request = UpgradeRequest("recreate", scope, Target(strategy))
    return make_plan(request, collect(cloud, scope), PLUGINS)


def command(lab, *arguments, **environment):
    program = "import sys; from upgrade_flows.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(lab.clouds_yaml), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_live_migration_is_refused_with_the_reason(cloud, server):
    (finding,) = plan(cloud, server, "live-migrate").findings
    assert finding.id == "UF-RC-012"
    assert "both ends would be clients, or both servers" in finding.message


def test_a_locked_instance_is_refused(cloud, server):
    admin = api.shared("lab-admin")
    admin.compute.lock_server(server, locked_reason="not now")
    try:
        (finding,) = plan(cloud, server).findings
    finally:
        admin.compute.unlock_server(server)
    assert finding.id == "UF-RC-003"
    assert "not now" in finding.message


def test_an_instance_of_a_heat_stack_is_not_re_created(cloud, lab):
    demo = api.connect("lab-demo")
    agents.set_mode(HOST, "dpdkvhostuser")
    network = demo.network.find_network(seed.NETWORK).id
    body = {
        "image": seed.IMAGE,
        "flavor": "m1.tiny",
        "networks": [{"network": network}],
        "availability_zone": f"nova:{HOST}",
    }
    stack = demo.orchestration.create_stack(
        name="refuse-stack",
        template={
            "heat_template_version": "2018-08-31",
            "resources": {"vm": {"type": "OS::Nova::Server", "properties": body}},
            "outputs": {"id": {"value": {"get_resource": "vm"}}},
        },
        timeout_mins=5,
    )
    stack = demo.orchestration.wait_for_status(
        stack, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=120
    )
    agents.set_mode(HOST, "dpdkvhostuserclient")
    made = demo.orchestration.get_stack(stack.id).outputs[0]["output_value"]

    (finding,) = plan(cloud, made, "snapshot").findings
    rebound = plan(cloud, made)

    assert "belongs to Heat stack refuse-stack" in finding.message
    assert [action.strategy for action in rebound.actions] == ["rebind"]  # keeps its UUID
    demo.orchestration.delete_stack(stack)


def test_an_instance_that_has_moved_since_is_not_touched(cloud, server):
    (action,) = plan(cloud, server).actions
    admin = api.shared("lab-admin")
    admin.compute.set_server_metadata(server, late="yes")
    assert "metadata" in verify(cloud, PLUGINS, action)


def test_an_edited_plan_is_refused_and_touches_nothing(lab, cloud, server, tmp_path):
    before = truth(server)
    plain = json.loads(plan(cloud, server).to_json())
    plain["waves"][0]["actions"][0]["strategy"] = "snapshot"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plain))
    journal = f"sqlite:///{tmp_path}/journal.db"

    done = command(lab, "--os-cloud", "lab-admin", "--journal", journal, "run", str(path), "--yes")

    assert done.returncode == 2
    assert "was edited after it was made" in done.stderr
    assert changes(before, truth(server)) == {}


def test_an_unknown_instance_is_named(lab):
    done = command(lab, "--os-cloud", "lab-admin", "plan", "recreate", "--server", "nobody")
    assert done.returncode == 2
    assert "unknown servers: nobody" in done.stderr


def test_missing_and_wrong_credentials_are_told_apart(lab):
    missing = command(lab, "--os-cloud", "nowhere", "inventory", "--all")
    wrong = clients.connect(
        options={
            "auth": {
                "auth_url": lab.keystone_url,
                "username": "admin",
                "password": "wrong-password",
                "project_name": "admin",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            }
        }
    )
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr
    with pytest.raises(errors.Unauthorized) as caught:
        wrong.check_credentials()
    assert "wrong-password" not in str(caught.value)


def test_credentials_that_are_not_an_administrators_are_refused(lab, monkeypatch):
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(lab.clouds_yaml))
    admin = api.shared("lab-admin")
    user, project = admin.identity.find_user("demo"), admin.identity.find_project("demo")
    role = admin.identity.find_role("admin")
    admin.identity.unassign_project_role_from_user(project, user, role)
    time.sleep(1)
    with pytest.raises(errors.Forbidden, match="not an administrator"):
        clients.connect("lab-demo").check_credentials()


def test_a_token_that_is_no_longer_good_is_renewed_on_the_way(cloud):
    cloud.check_credentials()
    session = cloud._connection.session
    session.auth.get_access(session)._auth_token = "expired"
    cloud.check_credentials()
    assert session.get_token() != "expired"
