"""An API call that fails once, whichever it is, ends in a change or in the cloud as it was."""

from __future__ import annotations

import pytest
from taskflow import engines, exceptions
from taskflow import states as tf

from tests.flows.difference import difference, told_by_first_ids
from tests.flows.scenes import (
    CASES,
    NEW,
    OLD,
    PLUGINS,
    build,
    cloud_with,
    plan_for,
    reverted,
    steps_of,
    told_apart_only_by_id,
)
from upgrade_flows import errors
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.model.report import State
from upgrade_flows.steps.base import Settings

READS = {
    "compute.actions", "compute.attachments", "compute.keypairs", "compute.migrations",
    "compute.own_user_id", "compute.public_key", "compute.server", "compute.servers",
    "images.find", "images.image", "network.floating_ips", "network.port", "network.ports",
    "volumes.volume",
}  # fmt: skip

#: how a call fails, and whether its effect is there all the same
KINDS = {
    "unauthorized": (errors.Unauthorized, "before"),
    "forbidden": (errors.Forbidden, "before"),
    "not found": (errors.NotFound, "before"),
    "conflict": (errors.Conflict, "before"),
    "too large": (errors.TooLarge, "before"),
    "unavailable": (errors.Unavailable, "before"),
    "lost answer": (errors.Unavailable, "after"),
    "timed out": (errors.TimedOut, "before"),
}

ONE_OF_EACH_STRATEGY = ("rebind", "cold-migrate", "shelve", "recreate", "snapshot")


class Once:
    """One run of a case in TaskFlow's own engine, in which one call may fail.

    The host offers its old mode again as soon as a step has failed: what is undone is then to
    be as it was, to the last binding.
    """

    def __init__(self, case, fails=None):
        self.cloud, self.server = cloud_with(case)
        self.cloud.durations.update(dict.fromkeys(self.cloud.durations, 0.04))
        self.flow = build(case, self.cloud, self.server)
        self.before = self.cloud.state(bindings=True)
        self.step, self.calls = "", []
        self.cloud.faults.hook(self._note)
        if fails:
            call, nth, kind = fails
            error, when = KINDS[kind]
            self.cloud.faults.fail(call, error(f"{call}: {kind}"), nth, when=when)
        self.engine = engines.load(self.flow)
        self.engine.atom_notifier.register(tf.RUNNING, self._begins)
        self.engine.atom_notifier.register(tf.FAILURE, self._failed)
        self.error = ""
        try:
            self.engine.run()
        except (errors.UpgradeFlowsError, exceptions.WrappedFailure) as exc:
            self.error = str(exc)
        self.cloud.set_mode("h1", NEW)
        self.after = self.cloud.state(bindings=True)

    def _begins(self, state, details):
        self.step = details["task_name"]

    def _failed(self, state, details):
        self.cloud.set_mode("h1", OLD)

    def _note(self, call, args, phase):
        if phase == "before":
            self.calls.append((self.step, call, args))

    def wrong(self, changed):
        """Return what differs from the end that this run has come to, changed or undone."""
        if not self.error:
            return difference(
                *(told_by_first_ids(end, self.before, "run-1") for end in (changed, self.after))
            )
        left = [r for s in steps_of(self.flow) if (r := reverted(self.engine, s.name))]
        after = self.after
        for result in list(left):
            if "rebuilt" in result:  # the one thing that cannot be undone without a trace
                left.remove(result)
                after = told_apart_only_by_id(after, result["rebuilt"], self.server)
        found = difference(self.before, after)
        return {**found, "residue": left} if left else found


@pytest.mark.parametrize("kind", ["conflict", "lost answer"])
@pytest.mark.parametrize("case", CASES)
def test_any_call_of_a_change_may_fail_once(case, kind):
    plain = Once(case)
    assert plain.error == ""
    found = {}
    for step, call, nth in each_call(plain.calls):
        once = Once(case, (call, nth, kind))
        if wrong := once.wrong(plain.after):
            found[f"{step}: {call} {nth}: {once.error}"] = wrong
        elif once.error and not names(once.error, call, kind):
            found[f"{step}: {call} {nth}"] = f"not named in: {once.error}"
    assert found == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ONE_OF_EACH_STRATEGY)
def test_a_call_that_changes_something_fails_and_the_run_says_which(case, kind, tmp_path):
    plain = Once(case)
    found = {}
    for step, call, nth in changing(plain.calls):
        if (call, kind) == ("compute.delete_keypair", "not found"):
            continue  # what is said to be gone is taken to be gone
        cloud, server = cloud_with(case)
        before = cloud.state(bindings=True)
        journal = Journal.open(f"sqlite:///{tmp_path}/{call}-{nth}.db")
        engine = engine_on(journal, cloud)
        run = engine.start(plan_for(case, cloud, server))
        error, when = KINDS[kind]
        cloud.faults.fail(call, error(f"{call}: {kind}"), nth, when=when)

        engine.run(run)

        cloud.set_mode("h1", NEW)
        record = journal.subject(run, server)
        journal.close()
        after = cloud.state(bindings=True)
        left = [item.why for item in record.residue]
        label = f"{step}: {call} {nth}: {record.state} {record.error}"
        if record.state is State.CHANGED:  # the step has tried again by itself
            after = told_by_first_ids(after, before, run)
            found[label] = difference(told_by_first_ids(plain.after, before, "run-1"), after)
            continue
        if left and "was rebuilt as" in left[0]:
            new = left.pop(0).partition("rebuilt as ")[2].partition(",")[0]
            after = told_apart_only_by_id(after, new, server)
        found[label] = difference(before, after)
        if left:
            found[label] |= {"residue": left}
        # side by side, which of two steps makes the nth call is not told
        verb = record.error.partition(":")[0]
        if not (verb == step.partition(":")[0] and names(record.error, call, kind)):
            found[label] |= {"error": record.error}
    assert {label: wrong for label, wrong in found.items() if wrong} == {}


def engine_on(journal, cloud):
    """Make an engine whose host offers its old mode again as soon as a step has failed."""

    def watch(event):
        if event.what == "failed":
            cloud.set_mode("h1", OLD)

    return Engine(journal, cloud, PLUGINS, Settings(), observer=watch)


def each_call(calls):
    """Return each call that a step makes, the same one only once, as (step, call, nth)."""
    counts, seen = {}, set()
    for step, call, args in calls:
        counts[call] = counts.get(call, 0) + 1
        if (step, call, repr(args)) not in seen and step:
            seen.add((step, call, repr(args)))
            yield step, call, counts[call]


def changing(calls):
    """Return the first call of each kind that changes something."""
    chosen = {}
    for step, call, nth in each_call(calls):
        if call not in READS:
            chosen.setdefault(call, (step, call, nth))
    return list(chosen.values())


def names(error, call, kind):
    """Whether an error says which call failed, also where two steps failed side by side."""
    return f"{call}: {kind}" in error
