"""Who makes room for the second instance of a live update, and where each policy sends whom."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.live_update_clouds import (
    by_name,
    cloud,
    full,
    goes_to,
    moves,
    neighbour,
    only,
    plan,
    refused,
    several,
)
from upgrade_flows.cloud.fake import FakeCloud

GIB = 1024


def test_the_smallest_that_is_enough_makes_room():
    made = cloud("h1", "h2")
    neighbour(made, "large", 8192)
    neighbour(made, "enough", 2048)
    neighbour(made, "small", 1024)
    full(made, "h1")
    action = only(made, elsewhere=False)
    assert goes_to(action) == ("make-room", "h1")
    assert moves(action) == [("enough", "h1", "h2")]
    assert action.because[-1] == "enough (2048 MB) makes room, and goes to h2 by striping"
    assert action.details["policy"] == "striping"


def test_the_fewest_make_room():
    made = cloud("h1", "h2")
    for number, memory_mb in enumerate((512, 512, 1024, 1536)):
        neighbour(made, f"n{number}", memory_mb)
    full(made, "h1")
    assert moves(only(made, elsewhere=False)) == [("n3", "h1", "h2"), ("n0", "h1", "h2")]


def test_one_whom_others_made_needless_stays():
    made = FakeCloud(hosts=("h1", "h2"))
    made.add_server("web", flavor=made.add_flavor("large", 20, 10 * GIB, 20))
    made.add_image("new")
    # "some" frees the largest share of what lacks, and with it the other two are needed as well
    for name, cpus, memory_mb in (("some", 16, 3072), ("cpus", 20, 64), ("memory", 1, 10 * GIB)):
        made.add_server(name, host="h1", flavor=made.add_flavor(name, cpus, memory_mb, 20))
    made.set_capacity("h1", VCPU=57)
    full(made, "h1")
    assert moves(only(made, elsewhere=False)) == [("memory", "h1", "h2"), ("cpus", "h1", "h2")]


def test_an_overfull_host_needs_more_than_what_lacks():
    made = cloud("h1", "h2")
    neighbour(made, "first", 2048)
    neighbour(made, "second", 2048)
    made.set_capacity("h1", MEMORY_MB=5 * 1024)
    assert len(moves(only(made, elsewhere=False))) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda m, other: m.change_server(other, status="SHUTOFF"),
        lambda m, other: m.change_server(other, locked=True),
        lambda m, other: m.change_server(other, task_state="migrating"),
        lambda m, other: m.change_server(other, metadata={"upgrade_flows:maintenance": "cold"}),
        lambda m, other: m.change_server(other, tags=("upgrade_flows:maintenance=notify",)),
        lambda m, other: m.change_server(
            other,
            flavor=dataclasses.replace(
                m.direct.compute.server(other).flavor,
                extra_specs={"pci_passthrough:alias": "gpu:1"},
            ),
        ),
        lambda m, other: m.change_port(
            next(iter(m.direct.network.ports(device_id=other))).id, vnic_type="direct"
        ),
    ],
)
def test_who_cannot_or_must_not_be_moved_is_left_alone(change):
    made = cloud("h1", "h2")
    other = neighbour(made)
    full(made, "h1")
    change(made, other)
    said = refused(made, elsewhere=False)["UF-LU-022"]
    assert "no other instance on h1 can be live-migrated" in said


def test_who_is_bound_to_others_is_left_alone():
    made = cloud("h1", "h2")
    group = made.add_group("affinity")
    for name in ("one", "two"):
        neighbour(made, name, group=group)
    full(made, "h1")
    assert "no other instance" in refused(made, elsewhere=False)["UF-LU-022"]


def test_instances_of_the_plan_make_no_room_for_each_other():
    made = cloud("h1", "h2")
    made.add_server("db", host="h1")
    full(made, "h1")
    found = plan(made, "web", "db", elsewhere=False)
    assert [one.id for one in found.findings] == ["UF-LU-022", "UF-LU-022"]


def test_nobody_is_moved_if_that_is_not_allowed():
    made = cloud("h1", "h2")
    neighbour(made)
    full(made, "h1")
    said = refused(made, elsewhere=False, make_room=False)["UF-LU-022"]
    assert "nobody makes room there: that is not allowed (make_room)" in said


def test_who_has_nowhere_to_go_makes_no_room():
    made = cloud("h1", "h2")
    neighbour(made, "stuck", 8192)
    full(made, "h1", "h2")
    said = refused(made)["UF-LU-022"]
    assert "1 of the others on h1 can be live-migrated, and no host has room for stuck" in said


def test_another_makes_room_where_the_first_choice_has_nowhere_to_go():
    made = cloud("h1", "h2")
    group = made.add_group("anti-affinity")
    neighbour(made, "apart", 2048, group=group)
    neighbour(made, "member", 1024, host="h2", group=group)
    neighbour(made, "larger", 4096)
    full(made, "h1")
    assert moves(only(made, elsewhere=False)) == [("larger", "h1", "h2")]


def test_a_guest_is_not_moved_to_a_host_that_would_plug_it_otherwise():
    made = cloud("h1", "h2", "h3")
    neighbour(made)
    made.set_mode("h2", "ovs-hybrid")
    full(made, "h1")
    neighbour(made, "h3-is-fuller", host="h3")
    assert moves(only(made, elsewhere=False)) == [("other", "h1", "h3")]


def test_who_was_moved_for_one_is_gone_for_the_next():
    made = several("a", "b", hosts=("h1", "h2"))
    for name in ("n1", "n2"):
        neighbour(made, name)
    full(made, "h1")
    actions = by_name(plan(made, "a", "b", elsewhere=False))
    assert [moves(actions[name]) for name in ("a", "b")] == [
        [("n1", "h1", "h2")], [("n2", "h1", "h2")],
    ]  # fmt: skip


def test_those_that_are_moved_together_are_spread_by_the_policy():
    made = cloud("h1", "h2", "h3")
    for name in ("n1", "n2"):
        neighbour(made, name, 1024)
    full(made, "h1")
    action = only(made, elsewhere=False)
    assert moves(action) == [("n1", "h1", "h2"), ("n2", "h1", "h3")]


#: what there is in VCPUs and GiB of memory of 10 and 100, and measured
LOADS = {
    "nearly-full": ((8, 20), (0.8, 0.3)),
    "much-memory": ((1, 70), (0.3, 0.2)),
    "half-full": ((5, 50), (0.5, 0.5)),
    "idle-guests": ((6, 60), (0.1, 0.6)),
}
CHOICES = [
    ("striping", "half-full"),
    ("packing", "nearly-full"),
    ("cpu_allocation_balance", "much-memory"),
    ("memory_allocation_balance", "nearly-full"),
    ("cpu_utilization_balance", "idle-guests"),
    ("memory_utilization_balance", "much-memory"),
]
MEASURED = {
    "facts": {
        name: {"cpu_utilization": cpu, "memory_utilization": memory}
        for name, (_, (cpu, memory)) in LOADS.items()
    }
}


def of_all_kinds() -> FakeCloud:
    """Return a cloud with hosts that are used differently, and a full one with two instances."""
    made = FakeCloud(hosts=("own", *LOADS))
    flavor = made.add_flavor("small", 1, 10 * GIB, 20)
    for name in ("web", "other"):
        made.add_server(name, host="own", flavor=flavor)
    made.add_image("new")
    for host, ((cpus, gib), _) in LOADS.items():
        made.set_capacity(host, VCPU=10, MEMORY_MB=100 * GIB)
        filling = made.add_flavor(f"fill-{host}", cpus, gib * GIB, 20)
        made.add_server(f"on-{host}", host=host, flavor=filling)
    full(made, "own")
    return made


@pytest.mark.parametrize(("policy", "host"), CHOICES)
def test_each_policy_chooses_the_other_host(policy, host):
    action = only(of_all_kinds(), known=MEASURED, placement=policy)
    assert goes_to(action) == ("other-host", host)
    assert action.details["policy"] == policy
    assert action.because[-1] == f"{host} by the placement policy {policy}"


@pytest.mark.parametrize(("policy", "host"), CHOICES)
def test_each_policy_chooses_where_others_are_moved(policy, host):
    action = only(of_all_kinds(), known=MEASURED, placement=policy, elsewhere=False)
    assert goes_to(action) == ("make-room", "own")
    assert moves(action) == [("other", "own", host)]
    assert action.because[-1] == f"other (10240 MB) makes room, and goes to {host} by {policy}"


def test_a_policy_that_does_not_know_what_it_should_is_told_of():
    found = plan(of_all_kinds(), placement="cpu_utilization_balance")
    (finding,) = found.findings
    assert (finding.id, finding.subject) == ("UF-LU-032", "cpu_utilization_balance")
    assert finding.message == (
        "the placement policy cpu_utilization_balance does without what it should know: the cpu"
        " utilization of half-full is not known (and so it is with 3 more hosts)"
    )


def test_a_policy_that_chose_nothing_is_not_told_of():
    assert only(cloud(), placement="cpu_utilization_balance").strategy == "own-host"
