"""What a fleet is made of: room, demands, who may go where, and what is noticed on the way."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.hosts_samples import SMALL, action, fleet, inventory, request, server
from upgrade_flows.errors import RequestError
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.model.inventory import Host, Image, ServerGroup
from upgrade_flows.model.request import Rollout
from upgrade_flows.planning.hosts import fleet_of, rules_of
from upgrade_flows.planning.hosts_demand import demand_of, page_kib
from upgrade_flows.planning.rolling import Canary, Limits


def flavored(**specs):
    said = {key.replace("__", ":"): value for key, value in specs.items()}
    return dataclasses.replace(SMALL, extra_specs=said)


def demand(specs, properties=None, classes=("VCPU", "PCPU")):
    images = (Image("image", "i", "active", properties=properties or {}),)
    one = server("a", "h1", dataclasses.replace(SMALL, extra_specs=specs))
    return demand_of(inventory([one], images=images), one, classes)


def test_capacity_is_what_is_left_beside_others_than_the_instances_of_the_plan():
    found = inventory([server("a", "h1"), server("b", "h1")], used={"h1": 7, "h2": 1})
    hosts, instances, _ = fleet(found)
    assert hosts["h1"].capacity == {"VCPU": 5, "MEMORY_MB": 65536, "DISK_GB": 1000}
    assert hosts["h2"].capacity["VCPU"] == 7
    assert instances["a"].demand == {"DISK_GB": 10, "MEMORY_MB": 2048, "VCPU": 2}
    assert (instances["a"].move_s, instances["a"].pause_s) == (60, 0.5)


def test_what_stays_takes_room_what_is_offloaded_gives_it_back_and_what_stops_is_not_moved():
    found = inventory([server(name, "h1") for name in "abcd"])
    how = {"a": "stay", "b": "offload", "c": "poweroff", "d": "wait"}
    hosts, instances, _ = fleet(found, how=how)
    assert set(instances) == {"c", "d"}
    assert (instances["c"].movable, instances["c"].stops) == (False, True)
    assert instances["d"].movable
    assert hosts["h1"].capacity["VCPU"] == 6  # a holds two of eight


def test_nothing_outside_the_plan_takes_instances_unless_the_operator_says_so():
    found = inventory(names=("h1", "h2", "h3", "h4"))
    assert set(fleet(found, "h1")[0]) == {"h1"}
    hosts, _, made = fleet(found, "h1", unchanged=["h2"], targets=["h3"])
    assert {name: host.upgraded for name, host in hosts.items()} == {
        "h1": False, "h2": True, "h3": True,
    }  # fmt: skip
    assert made.findings == ()


def test_a_target_that_does_not_exist_is_refused():
    with pytest.raises(RequestError, match="targets: unknown compute hosts: h8, h9"):
        fleet(inventory(), "h1", targets=["h9", "h8"])


def test_a_target_that_is_down_or_disabled_takes_nothing_and_is_told():
    hosts = (Host("h1"), Host("h2", up=False), Host("h3", enabled=False))
    found = inventory(hosts=hosts)
    made, _, noted = fleet(found, "h1", targets=["h2", "h3"])
    assert [made[name].excluded for name in ("h2", "h3")] == [
        "nova-compute is down there", "it is disabled",
    ]  # fmt: skip
    assert [(one.id, one.subject) for one in noted.findings] == [
        ("UF-HP-008", "h2"), ("UF-HP-008", "h3"),
    ]  # fmt: skip


def test_a_host_that_placement_does_not_know_takes_nothing():
    found = inventory([server("a", "h1")])
    found.rooms.pop("h2")
    hosts, _, made = fleet(found)
    assert hosts["h2"].capacity == {}
    assert [(one.id, one.subject) for one in made.findings] == [("UF-HP-003", "h2")]


def test_the_room_of_a_host_may_go_by_the_name_of_its_hypervisor():
    one = dataclasses.replace(server("a", "h1"), hypervisor_hostname="h1.example")
    found = inventory([one])
    found.rooms["h1.example"] = found.rooms.pop("h1")
    assert fleet(found, "h1")[0]["h1"].capacity["VCPU"] == 8


def test_groups_keep_members_that_do_not_move_in_mind_wherever_they_are():
    servers = [server("a", "h1"), server("b", "h1"), server("c", "h3"), server("d", "h2")]
    group = ServerGroup("g", "apart", "anti-affinity", ("a", "b", "c", "gone"))
    lone = ServerGroup("l", "lone", "anti-affinity", ("d", "gone"))
    found = inventory(servers, groups=(group, lone))
    hosts, instances, made = fleet(found, "h1", "h2", how={"b": "stay"})
    assert hosts["h3"].excluded == "it is outside the plan"
    assert (instances["b"].movable, instances["b"].stops) == (False, True)
    assert [(one.id, one.members) for one in made.fleet.groups] == [("g", ("a", "b", "c"))]


def test_a_pinned_zone_and_a_domain_are_kept_and_timings_may_be_stated():
    one = server("a", "h1", pinned_availability_zone="az2")
    hosts, instances, _ = fleet(
        inventory([one]), failure_domains={"h1": "rack-1"}, timings={"out_s": 600}
    )
    assert instances["a"].az == "az2"
    assert (hosts["h1"].failure_domain, hosts["h2"].failure_domain) == ("rack-1", "")
    assert (hosts["h1"].out_s, hosts["h1"].az) == (600, "nova")


def test_measured_utilization_goes_along():
    found = inventory(facts={"h1": {"cpu_utilization": 0.4, "memory_utilization": None}})
    hosts, _, _ = fleet(found)
    assert (hosts["h1"].utilization, hosts["h2"].utilization) == ({"cpu": 0.4}, {})


@pytest.mark.parametrize(
    ("specs", "amounts"),
    [
        ({}, {"VCPU": 2}),
        ({"hw:cpu_policy": "dedicated"}, {"PCPU": 2}),
        ({"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"}, {"PCPU": 3}),
        ({"resources:CUSTOM_GOLD": "1"}, {"VCPU": 2, "CUSTOM_GOLD": 1}),
        ({"resources1:VGPU": "2", "resources:VCPU": "0"}, {"VGPU": 2}),
        ({"resources:VCPU": "many"}, {"VCPU": 2}),
    ],
)
def test_a_flavor_says_what_is_asked_of_placement(specs, amounts):
    fixed = {"MEMORY_MB": 2048, "DISK_GB": 10}
    assert demand(specs).amounts == amounts | fixed


def test_dedicated_cpus_are_vcpus_where_no_host_sets_any_aside():
    assert demand({"hw:cpu_policy": "dedicated"}, classes=("VCPU",)).amounts["VCPU"] == 2


def test_flavor_and_image_ask_for_traits():
    made = demand(
        {"trait:HW_CPU_X86_VMX": "required", "trait:CUSTOM_OLD": "forbidden"},
        {"trait:CUSTOM_SSD": "required"},
    )
    assert made.required == ("CUSTOM_SSD", "HW_CPU_X86_VMX")
    assert made.forbidden == ("CUSTOM_OLD",)


@pytest.mark.parametrize(
    ("said", "sizes", "kib"),
    [
        ("2048", (), 2048), ("2MB", (), 2048), ("1GB", (), 1048576), ("large", {2048}, 2048),
        ("any", {2048, 1048576}, None), ("large", (), None), ("nonsense", (), None),
    ],
)  # fmt: skip
def test_page_sizes_are_read_as_nova_reads_them(said, sizes, kib):
    assert page_kib(said, sizes) == kib


def test_huge_pages_are_a_resource_where_all_hosts_tell_theirs():
    paged = flavored(hw__mem_page_size="2MB")
    servers = [server("a", "h1", paged), server("b", "h2", paged)]
    facts = {"h1": {"hugepages": {"2048": 2000}}, "h2": {"hugepages": {2048: 1500}}}
    hosts, instances, made = fleet(inventory(servers, facts=facts), "h1", unchanged=["h2"])
    assert instances["a"].demand["HUGEPAGES_2048"] == 1024
    assert hosts["h1"].capacity["HUGEPAGES_2048"] == 2000
    assert hosts["h2"].capacity["HUGEPAGES_2048"] == 476  # b has the others
    assert made.findings == ()


def test_huge_pages_that_cannot_be_counted_are_told():
    paged = flavored(hw__mem_page_size="large")
    found = inventory([server("a", "h1", paged)], facts={"h1": {"hugepages": {"2048": 9}}})
    _, instances, made = fleet(found)
    assert "HUGEPAGES_2048" not in instances["a"].demand
    (finding,) = made.findings
    assert finding.id == "UF-HP-004"
    assert "1 instances, and how many h2, h3 have is not known" in finding.message


@pytest.mark.parametrize("pages", ["small", "4KB", "any"])
def test_small_pages_are_nothing_special(pages):
    paged = flavored(hw__mem_page_size=pages)
    facts = {name: {"hugepages": {}} for name in ("h1", "h2", "h3")}
    _, instances, made = fleet(inventory([server("a", "h1", paged)], facts=facts))
    assert set(instances["a"].demand) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    assert made.findings == ()


def test_a_volume_backed_instance_takes_no_disk_of_its_host():
    held = dataclasses.replace(server("a", "h1"), image_id="", volumes=(object(),))
    assert "DISK_GB" not in fleet(inventory([held]))[1]["a"].demand


def test_a_disabled_host_is_emptied_but_takes_nothing_when_it_is_back():
    found = inventory([server("a", "h1")])
    one = action(found, "h1", service={"enabled": False, "reason": "broken fan"})
    made = fleet_of(request("h1"), found, Assessment((one,)))
    assert made.fleet.hosts[0].capacity == {}


def test_the_rules_are_those_of_the_request():
    asked = request(
        rollout=Rollout(3, max_failures=2, canaries=1),
        limits={"migrations_per_host": 4, "spare": 0.1, "out_per_az": None},
        prefer="moves", bake_s=60, canary_hosts=["h2"],
    )  # fmt: skip
    rules = rules_of(asked)
    assert rules.limits == Limits(3, 4, spare=0.1, max_failures=2)
    assert rules.canary == Canary(1, 60, ("h2",))
    assert rules.prefer == "moves"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"speed": 1}, "unknown limit speed"),
        ({"attempts": "three"}, "attempts is 'three'; it must be a number"),
        ({"attempts": None}, "attempts is None; it must be a number"),
        ({"attempts": True}, "attempts is True; it must be a number"),
        ({"migrations_total": 0.5}, "migrations_total is 0.5; it must be a number"),
        ({"spare": 1.5}, "spare is 1.5; it must be at least 0"),
        ({"attempts": 0}, "attempts is 0; it must be 1 or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, said):
    with pytest.raises(RequestError, match=said):
        rules_of(request(limits=limits))


@pytest.mark.parametrize("timings", [{"out_s": 0}, {"out_s": "long"}, {"boot_s": 3}])
def test_times_that_make_no_sense_are_refused(timings):
    with pytest.raises(RequestError, match="out_s and move_s are known, in seconds above 0"):
        rules_of(request(timings=timings))
