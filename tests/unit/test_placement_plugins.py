"""Who takes an instance: four hosts, and what each placement policy makes of them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from tests.unit.test_docs import blocks
from upgrade_flows.plugins.base import HostLoad, PlacementPlugin

CAPACITY = {"VCPU": 10, "MEMORY_MB": 100}
DEMAND = {"VCPU": 1, "MEMORY_MB": 10}


def load(name, vcpus, memory, cpu=None, mem=None):
    measured = {"cpu": cpu, "memory": mem}
    utilization = {key: value for key, value in measured.items() if value is not None}
    return HostLoad(name, CAPACITY, {"VCPU": vcpus, "MEMORY_MB": memory}, utilization)


#: what is allocated in VCPUs and memory, and which shares of CPU and memory are measured
HOSTS = (
    load("nearly-full", 8, 20, cpu=0.8, mem=0.3),
    load("much-memory", 1, 70, cpu=0.3, mem=0.2),
    load("half-full", 5, 50, cpu=0.5, mem=0.5),
    load("idle-guests", 6, 60, cpu=0.1, mem=0.6),
)


def plugins():
    found = importlib.metadata.entry_points(group="upgrade_flows.placement")
    return {
        one.name: one.load()() for one in found if one.value.startswith("upgrade_flows.plugins.")
    }


def order(policy, hosts=HOSTS, demand=DEMAND):
    """Return the names of hosts, the one first that takes an instance."""
    cost = plugins()[policy].cost
    return [host.name for host in sorted(hosts, key=lambda host: cost(host, demand))]


def placed(policy, hosts, count, vcpus=2):
    """Return which of some hosts of 10 VCPUs take instances that come one after the other."""
    cost = plugins()[policy].cost
    used = dict.fromkeys(hosts, 0)
    taken = []
    for _ in range(count):
        loads = [
            HostLoad(name, {"VCPU": 10}, {"VCPU": amount})
            for name, amount in used.items()
            if amount + vcpus <= 10
        ]
        name = min(loads, key=lambda host: cost(host, {"VCPU": vcpus})).name
        used[name] += vcpus
        taken.append(name)
    return "".join(taken)


def test_the_six_policies_are_installed_under_their_names():
    found = plugins()
    assert sorted(found) == [
        "cpu_allocation_balance",
        "cpu_utilization_balance",
        "memory_allocation_balance",
        "memory_utilization_balance",
        "packing",
        "striping",
    ]
    assert all(isinstance(plugin, PlacementPlugin) for plugin in found.values())


@pytest.mark.parametrize(
    ("policy", "hosts"),
    [
        ("striping", ["half-full", "idle-guests", "much-memory", "nearly-full"]),
        ("packing", ["nearly-full", "much-memory", "idle-guests", "half-full"]),
        ("cpu_allocation_balance", ["much-memory", "half-full", "idle-guests", "nearly-full"]),
        ("memory_allocation_balance", ["nearly-full", "half-full", "idle-guests", "much-memory"]),
        ("cpu_utilization_balance", ["idle-guests", "much-memory", "half-full", "nearly-full"]),
        ("memory_utilization_balance", ["much-memory", "nearly-full", "half-full", "idle-guests"]),
    ],
)
def test_each_policy_has_its_own_order_of_four_hosts(policy, hosts):
    assert order(policy) == hosts


def test_striping_goes_round_and_packing_fills_one_host_after_the_other():
    assert placed("striping", "abcd", 8) == "abcdabcd"
    assert placed("packing", "abcd", 8) == "aaaaabbb"


def test_striping_begins_with_the_hosts_that_have_less():
    hosts = (HostLoad("a", {"VCPU": 10}, {"VCPU": 4}), HostLoad("b", {"VCPU": 40}, {"VCPU": 8}))
    assert order("striping", hosts, {"VCPU": 4}) == ["b", "a"]
    assert order("packing", hosts, {"VCPU": 4}) == ["a", "b"]


def test_a_resource_that_is_not_asked_for_does_not_matter():
    gpus = HostLoad("gpus", {"VCPU": 10, "GPU": 2}, {"VCPU": 1, "GPU": 2})
    plain = HostLoad("plain", {"VCPU": 10}, {"VCPU": 2})
    assert order("striping", (plain, gpus), {"VCPU": 1}) == ["gpus", "plain"]


def test_an_instance_with_cpus_of_its_own_is_balanced_by_these():
    shared = HostLoad("shared", {"VCPU": 10, "PCPU": 10}, {"VCPU": 9, "PCPU": 1})
    pinned = HostLoad("pinned", {"VCPU": 10, "PCPU": 10}, {"VCPU": 1, "PCPU": 8})
    policy = "cpu_allocation_balance"
    assert order(policy, (pinned, shared), {"PCPU": 2}) == ["shared", "pinned"]
    assert order(policy, (shared, pinned), {"VCPU": 1}) == ["pinned", "shared"]


def test_an_instance_is_expected_to_use_as_much_as_those_do_that_are_there():
    cost = plugins()["cpu_utilization_balance"].cost
    assert cost(load("a", 5, 0, cpu=0.2), {"VCPU": 5}) == pytest.approx(0.2 + 0.5 * 0.4)
    assert cost(load("a", 0, 0, cpu=0.05), {"VCPU": 5}) == pytest.approx(0.05 + 0.5)


def test_a_host_that_is_not_measured_counts_as_used_as_it_is_allocated():
    cost = plugins()["memory_utilization_balance"].cost
    assert cost(load("a", 0, 40), {"MEMORY_MB": 10}) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("policy", "host", "lack"),
    [
        ("striping", load("a", 1, 1), None),
        ("striping", HostLoad("a"), "the capacity of a is not known"),
        ("packing", HostLoad("a"), "the capacity of a is not known"),
        ("cpu_allocation_balance", load("a", 1, 1), None),
        (
            "cpu_allocation_balance",
            HostLoad("a", {"MEMORY_MB": 1}),
            "the capacity of a in VCPU and PCPU is not known",
        ),
        (
            "memory_allocation_balance",
            HostLoad("a", {"VCPU": 1}),
            "the capacity of a in MEMORY_MB is not known",
        ),
        ("cpu_utilization_balance", load("a", 1, 1, cpu=0.0), None),
        (
            "cpu_utilization_balance",
            load("a", 1, 1, mem=0.1),
            "the cpu utilization of a is not known",
        ),
        (
            "memory_utilization_balance",
            load("a", 1, 1, cpu=0.1),
            "the memory utilization of a is not known",
        ),
    ],
)
def test_a_policy_says_what_it_would_have_to_know(policy, host, lack):
    assert plugins()[policy].lacks(host) == lack


def test_a_host_without_what_is_asked_for_is_the_last_one_or_costs_no_error():
    none = HostLoad("none", {"MEMORY_MB": 100}, {})
    some = HostLoad("some", {"VCPU": 10}, {"VCPU": 9})
    assert order("striping", (none, some), {"VCPU": 1}) == ["some", "none"]
    for plugin in plugins().values():
        plugin.cost(none, {"VCPU": 1})
        plugin.cost(HostLoad("nothing"), {})


def test_the_policy_of_the_manual_does_what_it_says():
    page = Path(__file__).resolve().parents[2] / "doc/source/operator/placement.rst"
    (example,) = blocks(page.read_text(encoding="utf-8"), ".. code-block:: python")
    found = {}
    exec(example, found)
    policy = found["OldHostsLast"]()
    old = HostLoad("old-1", {"VCPU": 10}, {})
    new = HostLoad("new-1", {"VCPU": 10}, {"VCPU": 9})
    assert policy.cost(new, {"VCPU": 1}) == 1.0 < policy.cost(old, {"VCPU": 1})
    assert policy.lacks(old) is None
