"""A live update that fails behind any of its steps: the original is as before, and so is the rest.

Each step does its work on the real cloud, and then fails.  Several instances go side by side.
"""

from __future__ import annotations

import pytest

from tests.flows.scenes import sabotage, steps_of
from tests.functional import whole
from tests.functional.instances import Wish, make, truth
from tests.functional.unmanned import CLONED, HOT, REBOOTED, Updates, but_for_new_ports
from upgrade_flows.flows import live_update
from upgrade_flows.model.report import State

PREFIX = "lf-"
AT_A_TIME = 4

#: the steps behind which the flows are broken off, in their order: those before anything moves,
#: and the others; what an image-backed instance that is rebooted shares with ``hot`` is left out
FIRST = {
    "hot": (
        "record-identity", "record-guest", "lock-server", "check-workload", "snapshot-server",
        "hold-room", "create-health-port", "boot-surrogate", "await-ready", "prepare-workload",
        "quiesce-workload",
    ),
    "cloned": (
        "record-identity", "record-guest", "lock-server", "check-workload", "snapshot-root",
        "hold-room", "create-boot-volume", "update-boot-volume", "create-health-port",
        "boot-surrogate-from-volume", "await-ready", "prepare-workload", "quiesce-workload",
        "stop-original",
    ),
    "rebooted": ("stop-surrogate", "stop-original"),
}  # fmt: skip
LAST = {
    "hot": (
        "move-resources", "resume-workload", "probe-workload", "freeze-original",
        "detach-health-port", "compare-surrogate",
    ),
    "cloned": (
        "move-resources", "stop-surrogate-on-the-way-back", "resume-workload", "probe-workload",
        "detach-health-port", "compare-surrogate",
    ),
    "rebooted": ("start-surrogate",),
}  # fmt: skip
OPTIONS = {"hot": HOT, "cloned": CLONED, "rebooted": REBOOTED}
EVERY_STEP = [(way, step) for way in OPTIONS for step in (*FIRST[way], *LAST[way])]


#: how many instances are updated each way, one for each of the last steps and of half the first
INSTANCES = {"hot": 6, "cloned": 7, "rebooted": 1}


def turns(way):
    """Return which steps fail at the same time, one of them with each instance.

    Ports that Nova has made go when they move, and come back as ports of their owner's: so that
    they are still Nova's when they move, what moves them is broken off at last.
    """
    size = INSTANCES[way]
    return FIRST[way][:size], FIRST[way][size:], LAST[way]


def wish(way, number):
    """Return the instance whose last step is the one of that number; the first ones have most."""
    rich = number in (0, INSTANCES[way] - 1)
    return Wish(
        f"{PREFIX}{way}-{number}",
        f"fake{number % 3 + 1}",
        nics=2 if rich and way == "hot" else 1,
        floating_ip=rich and way == "hot",
        data_volume=rich or way == "cloned",
        volume_backed=way == "cloned",
    )


@pytest.fixture(scope="module")
def broken(patient, cloud, tmp_path_factory):
    """Break every step off; return what became of it, by way and step."""
    at_first = whole.listing()
    updates = Updates(cloud, tmp_path_factory.mktemp("journal"), PREFIX)
    ids = make(wish(way, number) for way in OPTIONS for number in range(INSTANCES[way]))
    found = {}
    for turn in range(3):
        victims = {
            ids[f"{PREFIX}{way}-{number}"]: (way, step)
            for way in OPTIONS
            for number, step in enumerate(turns(way)[turn])
        }
        before, truths = whole.listing(), {server: truth(server) for server in victims}
        run = broken_off(updates, victims)
        left = whole.difference(before, whole.listing())
        for server, victim in victims.items():
            found[victim] = {
                "record": updates.journal.subject(run, server),
                "differs": but_for_new_ports(truths[server], truth(server)),
                "left": left,
            }
    yield found
    updates.clear()
    assert whole.difference(at_first, whole.listing()) == {}


def broken_off(updates, victims):
    """Run a plan in which a step of each server's flow works and then fails; return the run."""
    change = live_update.change

    def sabotaged(ctx, action):
        flow = change(ctx, action)
        _, verb = victims[action.subject]
        (name,) = [step.name for step in steps_of(flow) if step.name.split(":")[0] == verb]
        return sabotage(flow, name)

    options = {server: OPTIONS[way] for server, (way, _) in victims.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_update, "change", sabotaged)
        return updates.run(updates.plan_all(options, AT_A_TIME))


@pytest.mark.parametrize("victim", EVERY_STEP, ids="-".join)
def test_a_step_that_works_and_then_fails_leaves_everything_as_it_was(broken, victim):
    found = broken[victim]
    assert (found["record"].state, found["record"].residue) == (State.FAILED, ())
    assert found["record"].error.startswith(f"{victim[1]}:")
    assert found["differs"] == {}
    assert found["left"] == {}
