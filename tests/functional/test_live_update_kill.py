"""A live update whose command line, or whose conductors, are killed again and again.

In the end either the original holds the ports and data volumes or its surrogate does, never both,
never none; and nothing is left over.
"""

from __future__ import annotations

import random

import pytest

from tests.expectations import marked
from tests.functional import whole
from tests.functional.instances import Wish, make, truth
from tests.functional.killing import CommandLine, Killer, Operator
from tests.functional.unmanned import (
    PLAIN,
    REBOOTED,
    Updates,
    but_for_new_ports,
    clear,
    held_by,
)
from tests.lab import api
from upgrade_flows.model.report import State

PREFIX = "lk-"
NOTHING = {"ports": [], "volumes": []}

#: kills of the command line: on the way there, on the way back, and while it commits
THERE, BACK, COMMIT = 7, 5, 3
#: seconds after which it is killed: its start takes one or two, a commit not many more
SECONDS, SOON = (2.0, 5.0), (1.2, 3.0)
#: kills of conductors: at least so many, those before the commit, and all
KILLS_OF_CONDUCTORS, BEFORE, MOST = 20, 15, 26
BETWEEN = (2.0, 4.5)
#: nobody's steps may be broken off so often; that a subject is set aside then is for other tests
MOST_TRIES = 100

#: cut hot, cut cold with its root disk on a volume, and booted anew when all has come to it
SHOWN = {
    "hot": (Wish(f"{PREFIX}hot", "fake4", nics=2, floating_ip=True), PLAIN),
    "cold": (Wish(f"{PREFIX}cold", "fake4", volume_backed=True, data_volume=True), PLAIN),
    "rebooted": (Wish(f"{PREFIX}rebooted", "fake5", data_volume=True), REBOOTED),
}
NAMES = [wish.name for wish, _ in SHOWN.values()]


@pytest.fixture(scope="module")
def scene(patient, cloud, tmp_path_factory):
    """Return what there was, and the updates of the module."""
    at_first = whole.listing()
    updates = Updates(cloud, tmp_path_factory.mktemp("journal"), PREFIX)
    yield at_first, updates
    updates.clear()
    assert whole.difference(at_first, whole.listing()) == {}


def plan(updates, ids):
    wishes = {ids[wish.name]: options for wish, options in SHOWN.values()}
    return updates.plan_all(wishes, len(wishes))


def seen(ids, outcomes):
    """Return, by name, what the original and its surrogate hold; None: it is not there."""
    there = {server.id for server in api.shared("lab-admin").compute.servers(all_projects=True)}

    def held(server_id):
        return held_by(server_id) if server_id in there else None

    return {name: (held(ids[name]), held(outcomes[name].result.get("server_id"))) for name in NAMES}


def left_over(before, after, run_ids):
    """Return what has come up and belongs to no instance, or bears a mark of a run."""
    new = {
        kind: {key: one for key, one in things.items() if key not in before[kind]}
        for kind, things in after.items()
    }
    servers = new["servers"].values()
    held = {key.split(" at ")[0] for key in after["attachments"]}
    holders = {key.split(" at ")[0] for key in new["allocations"]}
    found = {
        "ports": [one["name"] for one in new["ports"].values() if not one["device_id"]],
        "volumes": [one["name"] for key, one in new["volumes"].items() if key not in held],
        "snapshots": [one["name"] for one in new["snapshots"].values()],
        "images": [one["name"] for one in new["images"].values() if run_of(one["name"], run_ids)],
        "keypairs": list(new["keypairs"]),
        "allocations": list(holders - set(new["servers"])),
        "marks": [one["name"] for one in servers if marked(one["tags"])],
        "locks": [one["name"] for one in servers if one["locked"]],
        "instances": list(set(NAMES) ^ {one["name"] for one in servers}),
    }
    return {kind: names for kind, names in found.items() if names}


def run_of(name, run_ids):
    return (name or "").startswith(tuple(run_ids))


def changed_in(before, after):
    """Return, by name, what of instances has changed, but for ports that Nova has deleted."""
    found = {name: but_for_new_ports(before[name], after[name]) for name in NAMES}
    return {name: changes for name, changes in found.items() if changes}


@pytest.fixture(scope="module")
def killed(lab, scene, tmp_path_factory):
    """Update, take back, update again and commit, with a command line that is killed."""
    at_first, updates = scene
    ids = make(wish for wish, _ in SHOWN.values())
    dice = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {dice}")
    command = CommandLine(lab.clouds_yaml, updates.url, random.Random(dice), SECONDS)
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    before, truths = whole.listing(), {name: truth(ids[name]) for name in NAMES}
    held = {name: held_by(ids[name]) for name in NAMES}
    story = {"held": held, "truths": truths, "kills": [], "said": [], "ids": ids}

    def until_killed_enough(times, *arguments):
        begun = command.kills
        while command.kills < begun + times and not command.killed_or_done(*arguments):
            known = updates.journal.runs()
            if arguments[0] == "run" and known:
                arguments = ("resume", known[0].id)
        story["kills"].append(command.kills - begun)

    file.write_text(plan(updates, ids).to_json())
    until_killed_enough(THERE, "run", str(file), "--yes")
    run = updates.journal.runs()[0].id
    story["said"].append(command.to_its_end("resume", run))
    story["changed"] = updates.outcomes(run)
    story["seen there"] = seen(ids, story["changed"])

    until_killed_enough(BACK, "rollback", run, "--yes")
    story["said"].append(command.to_its_end("rollback", run, "--yes"))
    story["undone"] = updates.outcomes(run)
    story["seen back"] = seen(ids, story["changed"])
    story["left back"] = whole.difference(before, whole.listing())
    story["after"] = {name: truth(ids[name]) for name in NAMES}

    again = updates.run(plan(updates, ids))
    story["changed again"] = updates.outcomes(again)
    command.seconds = SOON
    until_killed_enough(COMMIT, "commit", again, "--yes")
    story["said"].append(command.to_its_end("commit", again, "--yes"))
    story["settled"] = updates.outcomes(again)
    story["seen settled"] = seen(ids, story["changed again"])
    story["left settled"] = left_over(at_first, whole.listing(), (run, again))
    clear((PREFIX,))
    return story


def states(outcomes):
    return {name: (record.state, record.error) for name, record in outcomes.items()}


def test_it_was_killed_on_the_way_there_on_the_way_back_and_in_the_commit(killed):
    print(f"killed {killed['kills']} times")
    there, back, commit = killed["kills"]
    assert there >= THERE // 2
    assert back >= BACK // 2
    assert commit >= 1
    assert [code for code, _ in killed["said"]] == [0, 0, 0], killed["said"]


def test_resumed_the_surrogate_holds_everything_and_the_original_nothing(killed):
    assert states(killed["changed"]) == dict.fromkeys(NAMES, (State.CHANGED, ""))
    assert killed["seen there"] == {name: (NOTHING, killed["held"][name]) for name in NAMES}


def test_rolled_back_the_original_is_as_before_and_there_is_no_surrogate(killed):
    assert states(killed["undone"]) == dict.fromkeys(NAMES, (State.UNDONE, ""))
    assert killed["seen back"] == {name: (killed["held"][name], None) for name in NAMES}
    assert changed_in(killed["truths"], killed["after"]) == {}


def test_rolled_back_nothing_is_left_over_in_the_whole_cloud(killed):
    assert killed["left back"] == {}


def test_committed_there_is_one_of_each_with_all_and_nothing_is_left_over(killed):
    assert states(killed["settled"]) == dict.fromkeys(NAMES, (State.SETTLED, ""))
    assert killed["seen settled"] == {name: (None, killed["held"][name]) for name in NAMES}
    assert killed["left settled"] == {}


@pytest.fixture(scope="module")
def conducted(scene, fleet):
    """Update and take back until there were kills enough, then update and commit."""
    at_first, updates = scene
    updates.renew()
    ids = make(wish for wish, _ in SHOWN.values())
    dice = random.SystemRandom().randrange(1 << 32)
    print(f"the dice's seed is {dice}")
    killer = Killer(fleet, random.Random(dice), BETWEEN, MOST)
    operator = Operator(fleet)
    before, truths = whole.listing(), {name: truth(ids[name]) for name in NAMES}
    held = {name: held_by(ids[name]) for name in NAMES}
    story = {"rounds": [], "runs": [], "journal": operator.journal, "held": held}
    verb = ""
    while verb != "commit":
        assert len(story["rounds"]) < 6, f"killed {killer.kills} times only"
        verb = "commit" if killer.kills >= BEFORE else "rollback"
        run = operator.submit(plan(updates, ids))
        killer.until(operator.ended(run))
        changed = operator.outcomes(run)
        found = {"verb": verb, "changed": states(changed), "there": seen(ids, changed)}
        operator.type(verb, run, "--yes", "--no-watch")
        killer.until(operator.ended(run))
        found["ended"] = states(operator.outcomes(run))
        found["then"] = seen(ids, changed)
        story["rounds"].append(found)
        story["runs"].append(run)
        if verb == "commit":
            found["left"] = left_over(at_first, whole.listing(), story["runs"])
        else:
            found["left"] = whole.difference(before, whole.listing())
            found["differs"] = changed_in(truths, {name: truth(ids[name]) for name in NAMES})
    story["kills"] = killer.kills
    yield story
    operator.journal.close()


def test_three_conductors_were_killed_twenty_times_and_more_than_one_did_the_work(conducted):
    print(f"killed {conducted['kills']} times in {len(conducted['rounds'])} rounds")
    assert conducted["kills"] >= KILLS_OF_CONDUCTORS
    events = conducted["journal"].events(conducted["runs"][0])
    assert len({event.owner for event in events if event.step}) > 2


def test_whoever_goes_on_the_surrogate_holds_everything_and_the_original_nothing(conducted):
    for found in conducted["rounds"]:
        assert found["changed"] == dict.fromkeys(NAMES, (State.CHANGED, ""))
        assert found["there"] == {name: (NOTHING, conducted["held"][name]) for name in NAMES}


def test_whoever_takes_it_back_the_original_is_as_before_and_nothing_is_left_over(conducted):
    back = [found for found in conducted["rounds"] if found["verb"] == "rollback"]
    for found in back:
        assert found["ended"] == dict.fromkeys(NAMES, (State.UNDONE, ""))
        assert found["then"] == {name: (conducted["held"][name], None) for name in NAMES}
        assert found["differs"] == {}
        assert found["left"] == {}


def test_whoever_commits_it_there_is_one_of_each_and_nothing_is_left_over(conducted):
    settled = [found for found in conducted["rounds"] if found["verb"] == "commit"]
    for found in settled:
        assert found["ended"] == dict.fromkeys(NAMES, (State.SETTLED, ""))
        assert found["then"] == {name: (None, conducted["held"][name]) for name in NAMES}
        assert found["left"] == {}


def test_no_step_began_before_the_one_before_it_had_ended(conducted):
    """Nobody worked on an instance twice at once: a step that runs again was cut off before."""
    for run in conducted["runs"]:
        for subject in conducted["journal"].subjects(run):
            open_step, owner = None, None
            for event in conducted["journal"].events(run, subject):
                if event.what in ("started", "reverting"):
                    assert open_step is None or owner != event.owner
                    open_step, owner = event.step, event.owner
                elif event.step:
                    assert (event.step, event.owner) == (open_step, owner)
                    open_step = None
