"""What a request about hosts comes to: refused, planned or left as it is, and why."""

from __future__ import annotations

import pytest

from tests.flows.rolling_scenes import plan_for, plan_of, plugins, request_for
from upgrade_flows import errors
from upgrade_flows.cloud.collect import collect
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.flows.host_upgrade import assess, look, moved
from upgrade_flows.flows.host_upgrade.options import CHOICE, Options
from upgrade_flows.model.request import Scope, Target, UpgradeRequest


@pytest.fixture
def cloud():
    return FakeCloud(hosts=("h1", "h2", "h3"))


def assessed(cloud, *hosts, **options):
    request, known = request_for(*hosts, **options), plugins(cloud)
    inventory = look(request, collect(cloud, request.scope), known, lambda _: None)
    return assess(request, inventory, known)


def said(found):
    return [
        f"{one.id} {one.severity} {one.subject}: {one.message}"
        + (f" -> {one.remedy}" if one.remedy else "")
        for one in found.findings
    ]


def planned(found):
    return [action.subject for action in found.actions]


def test_wrong_options_are_all_told_at_once():
    plain = {
        "plugin": "simulated", "reboot": "soon", "default": "warm", "suspended": "wake",
        "unmovable": "burn", "prefer": "luck", "canary_instance": {"flavor": "f", "probe": "udp:1"},
    }  # fmt: skip
    with pytest.raises(errors.RequestError) as caught:
        Options.read(plain)
    assert str(caught.value).split("; ") == [
        "reboot is 'soon'", "it must be one of needed, always, never",
        "default is 'warm'", "it must be one of live, cold, poweroff",
        "suspended is 'wake'", "it must be one of stay, refuse",
        "unmovable is 'burn'", "it must be one of refuse, poweroff",
        "prefer is 'luck'", "it must be one of time, moves",
        "the canary's probe is 'udp:1'", "it must be tcp:<port>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        ({}, "plugin"),
        ({"plugin": "simulated", "color": "blue"}, "color"),
        ({"plugin": "simulated", "may_cold": "perhaps"}, "may_cold"),
    ],
)
def test_an_option_that_is_missing_unknown_or_of_the_wrong_kind_is_named(plain, why):
    with pytest.raises(errors.RequestError, match=why):
        Options.read(plain)


@pytest.mark.parametrize("port", ["", "0", "65536", "http"])
def test_a_probe_needs_a_port(port):
    with pytest.raises(errors.RequestError, match="it must be tcp:<port>"):
        Options.read(
            {"plugin": "simulated", "canary_instance": {"flavor": "f", "probe": f"tcp:{port}"}}
        )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"plugin": "puppet"}, r"there is no host plugin 'puppet' \(known: simulated\)"),
        ({"settings": {}}, "settings of simulated hosts: release, and nothing else"),
        ({"placement": "luck"}, r"there is no placement policy 'luck' \(known: "),
    ],
)
def test_what_is_not_installed_is_no_option(cloud, options, why):
    with pytest.raises(errors.RequestError, match=why):
        assessed(cloud, "h1", **options)


def test_hosts_that_do_not_exist_are_all_named(cloud):
    with pytest.raises(errors.RequestError, match=r"^unknown compute hosts: h8, h9$"):
        assessed(cloud, "h9", "h1", "h8")


@pytest.mark.parametrize("scope", [Scope(hosts=("h1",), servers=("web",)), Scope(projects=("p",))])
def test_an_upgrade_of_hosts_is_not_about_instances(cloud, scope):
    options = {"plugin": "simulated", "settings": {"release": "new"}}
    request = UpgradeRequest("host_upgrade", scope, Target(options=options))
    with pytest.raises(errors.RequestError, match="name no servers or projects"):
        look(request, collect(cloud, Scope(hosts=("h1",))), plugins(cloud), lambda _: None)


def test_hosts_that_are_as_wanted_already_are_left_unless_they_are_to_be_rebooted(cloud):
    for name in ("h1", "h2"):
        cloud.install(name, "new")
    cloud.world.hosts["h1"].runs = "new"
    found = assessed(cloud, "h1", "h2", "h3")
    old = cloud.world.hosts["h3"].runs
    assert (found.unchanged, {a.subject: a.because for a in found.actions}) == (
        ("h1",),
        {
            "h2": (f"{old} runs, not new",),
            "h3": (f"lab-kernel {old} is installed, not new", f"{old} runs, not new"),
        },
    )
    always = assessed(cloud, "h1", reboot="always")
    assert (always.unchanged, planned(always)) == ((), ["h1"])


def test_a_host_in_trouble_is_refused_and_the_others_are_planned(cloud):
    cloud.change_host("h1", up=False)
    cloud.reboot_host("h2")
    found = assessed(cloud, "h1", "h2", "h3")
    assert planned(found) == ["h3"]
    assert said(found) == [
        "UF-HU-001 refused h1: its nova-compute is down -> start nova-compute on h1, or leave the"
        " host out",
        "UF-HU-002 refused h2: host h2 does not answer -> see to it on the host, and plan anew",
    ]


def test_a_host_that_was_never_asked_is_refused(cloud):
    request = request_for("h1")
    found = assess(request, collect(cloud, request.scope), plugins(cloud))
    assert said(found) == ["UF-HU-002 refused h1: nothing is known of it -> plan anew"]


def test_an_instance_in_the_way_refuses_its_host_with_the_remedy(cloud):
    rescued = cloud.add_server("sick", host="h1", status="RESCUE")
    asked = cloud.add_server("vip", host="h1", metadata={CHOICE: "notify"})
    cloud.add_server("web", host="h2")
    found = assessed(cloud, "h1", "h2")
    assert planned(found) == ["h2"]
    assert said(found) == [
        f"UF-HU-010 refused h1: sick ({rescued}) is in the way: it is being rescued -> openstack"
        f" server unrescue {rescued}",
        f"UF-HU-010 refused h1: vip ({asked}) is in the way: its owner wants to be asked first"
        " (upgrade_flows:maintenance=notify) -> ask the owner, who then sets live, cold or"
        " poweroff instead",
    ]


def test_what_an_operator_should_know_of_a_host_is_told(cloud):
    cloud.change_host("h1", enabled=False, disabled_reason="bad fan")
    cloud.change_host("h2", enabled=False, disabled_reason=None)
    off = cloud.add_server("batch", host="h1", metadata={CHOICE: "poweroff"})
    cold = cloud.add_server("db", host="h1", metadata={CHOICE: "cold"})
    asleep = cloud.add_server("vm", host="h1", status="SUSPENDED")
    cloud.add_server("idle", host="h1", status="SHUTOFF")
    found = assessed(cloud, "h1", "h2")
    assert planned(found) == ["h1", "h2"]
    assert said(found) == [
        "UF-HU-020 info h1: it is disabled (bad fan), and will be again",
        f"UF-HU-021 warning h1: batch ({off}) is stopped while the host is out of service: as its"
        " owner wants",
        f"UF-HU-023 warning h1: db ({cold}) is restarted on another host: as its owner wants",
        f"UF-HU-022 info h1: vm ({asleep}) stays: it is suspended: its memory is kept on the"
        " host's disk",
        "UF-HU-020 info h2: it is disabled (no reason), and will be again",
    ]


@pytest.mark.parametrize("vnic", ["direct-physical", "vdpa", "accelerator-direct"])
def test_a_port_that_is_a_device_of_its_host_rules_a_live_migration_out(cloud, vnic):
    server = cloud.add_server("nfv", host="h1")
    (port,) = cloud.direct.network.ports(device_id=server)
    cloud.change_port(port.id, vnic_type=vnic)
    why = f"port {port.id} is a device of its host ({vnic})"
    (refused,) = assessed(cloud, "h1").findings
    assert refused.message == f"nfv ({server}) is in the way: {why}"
    (action,) = assessed(cloud, "h1", may_cold=True).actions
    assert action.details["instances"][server]["how"] == "cold"
    assert action.details["obstacles"] == {server: why}


def test_an_action_holds_what_the_flow_and_the_schedule_need(cloud):
    web = cloud.add_server("web", host="h1")
    off = cloud.add_server("off", host="h1", status="SHUTOFF")
    cloud.add_server("gone", host="h1", status="SHELVED_OFFLOADED")
    (action,) = assessed(cloud, "h1").actions
    details = action.details
    assert (action.capability, action.subject, action.strategy) == ("host_upgrade", "h1", "drain")
    assert details["service"] == {"enabled": True, "reason": None, "az": "nova"}
    assert (details["plugin"], details["settings"]) == ("simulated", {"release": "new"})
    assert details["instances"] == {
        web: {"name": "web", "how": "live", "why": "", "move_s": 26, "pause_s": 0.5},
        off: {"name": "off", "how": "cold", "why": "it is off", "move_s": 230, "pause_s": 0.0},
    }


def test_what_is_left_out_of_a_plan_stands_in_it_with_the_reason(cloud):
    cloud.change_host("h1", up=False)
    plan = plan_of(cloud, request_for("h1", "h2"))
    assert [action.subject for action in plan.actions] == ["h2"]
    assert "UF-HU-001" in {finding.id for finding in plan.findings}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        (
            {"enabled": False, "disabled_reason": "bad fan"},
            "its service was enabled when it was planned, and is disabled (bad fan) now",
        ),
        ({"up": False}, "its nova-compute is down"),
    ],
)
def test_a_host_that_is_not_in_service_as_it_was_planned_is_not_touched(cloud, change, why):
    (action,) = plan_for(cloud, "h1").actions
    cloud.change_host("h1", **change)
    assert moved(cloud, plugins(cloud), action) == why


def test_a_host_that_is_gone_is_not_touched_and_instances_may_come_and_go(cloud):
    (action,) = plan_for(cloud, "h1").actions
    cloud.add_server("new", host="h1")
    assert moved(cloud, plugins(cloud), action) is None
    del cloud.world.hosts["h1"]
    assert moved(cloud, plugins(cloud), action) == "the compute host does not exist any more"
