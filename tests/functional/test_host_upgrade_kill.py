"""A rolling host upgrade whose command line, or whose conductors, are killed again and again."""

from __future__ import annotations

import json
import random

import pytest

from tests.functional import rolling
from tests.functional.instances import Wish, make
from tests.functional.killing import CommandLine, Killer, Operator
from tests.functional.rolling import NEW_KERNEL, OLD_KERNEL, Rolling
from tests.lab import hosts, reset
from upgrade_flows.model.report import State

HOSTS = ("fake1", "fake2", "fake3", "fake4")
OUT = 2
KILLS = 8  # of the command line
KILLS_OF_CONDUCTORS = 20
#: nobody's steps may be broken off so often; that a subject is set aside then is for other tests
MOST_TRIES = 100
SECONDS = (3.0, 7.0)  # until a kill of the command line
#: between kills of conductors: a reboot takes its time, and a subject whose owners die five times
#: before a step ends is set aside, as it should be
BETWEEN = (3.0, 6.0)


def prepare():
    """Give the hosts back old, with instances; return the names of these and their states."""
    reset.reset()
    hosts.mend()
    hosts.old(*rolling.FAKE)
    wishes = [Wish(f"kept-{host}-{number}", host) for host in HOSTS[:3] for number in (1, 2)]
    wishes.append(Wish("kept-off", "fake1", status="SHUTOFF"))
    make(wishes)
    return {name: status for name, (_, status) in rolling.standing().items()}


def limits():
    return {"limits": {"migrations_per_host": 2}, "prefer": "time"}


@pytest.fixture(scope="module")
def killed(lab, cloud, tmp_path_factory):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {seed}")
    before = prepare()
    folder = tmp_path_factory.mktemp("journal")
    runs = Rolling(cloud, folder)
    command = CommandLine(lab.clouds_yaml, runs.url, random.Random(seed), SECONDS)
    settings = folder / "settings.json"
    settings.write_text(json.dumps(rolling.ssh_settings()))
    plan = folder / "plan.json"
    code, said = command.to_its_end(
        "plan", "hosts", "--host", *HOSTS, "--plugin", "ssh", "--settings", str(settings),
        "--at-a-time", str(OUT), "-o", str(plan),
    )  # fmt: skip
    assert code == 0, said
    arguments = ["run", str(plan), "--yes"]
    while command.kills < KILLS and not command.killed_or_done(*arguments):
        known = runs.journal.runs()
        arguments = ["resume", known[0].id] if known else arguments
    run_id = runs.journal.runs()[0].id
    code, said = command.to_its_end("resume", run_id)
    yield {
        "before": before, "runs": runs, "run": run_id, "kills": command.kills, "end": (code, said),
        "after": {name: status for name, (_, status) in rolling.standing().items()},
        "kernels": {host: rolling.software(host)["kernel"] for host in HOSTS},
        "services": {host: rolling.says(host) for host in HOSTS},
    }  # fmt: skip
    runs.journal.close()


def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(killed):
    print(f"killed {killed['kills']} times")
    assert killed["kills"] >= KILLS // 2
    assert killed["end"][0] == 0, killed["end"][1]
    records = killed["runs"].journal.subjects(killed["run"])
    assert {name: r.state for name, r in records.items()} == dict.fromkeys(HOSTS, State.CHANGED)
    assert killed["kernels"] == dict.fromkeys(HOSTS, NEW_KERNEL)
    assert killed["services"] == dict.fromkeys(HOSTS, ("enabled", None))


def test_no_instance_is_lost_or_in_another_state(killed):
    assert killed["after"] == killed["before"]


def test_never_more_hosts_were_out_of_service_than_allowed(killed):
    assert 0 < killed["runs"].out_at_most(killed["run"]) <= OUT


@pytest.fixture(scope="module")
def conducted(killed, fleet, cloud, tmp_path_factory):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {seed}")
    before = prepare()
    killer, operator = Killer(fleet, random.Random(seed), BETWEEN), Operator(fleet)
    runs = Rolling(cloud, tmp_path_factory.mktemp("plans"))
    kernels, states = [], []
    rounds = 0
    while killer.kills < KILLS_OF_CONDUCTORS and rounds < 4:
        rounds += 1
        run = operator.submit(runs.plan(HOSTS, out=OUT, **limits()))
        killer.until(operator.ended(run))
        states.append({r.state for r in operator.journal.subjects(run).values()})
        kernels.append({rolling.software(host)["kernel"] for host in HOSTS})
        operator.type("rollback", run, "--yes", "--no-watch")
        killer.until(operator.ended(run))
        states.append({r.state for r in operator.journal.subjects(run).values()})
        kernels.append({rolling.software(host)["kernel"] for host in HOSTS})
    runs.journal.close()
    runs.journal = operator.journal
    yield {
        "before": before, "runs": runs, "run": run, "kills": killer.kills,
        "kernels": kernels, "states": states,
        "after": {name: status for name, (_, status) in rolling.standing().items()},
        "services": {host: rolling.says(host) for host in HOSTS},
    }  # fmt: skip
    operator.journal.close()
    hosts.old(*HOSTS)


def test_three_conductors_killed_twenty_times_bring_every_host_there_and_back(conducted):
    print(f"killed {conducted['kills']} times")
    assert conducted["kills"] >= KILLS_OF_CONDUCTORS
    there, back = conducted["states"][0::2], conducted["states"][1::2]
    assert there == [{State.CHANGED}] * len(there)
    assert back == [{State.UNDONE}] * len(back)
    assert conducted["kernels"] == [{NEW_KERNEL}, {OLD_KERNEL}] * len(there)
    assert conducted["services"] == dict.fromkeys(HOSTS, ("enabled", None))


def test_the_conductors_lost_no_instance(conducted):
    assert conducted["after"] == conducted["before"]


def test_the_conductors_shared_the_window(conducted):
    assert 0 < conducted["runs"].out_at_most(conducted["run"]) <= OUT
    owners = {e.owner for e in conducted["runs"].journal.events(conducted["run"]) if e.step}
    assert len(owners) > 3
