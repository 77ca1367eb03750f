"""``recreate`` with real guests: libvirt and QEMU on two hosts with OVS-DPDK of their own.

What counts is what the guest and its users see: the same disks, addresses and MAC, how long it
did not answer, and whether its network survives a restart of Open vSwitch, which is what the
change from ``dpdkvhostuser`` to ``dpdkvhostuserclient`` is for.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.functional.instances import Wish, make, truth
from tests.functional.runs import Runs
from tests.lab import hosts
from tests.lab.hosts import probe
from upgrade_flows.model.report import State

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
HOME, AWAY = "virt1", "virt2"
NETS = ("guest-net", "guest-net2")


def guest(name, host=HOME, **more):
    return Wish(
        f"guest-{name}",
        host,
        flavor="probe",
        image="probe",
        networks=NETS,
        config_drive=True,
        **more,
    )


SHOWN = {
    "rebind": guest("rebind"),
    "snapshot": guest("snapshot", nics=2),
    "recreate": guest("recreate", volume_backed=True),
    "shelve": guest("shelve"),
    "cold-migrate": guest("cold"),
}
STRATEGIES = list(SHOWN)
#: a guest whose network is cut off by a restart of Open vSwitch before its mode is changed
CUT_OFF = guest("cut-off", AWAY)


class Story:
    def __init__(self, cloud, folder):
        self.runs = Runs(cloud, folder)
        self.ids, self.first, self.second, self.gaps = {}, {}, {}, {}
        self.before, self.after = {}, {}

    def address(self, name):
        ports = self.first[name]["ports"].values()
        fixed = sorted(ip["ip_address"] for port in ports for ip in port["fixed_ips"])
        return fixed[0]


@pytest.fixture(scope="module")
def story(cloud, tmp_path_factory):
    hosts.up()
    for host in (HOME, AWAY):
        hosts.set_mode(host, OLD)
    story = Story(cloud, tmp_path_factory.mktemp("journal"))
    story.ids = make([*SHOWN.values(), CUT_OFF])
    story.first = {name: truth(server) for name, server in story.ids.items()}
    for name in story.ids:
        probe.mark(story.address(name), f"mark-of-{name}")
        story.before[name] = probe.state(story.address(name), seconds=60)

    hosts.restart_vswitchd(AWAY)
    story.cut_off = not probe.answers(story.address(CUT_OFF.name), seconds=5)

    for host in (HOME, AWAY):
        hosts.set_mode(host, NEW)
    strategies = {story.ids[wish.name]: name for name, wish in SHOWN.items()}
    strategies[story.ids[CUT_OFF.name]] = "rebind"
    plan = story.runs.plan(strategies, AWAY, probe="tcp:80")
    with contextlib.ExitStack() as stack:
        probes = {name: stack.enter_context(probe.Probe(story.address(name))) for name in story.ids}
        story.run_id = story.runs.run(plan)
        for name in story.ids:
            with contextlib.suppress(Exception):  # asserted below, for each guest
                story.after[name] = probe.state(story.address(name), seconds=60)
    story.probes = probes
    story.records = story.runs.outcomes(story.run_id)
    story.second = {
        name: truth(record.result["server_id"])
        for name, record in story.records.items()
        if record.state is State.CHANGED
    }
    yield story
    for host in (HOME, AWAY):
        hosts.set_mode(host, "ovs", wait=False)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_guest_comes_back_with_its_disk_and_its_addresses(story, strategy):
    name = SHOWN[strategy].name
    record = story.records[name]
    assert (record.state, record.error) == (State.CHANGED, "")
    before, after = story.before[name], story.after[name]
    assert after["mark"] == f"mark-of-{name}"
    assert after["addresses"] == before["addresses"]
    assert after["hostname"] == before["hostname"]
    assert after["boot_id"] != before["boot_id"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_port_is_the_same_one_in_the_new_mode(story, strategy):
    name = SHOWN[strategy].name
    old, new = story.first[name]["ports"], story.second[name]["ports"]
    assert set(new) == set(old)
    assert {port["mac_address"] for port in new.values()} == {
        port["mac_address"] for port in old.values()
    }
    assert {port["binding:vif_details"]["vhostuser_mode"] for port in new.values()} == {"server"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_silence_that_is_reported_is_the_one_that_was_there(story, strategy, record_property):
    name = SHOWN[strategy].name
    seen, result = story.probes[name], story.records[name].result
    record_property("gap_s", seen.longest)
    told = f"{result['measured_downtime_s']} s by Nova, {result['probed_downtime_s']} s by itself"
    print(f"{strategy}: {seen}; reported {told}")
    assert len(seen.boots) == 2
    # the guest's own boot is not in what Nova can tell, so it is silent for longer
    assert result["probed_downtime_s"] >= result["measured_downtime_s"] - 3
    assert abs(result["probed_downtime_s"] - seen.http.longest) < 5


def test_before_the_change_a_restart_of_open_vswitch_cuts_a_guest_off(story):
    assert story.cut_off


def test_the_change_brings_a_guest_back_that_was_cut_off(story):
    assert story.after[CUT_OFF.name]["mark"] == f"mark-of-{CUT_OFF.name}"


def test_after_the_change_a_restart_of_open_vswitch_is_survived_by_every_guest(story):
    for host in (HOME, AWAY):
        hosts.restart_vswitchd(host)
    for name in story.ids:
        now = probe.state(story.address(name), seconds=30)
        assert now["boot_id"] == story.after[name]["boot_id"]


def test_rollback_brings_every_guest_back_as_it_was(story):
    for host in (HOME, AWAY):
        hosts.set_mode(host, OLD)
    story.runs.engine().rollback(story.run_id)
    for name in story.ids:
        now = probe.state(story.address(name), seconds=90)
        assert now["mark"] == f"mark-of-{name}"
        assert now["addresses"] == story.before[name]["addresses"]
