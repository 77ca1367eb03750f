"""Eight real hosts from old to new over ssh, back, and there again: nobody loses an instance."""

from __future__ import annotations

import contextlib

import pytest

from tests.functional import rolling
from tests.functional.instances import Wish, make, owner, truth
from tests.functional.rolling import FAKE, NEW_KERNEL, OLD_KERNEL, VIRT, Rolling
from tests.lab import api, hosts, reset, seed
from tests.lab.hosts import probe
from upgrade_flows.flows.host_upgrade.options import CHOICE
from upgrade_flows.model.report import State

HOSTS = (*FAKE, *VIRT)
OUT = 2
CANARY = {"flavor": "m1.tiny", "image": seed.IMAGE}
PARKED_REASON = "kept aside by the night shift"

OLD = {
    "lab-agent": "1.0", "lab-kernel": "1.0", "lab-legacy": "1.0", "kernel": OLD_KERNEL,
    "configuration": "group = root; vhost_sock_dir = /old",
}  # fmt: skip
NEW = {
    "lab-agent": "2.0", "lab-kernel": "2.0", "kernel": NEW_KERNEL,
    "configuration": "group = kvm; vhost_sock_dir = /new",
}  # fmt: skip

#: instances by name: where they are made, and the state that they are brought into
SHOWN = {
    "up-1": ("fake1", "ACTIVE"),
    "up-2": ("fake1", "ACTIVE"),
    "off": ("fake1", "SHUTOFF"),
    "paused": ("fake2", "PAUSED"),
    "locked": ("fake2", "LOCKED"),
    "suspended": ("fake3", "SUSPENDED"),
    "shelved": ("fake3", "SHELVED_OFFLOADED"),
    "error": ("fake4", "ERROR"),
    "wants-cold": ("fake4", "ACTIVE"),
    "wants-off": ("fake5", "ACTIVE"),
    "volume": ("fake5", "ACTIVE"),
    "apart-1": ("fake5", "ACTIVE"),
    "apart-2": ("fake4", "ACTIVE"),
}
GUESTS = ("guest-one", "guest-two")
WISHES = {"wants-cold": "cold", "wants-off": "poweroff"}


class Story:
    """What was seen before, between and after."""

    def __init__(self, runs):
        self.runs, self.ids = runs, {}
        self.seen, self.software, self.services, self.probes = {}, {}, {}, {}
        self.run_ids, self.plans = {}, {}

    def look(self, when):
        self.seen[when] = rolling.standing()
        self.software[when] = {host: rolling.software(host) for host in HOSTS}
        self.services[when] = {host: rolling.says(host) for host in HOSTS}


@pytest.fixture(scope="module")
def story(cloud, tmp_path_factory):
    reset.reset()
    hosts.up()
    hosts.old(*HOSTS)
    runs = Rolling(cloud, tmp_path_factory.mktemp("journal"))
    story = Story(runs)
    groups = [rolling.host_group("pretended", FAKE), rolling.host_group("real", VIRT)]
    _instances(story)
    admin = api.shared("lab-admin")
    (spare,) = admin.compute.services(binary="nova-compute", host="fake6")
    admin.compute.disable_service(spare, "fake6", "nova-compute", PARKED_REASON)
    story.look("before")
    for when in ("first", "back", "again"):
        with contextlib.ExitStack() as stack:
            story.probes[when] = {
                name: stack.enter_context(probe.Probe(_address(story.ids[name]), 900))
                for name in GUESTS
            }
            if when == "back":
                story.run_ids[when] = story.run_ids["first"]
                runs.engine().rollback(story.run_ids["first"])
            else:
                options = {"canary_instance": CANARY} if when == "again" else {}
                story.plans[when] = runs.plan(HOSTS, out=OUT, **options)
                story.run_ids[when] = runs.run(story.plans[when])
        story.look(when)
    yield story
    runs.journal.close()
    for group in groups:
        rolling.disband(group)
    hosts.old(*HOSTS)


def _instances(story):
    wishes = [
        Wish(name, host, volume_backed=name == "volume", data_volume=name == "volume")
        for name, (host, _) in SHOWN.items()
        if not name.startswith("apart")
    ]
    wishes += [
        Wish(name, "virt1", flavor="probe", image="probe", networks=("guest-net",),
             config_drive=True)
        for name in GUESTS
    ]  # fmt: skip
    story.ids = make(wishes)
    story.ids |= _apart()
    cloud = owner()
    for name, choice in WISHES.items():
        cloud.compute.set_server_metadata(story.ids[name], **{CHOICE: choice})
    for name, (_, state) in SHOWN.items():
        if state != "ACTIVE":
            if state == "SHUTOFF":
                cloud.compute.stop_server(story.ids[name])
            rolling.put(story.ids[name], state)
    for name in GUESTS:
        probe.mark(_address(story.ids[name]), f"mark-of-{name}")


def _apart():
    """Make two instances that may never be on the same host."""
    cloud = owner()
    group = cloud.compute.create_server_group(name="apart", policy="anti-affinity")
    found = {}
    for name in ("apart-1", "apart-2"):
        server = cloud.compute.create_server(
            name=name, flavor_id=cloud.compute.find_flavor("m1.tiny").id, host=SHOWN[name][0],
            image_id=cloud.image.find_image(seed.IMAGE).id, networks="none",
            scheduler_hints={"group": group.id},
        )  # fmt: skip
        found[name] = server.id
    for server_id in found.values():
        rolling.reaches(cloud, server_id, "ACTIVE")
    return found


def _address(server_id):
    ports = truth(server_id)["ports"].values()
    return sorted(ip["ip_address"] for port in ports for ip in port["fixed_ips"])[0]


def test_the_plan_says_what_becomes_of_every_instance_before_anything_is_touched(story):
    plan = story.plans["first"]
    assert sorted(action.subject for action in plan.actions) == sorted(HOSTS)
    how = {
        item["name"]: item["how"]
        for action in plan.actions
        for item in action.details["instances"].values()
    }
    assert how == {
        "up-1": "live", "up-2": "live", "off": "cold", "paused": "live", "locked": "live",
        "suspended": "stay", "error": "stay", "wants-cold": "cold",
        "wants-off": "poweroff", "volume": "live", "apart-1": "live", "apart-2": "live",
        "guest-one": "live", "guest-two": "live",
    }  # fmt: skip


@pytest.mark.parametrize("when", ["first", "again"])
def test_every_host_has_changed_and_runs_what_it_has(story, when):
    records = story.runs.journal.subjects(story.run_ids[when])
    if when == "again":
        assert {name: (r.state, r.error) for name, r in records.items()} == dict.fromkeys(
            HOSTS, (State.CHANGED, "")
        )
    assert story.software[when] == dict.fromkeys(HOSTS, NEW)


def test_rolling_back_brings_every_host_to_what_it_had(story):
    assert story.software["before"] == dict.fromkeys(HOSTS, OLD)
    assert story.software["back"] == dict.fromkeys(HOSTS, OLD)
    records = story.runs.journal.subjects(story.run_ids["first"])
    assert {name: (r.state, r.error) for name, r in records.items()} == dict.fromkeys(
        HOSTS, (State.UNDONE, "")
    )


@pytest.mark.parametrize("when", ["first", "back", "again"])
def test_every_host_is_in_service_as_it_was_with_its_reason(story, when):
    wanted = dict.fromkeys(HOSTS, ("enabled", None)) | {"fake6": ("disabled", PARKED_REASON)}
    assert story.services["before"] == wanted
    assert story.services[when] == wanted


@pytest.mark.parametrize("when", ["first", "back", "again"])
def test_no_instance_is_lost_and_each_is_in_its_state(story, when):
    before = {name: status for name, (_, status) in story.seen["before"].items()}
    assert {name: status for name, (_, status) in story.seen[when].items()} == before


@pytest.mark.parametrize("when", ["first", "back", "again"])
def test_instances_that_must_be_apart_are_apart(story, when):
    assert story.seen[when]["apart-1"][0] != story.seen[when]["apart-2"][0]


@pytest.mark.parametrize("when", ["first", "back", "again"])
def test_instances_stay_within_their_host_group(story, when):
    homes = {name: host for name, (host, _) in story.seen[when].items() if host}
    assert {homes[name] for name in GUESTS} <= set(VIRT)
    assert {host for name, host in homes.items() if name not in GUESTS} <= set(FAKE)


@pytest.mark.parametrize("when", ["first", "back", "again"])
@pytest.mark.parametrize("name", GUESTS)
def test_real_guests_never_stop_and_answer_but_for_a_moment(story, name, when):
    seen = story.probes[when][name]
    print(f"{when}: {seen}")
    assert len(seen.boots) == 1  # never started anew
    assert seen.longest < 5.0  # a live migration's pause, on a machine that is busy
    assert seen.http.answered > 0


@pytest.mark.parametrize("when", ["first", "back", "again"])
def test_never_more_hosts_are_out_of_service_than_allowed(story, when):
    assert 0 < story.runs.out_at_most(story.run_ids[when]) <= OUT


def test_a_canary_was_booted_on_every_host_that_came_back_into_service(story):
    records = story.runs.journal.subjects(story.run_ids["again"])
    said = {host: record.result["canary"] for host, record in records.items()}
    assert said.pop("fake6") == "none: the host was disabled before, and is so again"
    assert {text.partition(":")[0] for text in said.values()} == {"booted and removed"}
    assert not [name for name in story.seen["again"] if "canary" in name]


def test_the_owners_locks_are_still_there_and_none_of_ours(story):
    servers = api.shared("lab-admin").compute.servers(all_projects=True, details=True)
    assert [server.name for server in servers if server.is_locked] == ["locked"]


def test_the_report_has_predicted_and_measured_times_of_every_host(story):
    from upgrade_flows.reports import build, html

    report = build.build(story.runs.journal, story.run_ids["again"])
    for outcome in report.outcomes:
        assert outcome.result["rebooted"] is True
        assert outcome.result["out_s"] > 0
        assert outcome.result["facts_before"]["boot_id"] != outcome.result["facts_after"]["boot_id"]
    assert "<svg" in html.page(report)
