"""Which hosts belong together, what is wrong with that, and that instances stay there."""

from __future__ import annotations

import pytest

from tests.unit.rolling_story import host, instance, planned, rules
from upgrade_flows.errors import RequestError
from upgrade_flows.model.inventory import Aggregate
from upgrade_flows.planning.host_groups import HostGroups, confined, costs, host_groups
from upgrade_flows.planning.rolling import Fleet
from upgrade_flows.plugins.placement.filling import Packing, Striping

PLUGINS = {"striping": Striping(), "packing": Packing()}


def aggregate(name, hosts, said=None, placement=None):
    metadata = {"upgrade_flows:host_group": said, "upgrade_flows:placement": placement}
    kept = {key: value for key, value in metadata.items() if value is not None}
    return Aggregate(f"id-{name}", name, tuple(hosts), metadata=kept)


def told(*aggregates, hosts="abcd", named=()):
    return host_groups(aggregates, hosts, PLUGINS, named)


def complaints(groups):
    return [(one.id, one.subject, one.severity, one.message) for one in groups.complaints]


def test_each_host_is_in_the_group_that_an_aggregate_says():
    groups = told(
        aggregate("ssd", "ab", "true"),
        aggregate("rack-1", "c", "disks"),
        aggregate("rack-2", "d", "disks"),
        aggregate("zone", "abcd"),
        aggregate("no-group", "abcd", "false"),
    )
    assert groups == HostGroups({"a": "ssd", "b": "ssd", "c": "disks", "d": "disks"})


def test_the_operator_may_name_the_aggregates_instead():
    groups = told(
        aggregate("left", "ab"),
        aggregate("right", "cd"),
        aggregate("other", "abcd", "true"),
        named=("left", "right"),
    )
    assert groups == HostGroups({"a": "left", "b": "left", "c": "right", "d": "right"})


def test_a_named_aggregate_that_is_not_there_is_refused():
    with pytest.raises(RequestError, match="there is no aggregate lft"):
        told(aggregate("left", "abcd"), named=("left", "lft"))


def test_without_any_host_group_all_hosts_belong_together():
    assert told(aggregate("zone", "ab"), aggregate("fast", "c", "false")) == HostGroups()


def test_a_host_in_no_group_and_one_in_several_are_refused():
    groups = told(aggregate("x", "ab", "true"), aggregate("y", "bc", "true"))
    assert groups.group_of == {"a": "x", "c": "y"}
    assert complaints(groups) == [
        ("UF-HG-002", "b", "refused", "host is in several host groups: x, y"),
        ("UF-HG-001", "d", "refused", "host is in no host group"),
    ]


def test_a_group_of_a_single_host_is_warned_of():
    groups = told(aggregate("x", ["a", "b", "c"], "true"), aggregate("y", ["d", "gone"], "true"))
    assert groups.group_of["d"] == "y"
    assert complaints(groups) == [
        (
            "UF-HG-003",
            "y",
            "warning",
            "host group y has a single host: nothing can move within it",
        )
    ]


def test_a_group_may_have_a_policy_of_its_own_and_an_unknown_one_is_refused():
    groups = told(
        aggregate("x", "ab", "true", "packing"), aggregate("y", "cd", "true", "scattering")
    )
    assert groups.placement == {"x": "packing"}
    assert complaints(groups) == [
        ("UF-HG-004", "y", "refused", "host group y has an unknown placement policy: scattering")
    ]
    assert "<one of packing, striping>" in groups.complaints[0].remedy


def test_aggregates_of_one_group_that_want_different_policies_are_refused():
    groups = told(aggregate("1", "ab", "x", "packing"), aggregate("2", "cd", "x", "striping"))
    assert groups.placement == {}
    assert complaints(groups) == [
        (
            "UF-HG-004",
            "x",
            "refused",
            "host group x has several placement policies: packing, striping",
        )
    ]


def test_the_policy_of_a_host_is_that_of_its_group_or_else_the_default():
    groups = HostGroups({"a": "x", "b": "y"}, {"x": "packing"})
    packing, striping = PLUGINS["packing"].cost, PLUGINS["striping"].cost
    assert costs("abc", groups, PLUGINS) == {"a": packing}
    assert costs("abc", groups, PLUGINS, "striping") == {"a": packing, "b": striping, "c": striping}
    with pytest.raises(RequestError, match="no placement policy 'even'; there are packing, strip"):
        costs("abc", groups, PLUGINS, "even")


HOSTS = (host("a", upgraded=True), host("b"), host("c", upgraded=True), host("d"))
INSTANCES = (instance("1", "b"), instance("2", "d"))


def test_instances_stay_within_the_group_of_their_host():
    fleet = confined(Fleet(HOSTS, INSTANCES), {"a": "x", "b": "x", "c": "y", "d": "y"})
    roll = planned(fleet.hosts, fleet.instances, rules())
    assert {move.instance: move.target for move in roll.moves} == {"1": "a", "2": "c"}
    free = planned(HOSTS, INSTANCES, rules())
    assert {move.instance: move.target for move in free.moves} == {"1": "a", "2": "a"}


def test_hosts_without_a_group_share_nothing_with_those_of_a_group():
    fleet = confined(Fleet(HOSTS, INSTANCES), {"a": "x", "d": "x"})
    roll = planned(fleet.hosts, fleet.instances, rules(2))
    assert {move.instance: move.target for move in roll.moves} == {"1": "c", "2": "a"}


def test_other_demands_on_aggregates_are_kept_and_without_groups_nothing_is_added():
    fleet = Fleet(
        (host("a", aggregates=("fast",)),), (instance("1", "a", required_aggregates=("fast",)),)
    )
    assert confined(fleet, {}) is fleet
    kept = confined(fleet, {"a": "x"})
    assert kept.hosts[0].aggregates == ("fast", "host group x")
    assert kept.instances[0].required_aggregates == ("fast", "host group x")
