"""Where the second instance of a live update goes, and why: beside its original, or elsewhere."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.live_update_clouds import (
    by_name,
    cloud,
    full,
    goes_to,
    image,
    neighbour,
    only,
    plan,
    refused,
    several,
    web,
)

GIB = 1024


def test_it_goes_beside_its_original_where_there_is_room():
    action = only(cloud())
    assert goes_to(action) == ("own-host", "h1")
    assert (action.because, action.details["policy"]) == ((), "")
    assert action.details["resources"] == {"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20}


def test_without_room_there_it_goes_elsewhere_and_the_numbers_say_why():
    made = cloud("h1", "h2")
    made.set_capacity("h1", MEMORY_MB=3 * GIB, VCPU=1)
    action = only(made)
    assert goes_to(action) == ("other-host", "h2")
    assert action.because == (
        "not on its own host h1: 1024 MB of memory are free, 2048 are needed,"
        " 0 VCPUs are free, 1 is needed",
        "h2 by the placement policy striping",
    )
    assert action.details["policy"] == "striping"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.change_host("h1", enabled=False), "it is disabled, and Nova places nothing"),
        (lambda m: m.world.hosts["h1"].capacity.update(VCPU=1), "0 VCPUs are free, 1 is needed"),
    ],
)
def test_a_host_that_takes_nothing_is_left(change, why):
    made = cloud("h1", "h2")
    change(made)
    action = only(made)
    assert goes_to(action) == ("other-host", "h2")
    assert why in action.because[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.change_host("h2", enabled=False), "h2: it is disabled"),
        (lambda m: m.change_host("h2", up=False), "h2: nova-compute is down there"),
        (lambda m: m.change_agent("h2", alive=False), "h2: it has no L2 agent that is alive"),
        (lambda m: m.set_mode("h2", "ovs-hybrid"), "as ovs-hybrid (bridge=br-int)"),
        (lambda m: full(m, "h2"), "h2: 0 MB of memory are free, 2048 are needed"),
        (
            lambda m: (
                m.change_server(web(m).id, pinned_availability_zone="nova"),
                m.change_host("h2", availability_zone="far"),
            ),
            "h2: it is in zone far, and the instance is pinned to nova",
        ),
    ],
)
def test_a_host_that_cannot_take_it_is_named_with_the_reason(change, why):
    made = cloud("h1", "h2")
    full(made, "h1")
    change(made)
    said = refused(made)["UF-LU-022"]
    assert said.startswith(
        "web: no room for a second instance: not on its own host h1:"
        " 0 MB of memory are free, 2048 are needed; not on another host: h2: "
    )
    assert why in said


def test_a_refusal_holds_the_numbers():
    made = cloud("h1", "h2")
    made.set_capacity("h1", MEMORY_MB=3 * GIB)
    made.set_capacity("h2", MEMORY_MB=1 * GIB)
    (finding,) = plan(made).findings
    assert finding.evidence == {
        "h1": {"MEMORY_MB": {"free": 1024, "needed": 2048}},
        "h2": {"MEMORY_MB": {"free": 1024, "needed": 2048}},
    }


def test_a_refusal_names_some_hosts_and_counts_the_rest():
    names = [f"h{number}" for number in range(1, 12)]
    made = cloud(*names)
    full(made, *names)
    said = refused(made)["UF-LU-022"]
    assert "h9: 0 MB" in said
    assert "h10: " not in said
    assert "(and 2 more)" in said


def test_it_stays_on_its_own_host_if_it_must():
    made = cloud("h1", "h2")
    full(made, "h1")
    assert "not on another host: that is not allowed" in refused(made, elsewhere=False)["UF-LU-022"]


def test_it_goes_only_to_hosts_that_are_named_if_some_are():
    made = cloud("h1", "h2", "h3")
    full(made, "h1")
    assert goes_to(only(made, hosts=("h3",))) == ("other-host", "h3")


def test_it_leaves_its_own_host_if_others_are_named():
    made = cloud("h1", "h2", "h3")
    action = only(made, hosts=("h3",))
    assert goes_to(action) == ("other-host", "h3")
    assert action.because[0] == "not on its own host h1: it is none of the hosts that were named"
    assert goes_to(only(made, hosts=("h1", "h3"))) == ("own-host", "h1")


def test_hosts_of_the_same_zone_go_before_emptier_ones():
    made = cloud("h1", "h2", "h3")
    made.change_host("h2", availability_zone="far")
    neighbour(made, host="h3")
    full(made, "h1")
    assert goes_to(only(made)) == ("other-host", "h3")


def test_a_host_must_have_the_traits_that_the_flavor_asks_for():
    made = cloud("h1", "h2", "h3")
    flavor = dataclasses.replace(web(made).flavor, extra_specs={"trait:HW_AVX": "required"})
    made.world.flavors = {flavor.id: flavor}
    made.change_server(web(made).id, flavor=flavor)
    made.change_hypervisor("h3", traits=("HW_AVX",))
    full(made, "h1")
    assert goes_to(only(made, traits=True)) == ("other-host", "h3")
    assert "h2: its traits are not known" in refused(made)["UF-LU-022"]
    made.change_image(image(made), properties={"trait:HW_AVX": "forbidden"})
    assert "h3: it has HW_AVX" in refused(made, traits=True)["UF-LU-022"]


def test_the_own_host_has_the_traits_that_nobody_has_read():
    made = cloud("h1")
    flavor = dataclasses.replace(web(made).flavor, extra_specs={"trait:HW_AVX": "required"})
    made.world.flavors = {flavor.id: flavor}
    made.change_server(web(made).id, flavor=flavor)
    assert goes_to(only(made)) == ("own-host", "h1")


def test_dedicated_cpus_are_counted_as_placement_does():
    made = cloud("h1")
    flavor = dataclasses.replace(web(made).flavor, extra_specs={"hw:cpu_policy": "dedicated"})
    made.world.flavors = {flavor.id: flavor}
    made.change_server(web(made).id, flavor=flavor)
    made.set_capacity("h1", PCPU=0)
    said = refused(made)["UF-LU-022"]
    assert "0 dedicated CPUs are free, 1 is needed" in said


def test_a_host_of_which_placement_knows_nothing_is_left_out():
    made = cloud("h1", "h2")
    full(made, "h1")
    rooms = {"h1": made.direct.placement.rooms()["h1"]}
    said = refused(made, known={"rooms": rooms})["UF-LU-022"]
    assert "h2: Placement has no resource provider of its name" in said


def test_room_that_a_surrogate_holds_is_not_there_for_the_next():
    made = several("a", "b", hosts=("h1", "h2"))
    made.set_capacity("h1", MEMORY_MB=3 * 2048)
    actions = by_name(plan(made, "a", "b"))
    assert goes_to(actions["a"]) == ("own-host", "h1")
    assert goes_to(actions["b"]) == ("other-host", "h2")


def test_room_elsewhere_is_taken_for_good():
    made = several("a", "b", hosts=("h1", "h2", "h3"))
    full(made, "h1")
    made.set_capacity("h2", MEMORY_MB=2048)
    actions = by_name(plan(made, "a", "b", placement="packing"))
    assert goes_to(actions["a"]) == ("other-host", "h2")
    assert goes_to(actions["b"]) == ("other-host", "h3")


def test_who_fits_only_after_others_are_committed_waits():
    made = several("a", "b", "c", hosts=("h1",))
    made.set_capacity("h1", MEMORY_MB=4 * 2048)
    actions = by_name(plan(made, "a", "b", "c"))
    assert [goes_to(actions[name]) for name in ("a", "b", "c")] == [
        ("own-host", "h1"), ("wait-for-room", "h1"), ("wait-for-room", "h1"),
    ]  # fmt: skip
    assert actions["b"].because[-1] == "waits for room: 1 of this plan fits on h1 at a time"
    assert actions["c"].because == actions["b"].because


def test_how_many_fit_at_a_time_is_said():
    names = ("a", "b", "c", "d")
    made = several(*names, hosts=("h1",))
    made.set_capacity("h1", MEMORY_MB=6 * 2048)
    actions = by_name(plan(made, *names))
    strategies = [actions[name].strategy for name in names]
    assert strategies == ["own-host", "own-host", "wait-for-room", "wait-for-room"]
    assert actions["d"].because[-1] == "waits for room: 2 of this plan fit on h1 at a time"


def test_who_finds_room_after_another_has_left_for_good_waits_for_that():
    made = several("a", "b", hosts=("h1", "h2"))
    full(made, "h1")
    made.set_capacity("h2", MEMORY_MB=2048)
    actions = by_name(plan(made, "a", "b"))
    assert goes_to(actions["a"]) == ("other-host", "h2")
    assert goes_to(actions["b"]) == ("wait-for-room", "h1")
    assert actions["b"].because[-1] == "waits for room on h1 that earlier ones of this plan leave"


def test_nobody_waits_for_room_that_never_comes():
    made = cloud("h1")
    full(made, "h1")
    assert "nobody makes room there" in refused(made)["UF-LU-022"]
