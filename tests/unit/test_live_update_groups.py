"""Host groups keep the second instance of a live update among their hosts; so do server groups."""

from __future__ import annotations

import pytest

from tests.unit.live_update_clouds import (
    cloud,
    full,
    goes_to,
    moves,
    neighbour,
    only,
    plan,
    refused,
    web,
)
from upgrade_flows.cloud.fake import FakeCloud

GROUP, POLICY = "upgrade_flows:host_group", "upgrade_flows:placement"


def grouped(policy: str | None = None) -> FakeCloud:
    """Return a cloud with two groups of three hosts, whose first host is full."""
    made = cloud("a1", "a2", "a3", "b1", "b2", "b3")
    metadata = {GROUP: "true", **({POLICY: policy} if policy else {})}
    made.add_aggregate("left", "a1", "a2", "a3", metadata=metadata)
    made.add_aggregate("right", "b1", "b2", "b3", metadata={GROUP: "true"})
    neighbour(made, "filling", 8192, host="a2")
    full(made, "a1")
    return made


def test_it_stays_in_its_host_group():
    action = only(grouped())
    assert goes_to(action) == ("other-host", "a3")
    assert action.because[-1] == "a3 by the placement policy striping, in host group left"


def test_it_is_refused_where_its_host_group_has_no_room():
    made = grouped()
    full(made, "a2", "a3")
    said = refused(made)["UF-LU-022"]
    assert "a2: 0 MB" in said
    assert "b1" not in said


def test_a_group_may_have_a_policy_of_its_own():
    action = only(grouped("packing"), placement="memory_allocation_balance")
    assert goes_to(action) == ("other-host", "a2")
    assert action.details["policy"] == "packing"


def test_others_are_moved_within_their_group():
    made = grouped()
    neighbour(made, host="a1")
    full(made, "a1")
    assert moves(only(made, elsewhere=False)) == [("other", "a1", "a3")]


def test_groups_may_be_named_or_done_without():
    made = cloud("h1", "h2", "h3")
    made.add_aggregate("left", "h1", "h3")
    made.add_aggregate("right", "h2", metadata={GROUP: "true"})
    full(made, "h1")
    named = plan(made, host_groups=["left", "right"])
    assert goes_to(named.actions[0]) == ("other-host", "h3")
    assert goes_to(only(made, host_groups="none")) == ("other-host", "h2")


def test_a_host_in_no_group_is_left_by_nobody_and_complained_of():
    made = cloud("h1", "h2", "h3")
    made.add_aggregate("right", "h2", "h3", metadata={GROUP: "true"})
    assert only(made).strategy == "own-host"
    full(made, "h1")
    found = refused(made)
    assert found["UF-HG-001"] == "host is in no host group"
    assert "not on another host: host is in no host group" in found["UF-LU-022"]


def test_a_group_with_a_policy_that_does_not_exist_is_complained_of():
    found = refused(grouped("luck"))
    assert "UF-HG-004" in found
    assert "host group left has an unknown placement policy: luck" in found["UF-LU-022"]


def test_a_group_of_one_host_offers_no_other():
    made = cloud("h1", "h2")
    made.add_aggregate("left", "h1", metadata={GROUP: "true"})
    made.add_aggregate("right", "h2", metadata={GROUP: "true"})
    full(made, "h1")
    found = refused(made)
    assert "not on another host: there is none in host group left" in found["UF-LU-022"]
    assert found["UF-HG-003"].startswith("host group left has a single host")


def apart(*hosts: str, members: dict[str, str]) -> FakeCloud:
    """Return a cloud with members of an anti-affinity group, by name and host."""
    made = FakeCloud(hosts=hosts)
    group = made.add_group("anti-affinity", "apart")
    for name, host in members.items():
        made.add_server(name, host=host, group=group)
    made.add_image("new")
    return made


def test_anti_affinity_sends_the_surrogate_to_a_host_without_a_member():
    made = apart("h1", "h2", "h3", members={"web": "h1", "peer": "h2"})
    action = only(made)
    assert goes_to(action) == ("other-host", "h3")
    assert action.because[0] == (
        "not on its own host h1: the server group apart (anti-affinity) has the original there"
    )
    assert made.world.groups[action.details["group"]].name == "apart"


def test_anti_affinity_without_another_host_is_refused():
    made = apart("h1", "h2", members={"web": "h1", "peer": "h2"})
    said = refused(made)["UF-LU-022"]
    assert "h2: the server group apart (anti-affinity) has another member there" in said


def test_a_surrogate_is_a_member_for_the_next_of_the_plan():
    made = apart("h1", "h2", "h3", members={"web": "h1", "peer": "h2"})
    found = plan(made, "web", "peer")
    assert [goes_to(action) for action in found.actions] == [("other-host", "h3")]
    (finding,) = found.findings
    assert "h3: the server group apart (anti-affinity) has another member" in finding.message


def test_affinity_keeps_the_surrogate_on_its_own_host():
    made = cloud("h1", "h2")
    made.world.join_group(web(made).id, made.add_group("affinity", "together"))
    assert goes_to(only(made)) == ("own-host", "h1")
    full(made, "h1")
    assert "the server group together (affinity) keeps it on h1" in refused(made)["UF-LU-022"]


@pytest.mark.parametrize("policy", ["soft-affinity", "soft-anti-affinity"])
def test_a_soft_policy_forbids_nothing_and_stays(policy):
    made = cloud("h1", "h2")
    group = made.add_group(policy)
    made.world.join_group(web(made).id, group)
    full(made, "h1")
    action = only(made)
    assert goes_to(action) == ("other-host", "h2")
    assert action.details["group"] == group


def test_who_is_moved_does_not_meet_another_member_of_its_group():
    made = cloud("h1", "h2", "h3")
    group = made.add_group("anti-affinity")
    neighbour(made, "apart", group=group)
    neighbour(made, "member", 64, host="h2", group=group)
    made.set_capacity("h3", MEMORY_MB=4096)
    full(made, "h1")
    assert moves(only(made, elsewhere=False)) == [("apart", "h1", "h3")]
